//! Series that are spread over threads: as if there were but one.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::stream::Running;
use crate::{Bench, FIXED};

const HOSTS: u32 = 40;

/// Rows of forty hosts in turn; each is slow for a while every five minutes, at a time of its own.
fn hosts(seconds: std::ops::Range<u32>) -> String {
    let mut text = "timestamp,host,latency_ms\n".to_owned();
    for second in seconds {
        for host in 0..HOSTS {
            let noise = f64::from((second * 40 + host).wrapping_mul(2_654_435_761) >> 16 & 0xff) / 256.0;
            let is_slow = (second + 7 * host) % 300 >= 288;
            let latency = if is_slow { 900.0 } else { 20.0 + noise };
            let (hour, minute) = (second / 3600, second / 60 % 60);
            let time = format!("2026-01-01T{hour:02}:{minute:02}:{:02}Z", second % 60);
            text += &format!("{time},host-{host},{latency:.2}\n");
        }
    }
    text
}

const FILES: [&str; 4] = ["alerts.jsonl", "scores.csv", "findings.jsonl", "rejects.jsonl"];
const ARGS: &str = "hosts.csv -c c.toml --alerts alerts.jsonl --scores scores.csv --findings findings.jsonl \
    --rejects rejects.jsonl";

fn bench(text: &str) -> Bench {
    let bench = Bench::new();
    bench.put("hosts.csv", text);
    bench.put("c.toml", FIXED.replace("\"none\"", "\"embedded\""));
    bench
}

#[test]
fn what_is_printed_does_not_depend_on_how_many_there_are() {
    let text = hosts(0..400) + "no time,host-1,5\n";
    let run = |threads: u32| {
        let bench = bench(&text);
        let said = bench.detect(&format!("{ARGS} --threads {threads}"));
        (said.transcript(), FILES.map(|name| bench.get(name)))
    };
    let one = run(1);
    assert!(one.0.contains("16000 readings of 40 series"), "{}", one.0);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads}");
    }
    let said = bench("").detect("hosts.csv --threads 0");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("--threads <N>"), "{}", said.stderr);
}

#[test]
fn a_killed_run_is_carried_on_by_any_number_of_threads() {
    let text = hosts(0..1_500);
    let whole = bench(&text);
    assert_eq!(whole.detect(&format!("{ARGS} --threads 1")).code, 1);
    for (threads, then, memory) in [(2, 1, "1G"), (3, 2, "300K"), (1, 3, "1G")] {
        let bench = bench(&text);
        let args = format!("{ARGS} --state state --memory {memory}");
        let mut child = Command::new(crate::anomaly())
            .current_dir(bench.dir.path())
            .arg("detect")
            .args(format!("{args} --threads {threads}").split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("runs");
        let alerts = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
        let told = alerts.map_while(Result::ok).filter(|line| line.starts_with("CRITICAL")).take(60).count();
        assert_eq!(told, 60, "alerts are told before the end");
        child.kill().expect("still running");
        child.wait().expect("ended");

        let said = bench.detect(&format!("{args} --threads {then}"));
        assert_eq!(said.code, 1, "{}", said.stderr);
        assert!(!said.stderr.contains("60000 readings"), "it had been saved: {}", said.stderr);
        for name in FILES {
            assert!(bench.get(name) == whole.get(name), "{threads}, then {then}: {name}");
        }
    }
}

#[test]
fn a_reading_that_is_there_waits_for_no_other() {
    for threads in [1, 2, 3] {
        let bench = Bench::new();
        bench.put("c.toml", FIXED);
        let args = format!("- -c c.toml --json --threads {threads} --value latency_ms");
        let mut running = Running::start(&bench, &args);
        running.send("timestamp,latency_ms,note\n");
        running.send("2026-01-01T00:00:00Z,5,\n2026-01-01T00:00:01Z,5,\n");
        // With the half of a record behind it, which has a line's end in it that does not end it.
        running.send("2026-01-01T00:00:02Z,500,\n2026-01-01T00:00:03Z,5,\"two\nlines");
        assert!(running.next_line().contains("\"fired\""));
        running.send("\"\n2026-01-01T00:00:04Z,5,\n2026-01-01T00:00:05Z,5,\n");
        assert!(running.next_line().contains("\"resolved\""));
        let (code, stderr) = running.end();
        assert!(code == 1 && stderr.contains("6 readings of 1 series"), "{stderr}");
    }
}
