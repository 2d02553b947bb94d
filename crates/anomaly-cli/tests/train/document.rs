//! The commands in docs/training.md do what is said there.

use super::{Bench, csv};

/// What the document's commands read.
fn furnished() -> Bench {
    let bench = Bench::new();
    let labelled: String = csv(600)
        .lines()
        .enumerate()
        .map(|(n, line)| match n {
            0 => format!("{line},is_fault\n"),
            n => format!("{line},{}\n", u8::from((100..110).contains(&n))),
        })
        .collect();
    bench.put("history.csv", &labelled);
    bench.put("today.csv", &labelled);
    bench.put("anomaly.toml", include_str!("../../../../anomaly.toml"));
    bench.put("nyc_taxi.csv", csv(600));
    bench.put("maintenance.csv", "start,end,why\n2026-01-01T02:00,2026-01-01T03:00,disk\n");
    bench.put(
        "faults.json",
        r#"{"faults": [{"start": "2026-01-01T01:40:00Z", "end": "2026-01-01T01:49:00Z"}]}"#,
    );
    bench
}

/// The lines of blocks that say no language; one that ends with a backslash goes on.
fn commands(document: &str) -> Vec<String> {
    let (mut language, mut commands) = (None, Vec::new());
    let document = document.replace("\\\n", " ");
    for line in document.lines() {
        language = match (line.strip_prefix("```"), language) {
            (Some(_), Some(_)) => None,
            (Some(opened), None) => Some(opened),
            (None, language) => {
                commands.extend((language == Some("")).then(|| line.to_owned()));
                language
            }
        };
    }
    commands
}

#[test]
fn its_commands_run() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/training.md");
    let document = std::fs::read_to_string(path).expect("there");
    let bench = furnished();
    let (mut train, mut detect) = (0, 0);
    for line in commands(&document) {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let said = match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["anomaly", "train", ..] => {
                train += 1;
                // The forests of the document are larger than a test needs; what is said last counts.
                let small = line.replace("--shingle 48", "--shingle 4");
                let args = small.trim_start_matches("anomaly ");
                bench.anomaly(&format!("{args} --time timestamp"))
            }
            ["anomaly", "detect", ..] => {
                detect += 1;
                bench.anomaly(line.trim_start_matches("anomaly "))
            }
            // A test of its own starts it.
            ["anomaly", "serve", ..] => continue,
            ["anomaly", "render", ..] => {
                let said = bench.anomaly(line.trim_start_matches("anomaly "));
                assert_eq!(said.code, 0, "{line}: {said:?}");
                continue;
            }
            // Those of others.
            ["aws" | "docker", ..] => continue,
            _ => panic!("{line:?} is none of the commands that are known here"),
        };
        // 1: something is anomalous.
        assert!((0..=1).contains(&said.code) && !said.stderr.contains("error"), "{line}: {said:?}");
    }
    assert_eq!((train, detect), (7, 2));
}
