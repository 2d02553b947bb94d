//! `anomaly rejects` on the file that `anomaly detect --rejects` writes.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use expect_test::{Expect, expect};
use tempfile::TempDir;

const ROWS: &str = "{\"series\":\"a\",\"time\":\"2026-01-01T00:00:00Z\",\"value\":1}\n\
    {\"series\":\"a\",\"time\":\"2026-01-01T00:00:01Z\",\"value\":\"high\"}\n\
    {\"series\":\"a\",\"time\":\"2026-01-01T00:00:02Z\"}\n\
    no json\u{1b}[2J\n\
    {\"series\":\"a\",\"time\":\"2026-01-01T00:00:04Z\",\"value\":\"low\"}\n";

/// A folder with `rows.jsonl` and the rejects among them.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("rows.jsonl"), ROWS).expect("written");
    run(folder.path(), "detect rows.jsonl --value value --rejects rejects.jsonl --quiet", "");
    folder
}

/// Exit code, stdout and stderr.
fn run(folder: &Path, arguments: &str, stdin: &str) -> (i32, String, String) {
    let mut command = Command::cargo_bin("anomaly").expect("it is built");
    let command = command.args(arguments.split_whitespace()).current_dir(folder).write_stdin(stdin);
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn check(folder: &Path, arguments: &str, expected: Expect) {
    let (code, stdout, stderr) = run(folder, arguments, "");
    // What the configuration's version is, is told by the file too.
    let kept = fs::read_to_string(folder.join("rejects.jsonl")).expect("rejects");
    let kept: serde_json::Value = serde_json::from_str(kept.lines().next().unwrap_or("{}")).expect("JSON");
    let version = kept["by"]["configuration"].as_str().unwrap_or("?");
    let stdout = stdout.replace(version, "the-version!");
    expected.assert_eq(&format!("{stdout}--- stderr\n{stderr}--- exit {code}\n"));
}

#[test]
fn they_are_listed_and_shown() {
    let folder = folder();
    check(
        folder.path(),
        "rejects list rejects.jsonl",
        expect![[r#"
            78ebb11ead37  -                     not-a-number  the-version!  rows.jsonl 2  {"series":"a","time":"2026-01-01T00:00:01Z","value":"high"}
            c42e8dc27373  -                     missing       the-version!  rows.jsonl 3  {"series":"a","time":"2026-01-01T00:00:02Z"}
            9fbdaf000744  -                     json          the-version!  rows.jsonl 4  no json [2J
            5a5ccfab2a5e  -                     not-a-number  the-version!  rows.jsonl 5  {"series":"a","time":"2026-01-01T00:00:04Z","value":"low"}
            --- stderr
            4 rejects: 1 json, 1 missing, 2 not-a-number
            --- exit 0
        "#]],
    );
    check(
        folder.path(),
        "rejects list rejects.jsonl --reason missing",
        expect![[r#"
            c42e8dc27373  -                     missing  the-version!  rows.jsonl 3  {"series":"a","time":"2026-01-01T00:00:02Z"}
            --- stderr
            1 reject: 1 missing
            --- exit 0
        "#]],
    );
    let (_, listed, _) = run(folder.path(), "rejects list rejects.jsonl --reason missing", "");
    let id = listed.split_whitespace().next().expect("a name").to_owned();
    check(
        folder.path(),
        &format!("rejects show {} rejects.jsonl", &id[..6]),
        expect![[r#"
            reject   c42e8dc27373
            reason   missing: value is missing
            also     InputDeserializerError.MissingColumns, as Azure Stream Analytics calls it
            by       configuration the-version!, release 0.1.0
            from     rows.jsonl 3
            arrived  -
            bytes    44, SHA-256 dd9695f0825069732b0a3e0387f2dbe1bfe98cba3232c6416280e397a22ece2b
            record   {"series":"a","time":"2026-01-01T00:00:02Z"}
            --- stderr
            --- exit 0
        "#]],
    );
    let (_, json, _) = run(folder.path(), "rejects list rejects.jsonl --json", "");
    let ids: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].to_string())
        .collect();
    assert_eq!((ids.len(), ids.contains(&format!("{id:?}"))), (4, true));
}

/// By the configuration there is now, by another, or kept before it was said.
#[test]
fn they_say_whether_the_configuration_is_another_now() {
    let folder = folder();
    let configured = |text: &str| fs::write(folder.path().join("anomaly.toml"), text).expect("written");
    let listed =
        |more: &str| run(folder.path(), &format!("rejects list rejects.jsonl --reason missing {more}"), "");
    let (_, _, without) = listed("");
    configured("[input]\nseries = \"/series\"\ntime = \"/time\"\nfeatures = [\"/value\"]\n");
    run(folder.path(), "detect rows.jsonl --config anomaly.toml --rejects rejects.jsonl --quiet", "");
    let (_, same, told_same) = listed("");
    configured("[input]\nseries = \"/series\"\ntime = \"/time\"\nfeatures = [\"/temperature\"]\n");
    let (_, changed, told_changed) = listed("");
    assert_eq!((without.lines().count(), told_same.lines().count()), (1, 1), "{without}{told_same}");
    assert_eq!(
        told_changed,
        "1 reject: 1 missing\n1 by another configuration or release than now (*): to be tried again\n"
    );
    assert_eq!((same.contains('*'), changed.replacen('*', " ", 1)), (false, same.clone()));
    let id = same.split_whitespace().next().expect("a name").to_owned();
    let by = |more: &str| {
        let (_, shown, _) = run(folder.path(), &format!("rejects show {id} rejects.jsonl {more}"), "");
        shown.lines().find_map(|line| line.strip_prefix("by       ").map(str::to_owned)).expect("a line")
    };
    let version = same.split_whitespace().nth(3).expect("a version").to_owned();
    assert!(by("").starts_with(&format!("configuration {version}, release 0.1.0: now it is ")), "{}", by(""));
    let (_, json, _) = listed("--json");
    assert!(json.contains(r#""by_now":false"#), "{json}");
    let (code, _, told) = listed("--config nothing.toml");
    assert_eq!((code, told.starts_with("error: nothing.toml cannot be read")), (2, true));

    // A reject of a release that said nothing of it.
    let kept = fs::read_to_string(folder.path().join("rejects.jsonl")).expect("rejects");
    let said = format!(r#""by":{{"configuration":"{version}","release":"0.1.0"}},"#);
    assert!(kept.contains(&said), "{kept}");
    fs::write(folder.path().join("rejects.jsonl"), kept.replace(&said, "")).expect("written");
    let (_, old, told) = listed("");
    assert_eq!((old, told.lines().count()), (same.replace(&version, &format!("{:12}", "-")), 1));
    assert_eq!(by(""), "what it does not say: a release before this");
}

#[test]
fn they_come_out_as_they_were() {
    let folder = folder();
    let (code, records, stderr) =
        run(folder.path(), "rejects redrive rejects.jsonl --reason not-a-number", "");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let rows: Vec<&str> = ROWS.lines().collect();
    assert_eq!(records.lines().collect::<Vec<_>>(), [rows[1], rows[4]]);
    // Mended by hand, they are readings.
    let (_, _, told) = run(folder.path(), "detect - --value value", &records.replace("\"high\"", "7"));
    assert!(told.contains("1 reading of 1 series") && told.contains("1 reject"), "{told}");
}

#[test]
fn mistakes_are_told() {
    let folder = folder();
    fs::write(folder.path().join("other.jsonl"), "{\"v\":1}\n").expect("written");
    check(
        folder.path(),
        "rejects list nothing.jsonl",
        expect![[r#"
        --- stderr
        error: nothing.jsonl cannot be read: No such file or directory (os error 2)
        --- exit 2
    "#]],
    );
    check(
        folder.path(),
        "rejects list other.jsonl",
        expect![[r#"
        --- stderr
        error: other.jsonl line 1 is no reject: malformed message: missing field `partition` at line 1 column 7
        --- exit 2
    "#]],
    );
    check(
        folder.path(),
        "rejects list rejects.jsonl --reason typo",
        expect![[r#"
        --- stderr
        error: no reject has the reason "typo"; there are: json, missing, not-a-number
        --- exit 2
    "#]],
    );
    check(
        folder.path(),
        "rejects show ffffffffffff rejects.jsonl",
        expect![[r#"
        --- stderr
        error: no reject has the name "ffffffffffff"
        hint: anomaly rejects list
        --- exit 2
    "#]],
    );
    check(
        folder.path(),
        "rejects redrive rejects.jsonl --id zz",
        expect![[r#"
        --- stderr
        error: no reject has the name "zz"
        hint: anomaly rejects list
        --- exit 2
    "#]],
    );
}
