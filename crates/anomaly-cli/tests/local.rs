//! `anomaly local`: the functions' handlers on the files in events/.
#![cfg(feature = "aws")]

use std::path::Path;

use assert_cmd::Command;
use expect_test::{Expect, expect};

/// Runs `anomaly local`; answers its exit code, stdout and stderr.
fn run(arguments: &str) -> (i32, String, String) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut command = Command::cargo_bin("anomaly").expect("it is built");
    let output = command.arg("local").args(arguments.split_whitespace()).current_dir(root).output();
    let output = output.expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn check(arguments: &str, code: i32, stdout: &str, stderr: Expect) {
    let (found, out, err) = run(arguments);
    stderr.assert_eq(&err);
    assert_eq!((found, out.as_str()), (code, stdout));
}

const DONE: &str = "{\"batchItemFailures\":[]}\n";

#[test]
fn classify_tells_what_it_writes() {
    check(
        "classify -e events/sqs.json -c events/anomaly.toml",
        0,
        DONE,
        expect![[r#"
            wrote webserver, revision 1: 580 bytes
            with CRITICAL webserver: slow at 2026-11-21T04:10:55Z
              latency_ms 2000 against 100 (fixed)
              since 2026-11-21T04:10:54Z
              latency_ms   2000  ▁▁▁▁▁▁██
              requests        0  ▆███▇▁▁▁
              cpu_percent     0  ▆██▇▆▁▁▁
              memory_mb       0  █████▁▁▁
              alert f7ac214017d816f9 transition 1
        "#]],
    );
}

#[test]
fn publish_tells_the_message() {
    check(
        "publish -e events/dynamodb.json",
        0,
        DONE,
        expect![[r#"
        published: [CRITICAL] webserver: slow
        CRITICAL webserver: slow at 2026-11-21T04:10:55Z
          latency_ms 2000 against 100 (fixed)
          since 2026-11-21T04:10:54Z
          latency_ms   2000  ▁▁▁▁▁▁██
          requests        0  ▆███▇▁▁▁
          cpu_percent     0  ▆██▇▆▁▁▁
          memory_mb       0  █████▁▁▁
          alert f7ac214017d816f9 transition 1
    "#]],
    );
    check("publish -e events/sweep.json", 0, DONE, expect![[""]]);
}

#[test]
fn what_cannot_be_done_is_said() {
    check(
        "invoke -e events/kinesis.json",
        2,
        "",
        expect![[r#"
        error: no endpoint is called from here
        hint: --model MODEL scores with what `anomaly train` made, the scores `anomaly serve` would give
    "#]],
    );
    check(
        "classify -e events/kinesis.json",
        2,
        "",
        expect![[r#"
        error: this function takes an event of an SQS queue, and the event has records of "aws:kinesis"
    "#]],
    );
    check(
        "publish -e anomaly.toml",
        2,
        "",
        expect![[r#"
        error: anomaly.toml is not JSON: expected value at line 1 column 1
    "#]],
    );
}

#[test]
fn invoke_scores_with_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.tar.gz");
    let mut train = Command::cargo_bin("anomaly").expect("it is built");
    let history = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webserver.csv");
    train.args(["train", history, "--trees", "10", "-o"]).arg(&model).assert().success();
    let (code, stdout, stderr) =
        run(&format!("invoke -e events/kinesis-bad.json -c events/anomaly.toml -m {}", model.display()));
    assert_eq!((code, stdout.as_str()), (0, DONE));
    assert!(stderr.starts_with("queued a chunk of group 0-of-1: 2 readings, 9 rejects"), "{stderr}");
    assert!(stderr.contains(
        "rejected 49600000000000000000000000000000000000000000000000002075: the data is not Base64"
    ));
}

/// Every source's event is taken, and its reply printed word for word.
#[test]
fn invoke_takes_events_of_every_source() {
    let folder = tempfile::tempdir().expect("a folder");
    // Rules judge the values: no model is needed.
    let config = folder.path().join("anomaly.toml");
    let toml = include_str!("../../../events/anomaly.toml")
        .replace("\"endpoint\"\nendpoint = \"webserver\"", "\"none\"");
    let toml = toml.split("[[rule]]\nname   = \"too-strange\"").next().expect("a beginning");
    std::fs::write(&config, toml).expect("written");
    let firehose = r#"{"records":[{"recordId":"#;
    let http = |status| format!(r#"{{"statusCode":{status},"#);
    for (events, code, reply) in [
        ("sqs-records sqs-records-bad sqs-fifo kafka kafka-bad msk event-hubs pipes-kafka", 0, DONE),
        (
            "dynamodb-images dynamodb-images-bad sns eventbridge kinesis kinesis-bad kinesis-aggregated",
            0,
            DONE,
        ),
        ("firehose firehose-kinesis", 0, firehose),
        ("http http-array http-base64 http-test", 0, &http(200)),
        ("http-bad", 2, &http(400)),
        ("http-secret", 2, &http(401)),
        ("http-large", 2, &http(413)),
    ] {
        for event in events.split(' ') {
            let (found, stdout, stderr) =
                run(&format!("invoke -e events/{event}.json -c {}", config.display()));
            assert!(found == code && stdout.starts_with(reply), "{event}: {found} {stdout}{stderr}");
        }
    }
    let known =
        format!("invoke -e events/http-secret.json --secret open\u{a0}sesame -c {}", config.display());
    assert_eq!(run(&known).0, 2, "another secret");
    let mut command = Command::cargo_bin("anomaly").expect("it is built");
    let event = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/http-secret.json");
    command
        .args(["local", "invoke", "-e", event, "--secret", "open sesame", "-c"])
        .arg(&config)
        .assert()
        .success();
}
