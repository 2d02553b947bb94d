//! `anomaly alerts`: what `--state` keeps of alerts, while nothing runs and beside a run.

use std::time::Duration;

use anomaly_core::time::Timestamp;
use expect_test::{Expect, expect};
use serde_json::Value;

use crate::stream::Running;
use crate::{Bench, FIXED, HEADER, rows};

const FAULTS: [u32; 2] = [20, 60];

/// Reminds each five seconds.
fn config() -> String {
    FIXED.replace("for = \"1", "repeat = \"5s\"\nfor = \"1")
}

/// Rows `range` have been through a pipe.
fn piped(bench: &Bench, range: std::ops::Range<u32>) -> crate::Said {
    bench.put("c.toml", config());
    bench.pipe(
        "- --config c.toml --state .anomaly --quiet",
        HEADER.to_owned() + &rows(range, &FAULTS).concat(),
    )
}

fn value(bench: &Bench, args: &str) -> Value {
    let said = bench.run(args, "");
    serde_json::from_str(said.stdout.lines().next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{args}: {e}: {} {}", said.stdout, said.stderr))
}

/// What `anomaly` says, with NOW for the times at which the alert at hand was acknowledged.
fn check(bench: &Bench, args: &str, expected: Expect) {
    let said = bench.run(args, "");
    let mut text = format!("{}--- stderr\n{}--- exit {}\n", said.stdout, said.stderr, said.code);
    let lines = bench.run("alerts list --all --json", "").stdout;
    for line in lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let id = line["alert"].as_str().expect("a name").to_owned();
        let whole = value(bench, &format!("alerts show {id} --json"));
        for step in whole["steps"].as_array().into_iter().flatten().filter(|s| s["step"] == "acknowledged") {
            let at = step["at"].as_i64().and_then(Timestamp::from_ms).expect("a time");
            text = text.replace(&at.to_string(), "NOW-----------------");
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn they_are_listed_shown_and_acknowledged() {
    let bench = Bench::new();
    piped(&bench, 0..27);
    check(
        &bench,
        "alerts list",
        expect![[r#"
        ID                SINCE                 SEVERITY  PEAK                     READINGS  SEEN BY  ALERT
        f10791a5c2a28229  2026-01-01T00:00:20Z  critical  latency_ms 949 over 100  7         -        stdin: slow
        --- stderr
        1 open, 0 of them acknowledged; 0 over
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts ack f1 --by ann",
        expect![[r#"
        ACKNOWLEDGED stdin: slow at NOW-----------------
          by ann; no reminders unless it gets worse
          since 2026-01-01T00:00:20Z
          latency_ms  920.7  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁██████
          requests        9  ██████████████████▁▁▁▁▁▁
          alert f10791a5c2a28229 transition 3
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts ack f1 --by bob",
        expect![[r#"
        --- stderr
        alert f10791a5c2a28229 was acknowledged before, by ann, at NOW-----------------
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts list",
        expect![[r#"
        ID                SINCE                 SEVERITY  PEAK                     READINGS  SEEN BY  ALERT
        f10791a5c2a28229  2026-01-01T00:00:20Z  critical  latency_ms 949 over 100  7         ann      stdin: slow
        --- stderr
        1 open, 1 of them acknowledged; 0 over
        --- exit 0
    "#]],
    );
    let said = piped(&bench, 27..65);
    assert!(!said.stdout.contains("STILL"), "it goes on from there, without reminders: {}", said.stdout);
    check(
        &bench,
        "alerts list --all",
        expect![[r#"
        ID                SINCE                 UNTIL                 SEVERITY  PEAK                       READINGS  SEEN BY  ALERT
        f10791a5c2a28229  2026-01-01T00:00:20Z  2026-01-01T00:00:34Z  critical  latency_ms 949 over 100    12        ann      stdin: slow
        147fbfb317d4cb19  2026-01-01T00:01:00Z  -                     critical  latency_ms 943.4 over 100  5         -        stdin: slow
        --- stderr
        1 open, 0 of them acknowledged; 1 over
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts show f1",
        expect![[r#"
        alert     f10791a5c2a28229
        series    stdin
        rule      slow, on latency_ms
        stands    over since 2026-01-01T00:00:34Z, after 14 s
        since     2026-01-01T00:00:20Z
        severity  critical
        peak      949 against 100 (fixed) at 2026-01-01T00:00:23Z
        readings  12 anomalous
         1  2026-01-01T00:00:20Z  fired         critical: 916.6 against 100 (fixed)
         2  2026-01-01T00:00:25Z  repeated      critical: 920.7 against 100 (fixed)
         3  NOW-----------------  acknowledged  by ann
         4  2026-01-01T00:00:34Z  resolved      21.47 against 100 (fixed)
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts list --json",
        expect![[r#"
        {"alert":"147fbfb317d4cb19","series":"stdin","rule":"slow","on":"latency_ms","severity":"critical","since":1767225660000,"fired_at":1767225660000,"peak":{"judged":943.36,"threshold":100.0,"excess":9.4336,"basis":"fixed"},"peak_at":1767225664000,"anomalous":5,"acknowledged":false}
        --- stderr
        --- exit 0
    "#]],
    );
    check(
        &bench,
        "alerts ack f1",
        expect![[r#"
        --- stderr
        error: alert f10791a5c2a28229 is over: there is nothing to acknowledge
        --- exit 2
    "#]],
    );
    check(
        &bench,
        "alerts show f2",
        expect![[r#"
        --- stderr
        error: no alert's name begins with "f2"; 2 are kept, 1 of them open
        --- exit 2
    "#]],
    );
    check(
        &bench,
        "alerts list --state elsewhere",
        expect![[r#"
        --- stderr
        error: there is no state in elsewhere
        hint: `anomaly detect FILE --state elsewhere` keeps one there
        --- exit 2
    "#]],
    );
}

#[test]
fn why_says_what_explain_said_of_each_step() {
    let bench = Bench::new();
    piped(&bench, 0..27);
    bench.run("alerts ack f1 --by ann", "");
    piped(&bench, 27..40);
    check(
        &bench,
        "why f1",
        expect![[r#"
            alert f10791a5c2a28229 of stdin by slow

            1 fired at 2026-01-01T00:00:20Z, by row 21 of stdin
              slow on latency_ms: critical: 916.6 against 100 (fixed)
                excess 9.166; normal up to 100
                an alert fires

            2 repeated at 2026-01-01T00:00:25Z, by row 26 of stdin
              slow on latency_ms: critical: 920.7 against 100 (fixed)
                excess 9.207; normal up to 100
                the alert goes on, and is told again

            3 acknowledged at NOW-----------------
              seen by ann
                no reminders, unless it gets worse

            4 resolved at 2026-01-01T00:00:34Z, by row 8 of stdin
              slow on latency_ms: normal: 21.47 against 100 (fixed)
                excess 0.2147; anomalous above 100
                the alert is over
                its end takes 3 of 3 calm
            --- stderr
            --- exit 0
        "#]],
    );
    let text = HEADER.to_owned() + &rows(0..40, &FAULTS).concat();
    bench.put("stdin.csv", text);
    let whole = bench.run("why f1", "").stdout;
    let whole: String = whole.lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    for at in ["2026-01-01T00:00:20Z", "2026-01-01T00:00:25Z"] {
        let said = bench.detect(&format!("stdin.csv --config c.toml --explain stdin@{at}"));
        let words: String =
            said.stdout.lines().skip(1).map(|line| line.trim_start().to_owned() + "\n").collect();
        assert!(whole.contains(&words) && words.lines().count() >= 3, "{words} is not in\n{whole}");
    }
    let said = bench.run("why f2", "");
    assert!(said.stderr.contains("no alert's name begins with \"f2\""), "{}", said.stderr);
}

#[test]
fn why_knows_of_silences() {
    let bench = Bench::new();
    let rule = "name = \"quiet\"\nmethod = { kind = \"no-data\", after = \"10m\" }\n";
    bench.put("c.toml", format!("[input]\nseries = \"/host\"\n[model]\nkind = \"none\"\n[[rule]]\n{rule}"));
    let row = |minute: u32, host: &str| format!("2026-01-01T00:{minute:02}:00Z,{host},1\n");
    let rows: String = (0..20).map(|m| row(m, "a")).chain([row(20, "b"), row(21, "a")]).collect();
    let rows = rows.replace("00:00Z,a", "00:00Z,b");
    bench.put("hosts.csv", format!("timestamp,host,v\n{rows}"));
    let said = bench.detect("hosts.csv --config c.toml --state .anomaly --json");
    let fired: Value =
        serde_json::from_str(said.stdout.lines().next().expect("b fell silent")).expect("JSON");
    check(
        &bench,
        &format!("why {}", fired["alert"].as_str().expect("a name")),
        expect![[r#"
            alert dcc56c540fbb6048 of b by quiet

            1 fired at 2026-01-01T00:10:00Z, by row 11 of hosts.csv
              quiet on silence: warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:00:00Z)
                excess 1; normal with `after` above 10 min
                an alert fires

            2 escalated at 2026-01-01T00:15:00Z, by row 16 of hosts.csv
              quiet on silence: critical: no data for 15 min, silent from 10 min (last seen 2026-01-01T00:00:00Z)
                excess 1.5; normal with `after` above 15 min
                the alert is worse than it was

            3 resolved at 2026-01-01T00:20:00Z, by row 21 of hosts.csv
              quiet on silence: critical: no data for 20 min, silent from 10 min (last seen 2026-01-01T00:00:00Z)
                excess 2; normal with `after` above 20 min
                the alert is over
            --- stderr
            --- exit 0
        "#]],
    );
}

#[test]
fn they_can_be_read_beside_a_run_and_after_it_was_killed() {
    let bench = Bench::new();
    bench.put("c.toml", config());
    let mut running = Running::start(&bench, "- --config c.toml --state .anomaly");
    running.send(&(HEADER.to_owned() + &rows(0..21, &FAULTS).concat()));
    running.next_line();
    let listed = bench.run("alerts list --json", "");
    assert_eq!((listed.stdout.lines().count(), listed.code), (1, 0), "{}", listed.stderr);
    let id = value(&bench, "alerts list --json")["alert"].as_str().expect("a name").to_owned();
    let shown = bench.run(&format!("alerts show {id}"), "");
    assert!(shown.stdout.contains("critical: "), "{}", shown.stdout);
    running.kill();
    let listed = bench.run("alerts list --json", "");
    assert_eq!((listed.stdout.lines().count(), listed.code), (1, 0), "{}", listed.stderr);
}

#[test]
fn a_run_that_has_the_state_for_itself_acknowledges_for_others() {
    let bench = Bench::new();
    bench.put("c.toml", FIXED);
    let mut running = Running::start(&bench, "- --config c.toml --state .anomaly --json");
    running.send(&(HEADER.to_owned() + &rows(0..21, &FAULTS).concat()));
    running.next_line();
    check(
        &bench,
        "alerts ack f1 --by ann",
        expect![[r#"
            --- stderr
            a run uses the state in .anomaly: it acknowledges alert f10791a5c2a28229 with its next row
            --- exit 0
        "#]],
    );
    assert!(bench.run("alerts list", "").stdout.contains("  soon: ann  "));
    // It looks once a second: the fault goes on until then.
    let rows = (0..).map(|i| format!("2026-01-01T01:{:02}:{:02}Z,900,3\n", i / 60 % 60, i % 60));
    let line = rows.take(1_200).find_map(|row| {
        running.send(&row);
        running.line_within(Duration::from_millis(50))
    });
    let line: Value = serde_json::from_str(&line.expect("a line before the deadline")).expect("JSON");
    assert_eq!(
        (&line["step"], &line["by"], &line["number"]),
        (&"acknowledged".into(), &"ann".into(), &2.into())
    );
    let listed = value(&bench, "alerts list --json");
    assert_eq!(listed["acknowledged_by"], "ann", "{listed}");
    assert_eq!(std::fs::read_dir(bench.path(".anomaly/asked")).expect("there").count(), 0);
    assert_eq!(bench.run("alerts ack f1", "").stderr.lines().count(), 1, "somebody has seen it");
    assert_eq!(running.end().0, 1);
}

#[test]
fn what_a_run_was_asked_before_it_ended_is_done_by_the_next() {
    let bench = Bench::new();
    piped(&bench, 0..21);
    let id = value(&bench, "alerts list --json")["alert"].as_str().expect("a name").to_owned();
    let ask = |alert: &str| format!("{{\"alert\":\"{alert}\",\"by\":\"ann\",\"at_ms\":1767225625000}}");
    bench.put(&format!(".anomaly/asked/{id}"), ask(&id));
    bench.put(".anomaly/asked/other", ask("other"));
    let said = piped(&bench, 21..32);
    assert!(said.stdout.starts_with("ACKNOWLEDGED stdin: slow at 2026-01-01T00:00:25Z"), "{}", said.stdout);
    assert!(!said.stdout.contains("STILL"), "{}", said.stdout);
    assert_eq!(std::fs::read_dir(bench.path(".anomaly/asked")).expect("there").count(), 0);
    assert_eq!(piped(&bench, 32..33).stdout, "", "once");
}

#[test]
fn a_state_of_an_earlier_release_is_listed_too() {
    let bench = Bench::new();
    bench.put(".anomaly/state", crate::state::of_release(1));
    let listed = bench.run("alerts list", "");
    assert!(listed.stdout.contains("f10791a5c2a28229"), "{}", listed.stderr);
    let said = bench.run("alerts ack f1", "");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("fired under a release that kept no steps"), "{}", said.stderr);
    bench.put(".anomaly/state", "hello");
    let said = bench.run("alerts list", "");
    assert!(said.stderr.contains("the state in .anomaly/state is damaged"), "{}", said.stderr);
    assert_eq!(said.code, 2);
}

/// Whichever build it is: without the AWS side it says how to get it, with it which keys are missing.
#[test]
fn a_stack_needs_the_aws_side_and_keys() {
    let bench = Bench::new();
    for args in ["alerts list --stack web", "alerts ack f1 --stack web", "why f1 --stack web"] {
        let said = bench.run(args, "");
        let names_it = ["--features aws", "AWS_REGION"].iter().any(|word| said.stderr.contains(word));
        assert!(said.code == 2 && names_it, "{args}: {said:?}");
    }
    let said = bench.run("alerts list --stack web --state .anomaly", "");
    assert!(said.code == 2 && said.stderr.contains("cannot be used with"), "{said:?}");
    let said = bench.run("alerts list --every", "");
    assert!(said.code == 2 && said.stderr.contains("--stack"), "{said:?}");
}

/// Told again when the time is over, though the rule asks for no reminders; what was said is shown, and told with it.
#[test]
fn one_is_acknowledged_for_a_time_and_with_a_note() {
    let bench = Bench::new();
    bench.put("c.toml", FIXED);
    let pipe = |range: std::ops::Range<u32>| {
        let rows = HEADER.to_owned() + &rows(range, &FAULTS).concat();
        bench.pipe("- --config c.toml --state .anomaly --quiet", rows)
    };
    pipe(0..24);
    let ack = |more: &[&str]| {
        let output = std::process::Command::new(crate::anomaly())
            .current_dir(bench.dir.path())
            .args(["alerts", "ack", "f1", "--by", "ann"])
            .args(more)
            .output()
            .expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().expect("no signal"), text(&output.stdout) + &text(&output.stderr))
    };
    for (more, why) in [
        (["--for", "soon"], "it is no length of time; write 30m, 2h or 3d"),
        (["--for", "0s"], "it is no length of time"),
        (["--for", "9 readings"], "it is no length of time"),
        (["--note", "a\u{1b}b"], "it is one line, without control characters"),
        (["--note", " "], "it says nothing"),
    ] {
        let (code, said) = ack(&more);
        assert!(code == 2 && said.contains(why), "{more:?}: {said}");
    }
    let (_, said) = ack(&["--note", &"x".repeat(201)]);
    assert!(said.contains("it has 201 characters; at most 200 are kept"), "{said}");

    let said = ack(&["--for", "3s", "--note", "the disk is being replaced"]).1;
    assert!(
        said.contains("by ann; no reminders for 3 s unless it gets worse\n  the disk is being"),
        "{said}"
    );
    assert!(ack(&[]).1.contains("was acknowledged before, by ann, for 3 s: the disk is being replaced"));
    let line = bench.run("alerts list", "").stdout;
    assert!(line.contains("ann, for 3 s: the disk is being replaced"), "{line}");
    let line = value(&bench, "alerts list --json");
    assert_eq!(
        (&line["note"], &line["acknowledged_for_ms"]),
        (&"the disk is being replaced".into(), &3_000.into())
    );

    let said = pipe(24..65).stdout;
    let again = said.split("\n\n").find(|block| block.starts_with("STILL")).expect("it is told again");
    assert!(again.contains("at 2026-01-01T00:00:27Z"), "three seconds from the next reading on: {again}");
    assert!(again.contains("it was acknowledged by ann, for 3 s: the disk is being replaced"), "{again}");
    let shown = bench.run("alerts show f1", "").stdout;
    assert!(shown.contains("acknowledged  by ann, for 3 s: the disk is being replaced"), "{shown}");
}
