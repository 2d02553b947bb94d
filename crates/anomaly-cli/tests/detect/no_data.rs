//! Series that fall silent while others go on.

use expect_test::expect;

use crate::Bench;

const CONFIG: &str = r#"
[input]
series = "/host"
time = "/at"
features = ["/cpu"]
[model]
kind = "none"
[[rule]]
name = "quiet"
method = { kind = "no-data", after = "10m" }
"#;

/// Rows `host@minute`, each with its minute as value.
fn rows(text: &str) -> String {
    let row = |word: &str| {
        let (host, minute) = word.split_once('@').expect("host@minute");
        let minute: u32 = minute.parse().expect("a number");
        format!("2026-01-01T{:02}:{:02}:00Z,{host},{minute}\n", minute / 60, minute % 60)
    };
    text.split_whitespace().map(row).collect()
}

fn file(text: &str) -> String {
    "at,host,cpu\n".to_owned() + &rows(text)
}

/// web-2 falls silent for good, web-1 for a quarter of an hour; web-3 comes late and goes on.
const STORY: &str =
    "web-1@0 web-2@0 web-1@5 web-2@5 web-1@10 web-3@12 web-3@16 web-3@20 web-1@25 web-3@30 web-1@34";
const ARGS: &str = "web.csv --config c.toml --alerts alerts.jsonl --findings findings.jsonl";

#[test]
fn silence_is_told_at_its_place() {
    let bench = Bench::new();
    bench.put("c.toml", CONFIG);
    bench.put("web.csv", file(STORY));
    let said = bench.detect(ARGS);
    expect![[r#"
        WARNING web-2: quiet at 2026-01-01T00:15:00Z
          no data from web-2 for 10 min (last seen 2026-01-01T00:05:00Z); its last reading was
          cpu  5
          alert 6f3716405f6428ff transition 1

        WARNING web-1: quiet at 2026-01-01T00:20:00Z
          no data from web-1 for 10 min (last seen 2026-01-01T00:10:00Z); its last reading was
          cpu  10
          alert 18485676bc1e259e transition 1

        WORSE, CRITICAL web-2: quiet at 2026-01-01T00:20:00Z
          no data from web-2 for 15 min (last seen 2026-01-01T00:05:00Z); its last reading was
          cpu  5
          alert 6f3716405f6428ff transition 2

        WORSE, CRITICAL web-1: quiet at 2026-01-01T00:25:00Z
          no data from web-1 for 15 min (last seen 2026-01-01T00:10:00Z); its last reading was
          cpu  10
          alert 18485676bc1e259e transition 2

        RESOLVED web-1: quiet at 2026-01-01T00:25:00Z
          no data from web-1 for 15 min (last seen 2026-01-01T00:10:00Z); and now
          cpu  25
          alert 18485676bc1e259e transition 3

        WARNING web-3: quiet at 2026-01-01T00:30:00Z
          no data from web-3 for 10 min (last seen 2026-01-01T00:20:00Z); its last reading was
          cpu  20
          alert 5ee9fedc8b7f08b5 transition 1

        RESOLVED web-3: quiet at 2026-01-01T00:30:00Z
          no data from web-3 for 10 min (last seen 2026-01-01T00:20:00Z); and now
          cpu  30
          alert 5ee9fedc8b7f08b5 transition 2
        --- stderr
        web.csv: time at; series by host; features cpu
        11 readings of 3 series, 3 alerts (2 resolved, 1 still firing), 0 rejects, N s
        --- exit 1
    "#]]
    .assert_eq(&said.transcript());
    let silences = bench.get("findings.jsonl");
    let silences: Vec<&str> = silences.lines().filter(|line| line.contains(r#""anomalous":true"#)).collect();
    expect![[r#"
        {"row":7,"series":"web-2","time":"2026-01-01T00:15:00Z","rule":"quiet","on":"silence","value":600.0,"score":null,"state":"anomalous","anomalous":true,"severity":"warning","threshold":600.0,"excess":1.0000000000000002,"because":"warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:05:00Z)","alert":"an alert fires"}
        {"row":8,"series":"web-1","time":"2026-01-01T00:20:00Z","rule":"quiet","on":"silence","value":600.0,"score":null,"state":"anomalous","anomalous":true,"severity":"warning","threshold":600.0,"excess":1.0000000000000002,"because":"warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:10:00Z)","alert":"an alert fires"}
        {"row":8,"series":"web-2","time":"2026-01-01T00:20:00Z","rule":"quiet","on":"silence","value":900.0,"score":null,"state":"anomalous","anomalous":true,"severity":"critical","threshold":600.0,"excess":1.5,"because":"critical: no data for 15 min, silent from 10 min (last seen 2026-01-01T00:05:00Z)","alert":"the alert is worse than it was"}
        {"row":9,"series":"web-1","time":"2026-01-01T00:25:00Z","rule":"quiet","on":"silence","value":900.0,"score":null,"state":"anomalous","anomalous":true,"severity":"critical","threshold":600.0,"excess":1.5,"because":"critical: no data for 15 min, silent from 10 min (last seen 2026-01-01T00:10:00Z)","alert":"the alert is worse than it was"}
        {"row":9,"series":"web-1","time":"2026-01-01T00:25:00Z","rule":"quiet","on":"silence","value":900.0,"score":null,"state":"anomalous","anomalous":true,"severity":"critical","threshold":600.0,"excess":1.5,"because":"critical: no data for 15 min, silent from 10 min (last seen 2026-01-01T00:10:00Z)","alert":"the alert is over"}
        {"row":10,"series":"web-3","time":"2026-01-01T00:30:00Z","rule":"quiet","on":"silence","value":600.0,"score":null,"state":"anomalous","anomalous":true,"severity":"warning","threshold":600.0,"excess":1.0000000000000002,"because":"warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:20:00Z)","alert":"an alert fires"}
        {"row":10,"series":"web-3","time":"2026-01-01T00:30:00Z","rule":"quiet","on":"silence","value":600.0,"score":null,"state":"anomalous","anomalous":true,"severity":"warning","threshold":600.0,"excess":1.0000000000000002,"because":"warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:20:00Z)","alert":"the alert is over"}"#]].assert_eq(&silences.join("\n"));
    let said = bench.detect("web.csv --config c.toml --explain web-2@2026-01-01T00:15:00Z");
    expect![[r#"
        web-2 at 2026-01-01T00:15:00Z, row 7
        quiet on silence: warning: no data for 10 min, silent from 10 min (last seen 2026-01-01T00:05:00Z)
          excess 1; normal with `after` above 10 min
          an alert fires
    "#]]
    .assert_eq(&said.stdout);
}

/// One series behind the other, and a clock that is years ahead, silence nobody.
#[test]
fn the_clock_is_that_of_the_row_at_hand() {
    let bench = Bench::new();
    bench.put("c.toml", CONFIG);
    bench.put("web.csv", file("a@0 a@5 a@10 a@15 a@20 b@0 b@5 b@10 b@15 b@20 c@1 c@6 c@11 c@16 c@20"));
    let said = bench.detect("web.csv --config c.toml");
    assert_eq!((said.stdout.as_str(), said.code), ("", 0));
    bench.put("web.csv", file("a@0 b@0 c@1439 a@1 b@1 a@2 b@2 a@3 b@3"));
    let said = bench.detect("web.csv --config c.toml --alerts alerts.jsonl");
    let alerts = bench.get("alerts.jsonl");
    assert_eq!(
        (alerts.matches("\"fired\"").count(), alerts.matches("\"resolved\"").count()),
        (2, 2),
        "{}",
        said.stdout
    );
}

#[test]
fn a_restart_changes_nothing() {
    let whole = Bench::new();
    whole.put("c.toml", CONFIG);
    whole.put("web.csv", file(STORY));
    whole.detect(ARGS);
    let words: Vec<&str> = STORY.split_whitespace().collect();
    for cut in 1..words.len() {
        let bench = Bench::new();
        bench.put("c.toml", CONFIG);
        let args = format!("{ARGS} --state s");
        for rows in [&words[..cut], &words[..]] {
            bench.put("web.csv", file(&rows.join(" ")));
            bench.detect(&args);
        }
        for name in ["alerts.jsonl", "findings.jsonl"] {
            assert_eq!(bench.get(name), whole.get(name), "{name}, cut behind row {cut}");
        }
    }
}

#[test]
fn by_event_time_and_through_a_pipe_it_is_the_same() {
    let bench = Bench::new();
    bench.put("c.toml", CONFIG);
    bench.put("web.csv", file(STORY));
    bench.detect(ARGS);
    let alerts = bench.get("alerts.jsonl");
    let event_time = "[input.event_time]\nlate = \"16s\"\nout_of_order = \"5m\"\n[model]";
    bench.put("c.toml", CONFIG.replace("[model]", event_time));
    bench.detect(ARGS);
    assert_eq!(bench.get("alerts.jsonl"), alerts);
    bench.put("c.toml", CONFIG);
    bench.pipe("- --config c.toml --alerts piped.jsonl", file(STORY));
    assert_eq!(bench.get("piped.jsonl"), alerts);
}

#[test]
fn a_rule_in_a_few_words() {
    let bench = Bench::new();
    bench.put("web.csv", file(STORY));
    let said = bench.detect("web.csv --series host --value cpu --time at --rule no-data:after=10m");
    assert!(
        said.stdout.contains("WARNING web-2: no-data at 2026-01-01T00:15:00Z"),
        "{}{}",
        said.stdout,
        said.stderr
    );
}
