//! A pipe: alerts are told when their record arrives, and a request to stop is heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::{Bench, FIXED, HEADER, csv, rows};

/// Long enough for a busy machine; reached only by a failure.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(bench: &Bench, args: &str) -> Self {
        let mut child = Command::new(crate::anomaly())
            .current_dir(bench.dir.path())
            .arg("detect")
            .args(args.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let sent =
                BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
            drop(sent);
        });
        Running { child, stdin, lines }
    }

    pub(crate) fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("still read");
    }

    pub(crate) fn next_line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line before the deadline")
    }

    /// The next line, if one comes `within` so long.
    pub(crate) fn line_within(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("running");
        self.child.wait().expect("ended");
    }

    pub(crate) fn end(mut self) -> (i32, String) {
        drop(self.stdin.take());
        let mut stderr = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        (self.child.wait().expect("ended").code().expect("no signal"), stderr)
    }
}

#[test]
fn an_alert_is_told_when_its_record_arrives() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let mut running = Running::start(&bench, "- --config fixed.toml --json --scores scores.csv");
    running.send(HEADER);
    let lines = rows(0..40, &[20]);
    for (i, row) in lines.iter().enumerate() {
        running.send(row);
        // The reading that fires, and the third calm one, which resolves.
        if i == 20 || i == 34 {
            let line = running.next_line();
            assert!(line.contains(if i == 20 { "\"fired\"" } else { "\"resolved\"" }), "{line}");
            assert_eq!(bench.get("scores.csv").lines().count(), i + 2, "scores are as far");
        }
    }
    let (code, stderr) = running.end();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("40 readings of 1 series, 1 alert (1 resolved)"), "{stderr}");
}

#[test]
fn the_forest_streams_too_and_says_the_same_as_over_a_file() {
    let bench = Bench::new();
    let text = csv(320, &[300]);
    bench.put("stdin.csv", &text);
    let expected = bench.detect("stdin.csv");
    let mut running = Running::start(&bench, "-");
    running.send(&text);
    assert_eq!(running.next_line(), expected.stdout.lines().next().expect("an alert"));
    assert_eq!(running.end().0, 1);
    assert_eq!(bench.pipe("", text).stdout, expected.stdout, "no file at all is a pipe");
}

#[test]
fn json_lines_without_time_take_the_time_of_arrival() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let mut running = Running::start(&bench, "--config fixed.toml");
    running.send("{\"latency_ms\":5}\n{\"latency_ms\":500}\n");
    let line = running.next_line();
    let year: u32 = line.rsplit(' ').next().and_then(|at| at.get(..4)?.parse().ok()).expect("a time");
    assert!(year >= 2025, "{line}");
    let (_, stderr) = running.end();
    assert!(stderr.contains("note: stdin: no time column; the time of arrival stands for it"), "{stderr}");
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let args = "- --config fixed.toml --state state --alerts alerts.jsonl";
    let mut running = Running::start(&bench, args);
    running.send(&csv(21, &[20]));
    assert!(running.next_line().starts_with("CRITICAL"));
    let second = bench.pipe(args, csv(5, &[]));
    assert_eq!(second.code, 2);
    assert!(second.stderr.starts_with("error: another run uses the state in state\n"), "{}", second.stderr);
    // Half a row, which must not be taken for a whole one.
    running.send("2026-01-01T00:00:21Z,9");
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
    let mut stderr = String::new();
    running.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(running.child.wait().expect("ended").code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("21 readings; 1 series in the state") && stderr.contains("stopped before the end"),
        "{stderr}"
    );

    let more = HEADER.to_owned() + &rows(21..40, &[20]).concat();
    let said = bench.pipe(args, more);
    assert!(said.stdout.starts_with("RESOLVED stdin: slow"), "{}", said.stdout);
    assert_eq!(bench.get("alerts.jsonl").lines().count(), 2);
}

#[test]
fn a_killed_pipe_keeps_the_alerts_it_told() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    let args = "- --config fixed.toml --state state --alerts alerts.jsonl --scores scores.csv";
    let mut running = Running::start(&bench, args);
    running.send(&csv(21, &[20]));
    running.next_line();
    running.kill();
    let said = bench.pipe(args, HEADER.to_owned() + &rows(21..40, &[20]).concat());
    assert!(said.stdout.starts_with("RESOLVED"), "the alert is remembered: {}", said.stdout);
    let steps: Vec<bool> = bench.get("alerts.jsonl").lines().map(|l| l.contains("\"fired\"")).collect();
    assert_eq!(steps, [true, false], "what a pipe said does not come again");
    assert_eq!(bench.get("scores.csv").lines().count(), 1 + 40);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let bench = Bench::new();
    bench.put("fixed.toml", FIXED);
    bench.put("web.csv", csv(400, &[20, 60, 100, 140, 180]));
    let mut running = Running::start(&bench, "- --config fixed.toml --json");
    running.send(&csv(30, &[20]));
    running.next_line();
    let (code, _) = {
        let Running { child, stdin, lines } = running;
        drop(lines);
        Running { child, stdin, lines: channel().1 }.end()
    };
    assert_eq!(code, 1);

    let mut child = Command::new(crate::anomaly())
        .current_dir(bench.dir.path())
        .args(["detect", "web.csv", "--config", "fixed.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(1), "{stderr}");
    assert!(!stderr.contains("rror"), "it ends quietly: {stderr}");
}
