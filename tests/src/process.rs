//! Processes that end when their owner does, by their id.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a process may take to end once asked.
const GRACE: Duration = Duration::from_secs(5);

/// A child process that is asked to end, and then made to, when this is dropped.
#[derive(Debug)]
pub struct Owned(Child);

impl Owned {
    /// Takes charge of `child`.
    pub fn new(child: Child) -> Self {
        Owned(child)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The child itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Owned {
    #[expect(clippy::disallowed_methods, reason = "it waits for a process, with a deadline")]
    fn drop(&mut self) {
        terminate(self.id());
        let deadline = Instant::now() + GRACE;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both fail only when the process is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn terminate(id: u32) {
    signal(id, Signal::TERM);
}

/// Ends the process `id` without a chance to tidy up, as a crash would.
pub fn kill(id: u32) {
    signal(id, Signal::KILL);
}

/// Freezes the process `id`: what it is handed from now on stays in its hands.
pub fn freeze(id: u32) {
    signal(id, Signal::STOP);
}

/// Lets a frozen process go on.
pub fn thaw(id: u32) {
    signal(id, Signal::CONT);
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The processes whose program lies below `folder`.
pub fn running_below(folder: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|&id| is_below(id, folder)).collect()
}

/// Whether the process `id` was started with `variable` (`NAME=value`) in its environment.
pub fn has_variable(id: u32, variable: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{id}/environ")) else { return false };
    environment.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
}

fn is_below(id: u32, folder: &Path) -> bool {
    std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|program| program.starts_with(folder))
}
