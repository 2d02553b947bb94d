//! How much memory there is for series.

use std::fs;

/// What is taken where the machine does not say: 4 GiB.
const UNKNOWN_BYTES: usize = 4 << 30;

/// Half of the machine's memory, or of what a container may have of it; the rest is for what else runs.
pub(super) fn for_series() -> usize {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| of_machine(&text));
    let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min().map_or(UNKNOWN_BYTES, |bytes: usize| bytes / 2)
}

/// `MemTotal` of Linux' `/proc/meminfo`, which is in kB of 1,024 bytes (proc(5)).
fn of_machine(meminfo: &str) -> Option<usize> {
    let kilobytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_has() {
        let said = "MemTotal:       24689416 kB\nMemFree:        15016128 kB\n";
        assert_eq!(of_machine(said), Some(24_689_416 * 1_024));
        assert_eq!(of_machine("MemFree: 1 kB\n"), None);
        assert!(for_series() > 0);
    }
}
