//! Every method of a rule on every detector's scores, and on the values where it is made for them.
//!
//! A detector scores a series once; each rule then judges the same scores through `classify`, as it does in
//! production. `alert` is 1 on the rows on which people are told that something is wrong: that an alert fires, or is
//! worse.

use std::fs;
use std::path::Path;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::config::{Config, Model, ModelKind, Rule};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::time::Timestamp;
use anomaly_detect::{Detector, Forest, ForestOptions, Streaming, StreamingOptions};
use anyhow::{Context, Result, bail};

use crate::series_under;

/// The settings are the documented defaults; `static` and `rate-of-change` have none, and take the streaming score's
/// 0.5, worse at 0.8, as its default rule does. Both are only for it: a forest's scores and values have scales of their
/// own.
const OF_STREAMING: &[&str] =
    &[r#""kind":"static","threshold":0.5"#, r#""kind":"rate-of-change","threshold":0.5"#];
/// On any number.
const OF_ALL: &[&str] = &[
    r#""kind":"sigma","k":3.5"#,
    r#""kind":"robust""#,
    r#""kind":"quantile""#,
    r#""kind":"evt""#,
    r#""kind":"spike-and-dip""#,
    r#""kind":"change-point""#,
];
/// When an alert fires and is over, the default rule's and that of the streaming detector's; and for how long others
/// are not told.
const LIVES: [(&str, &str, Option<&str>); 4] = [
    ("3 of 4", "30 of 30", None),
    ("3 of 4", "30 of 30", Some("100 readings")),
    ("1 of 1", "64 of 64", None),
    ("1 of 1", "64 of 64", Some("100 readings")),
];

/// The numbers of a series: each row's line, value and score.
struct Row {
    line: String,
    value: f64,
    score: Option<f64>,
}

/// Judges every series under `data` by every rule on `what`: `streaming`, `forest` or `value`. Writes a folder for
/// each rule into `results`, and prints a line for each: the folder, the method, `for` and `quiet`.
pub(crate) fn run(what: &str, data: &Path, results: &Path) -> Result<Vec<String>> {
    let series = series_under(data)?;
    let scored = series.iter().map(|file| read(file, what)).collect::<Result<Vec<_>>>()?;
    let mut told = Vec::new();
    let of_streaming = OF_STREAMING.iter().filter(|_| what == "streaming");
    for method in of_streaming.chain(OF_ALL) {
        for life in LIVES {
            let policy = policy(what, method, life)?;
            let (hold, _, quiet) = life;
            let folder = format!("{what}-{}", told.len());
            for (file, rows) in series.iter().zip(&scored) {
                let to = results.join(&folder).join(file.strip_prefix(data)?);
                fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
                fs::write(&to, judge(&policy, rows)?).with_context(|| to.display().to_string())?;
            }
            let method = method.replace("\"kind\":", "").replace(['"', ':'], " ").replace("  ", " ");
            let quiet = quiet.unwrap_or("none");
            told.push(format!("{folder}\t{}\t{hold}\t{quiet}", method.trim().replace(" ,", ",")));
        }
    }
    Ok(told)
}

fn policy(what: &str, method: &str, (hold, clear, quiet): (&str, &str, Option<&str>)) -> Result<Policy> {
    let (on, direction) = if what == "value" { ("value", "both") } else { ("score", "high") };
    let quiet = quiet.map_or_else(String::new, |quiet| format!(r#","quiet":"{quiet}""#));
    let mut rule: Rule = serde_json::from_str(&format!(
        r#"{{"on":"{on}","method":{{{method}}},"direction":"{direction}","for":"{hold}","clear":{{"for":"{clear}"}}{quiet}}}"#
    ))?;
    if OF_STREAMING.contains(&method) {
        let of_embedded = Config::from_toml("[model]\nkind = \"embedded\"\n")?;
        rule.severity.clone_from(&of_embedded.rules.first().context("a default rule")?.severity);
    }
    Ok(Policy::new(&Config { rules: vec![rule], ..Config::default() }, &["value".to_owned()]))
}

fn judge(policy: &Policy, rows: &[Row]) -> Result<String> {
    let mut text = String::from("timestamp,value,anomaly_score,alert\n");
    let mut state = SeriesState::default();
    for (number, row) in (0..).zip(rows) {
        let judgement = classify(policy, &mut state, &scored(number, row)?, "bench");
        let score =
            judgement.findings.first().and_then(|found| Some(found.finding.margin()?.anomaly_score()));
        let told = judgement.transitions.iter().any(Transition::is_alarm);
        text.push_str(&format!("{},{},{}\n", row.line, score.unwrap_or(0.0), u8::from(told)));
    }
    Ok(text)
}

/// Rows are five minutes apart: no rule here minds the time.
fn scored(number: u32, row: &Row) -> Result<Scored> {
    let at = Timestamp::from_ms(1_400_000_000_000 + i64::from(number) * 300_000).context("no such time")?;
    let position = Position {
        partition: "file".into(),
        sequence: Sequence::from(u64::from(number)),
        sub: 0,
        arrived: at,
    };
    let series = SeriesId::new("series").map_err(|reject| anyhow::anyhow!("{reject}"))?;
    let reading = Reading { series, at, features: vec![row.value], filled: Vec::new(), position };
    Ok(Scored { reading, score: row.score })
}

fn read(file: &Path, what: &str) -> Result<Vec<Row>> {
    let mut detector: Option<Box<dyn Detector>> = match what {
        "streaming" => Some(Box::new(Streaming::new(StreamingOptions::default()))),
        "forest" => {
            // As `anomaly detect` makes it.
            let shingle = Model { kind: ModelKind::Forest, ..Config::default().model }.shingle();
            Some(Box::new(Forest::new(ForestOptions { shingle, ..ForestOptions::default() })?))
        }
        "value" => None,
        _ => bail!("no scores {what:?}: streaming, forest or value"),
    };
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let row = |line: &str| {
        let (at, value) = line.split_once(',').with_context(|| format!("no comma in {line:?}"))?;
        let value = value.trim().parse().with_context(|| format!("no number in {line:?}"))?;
        let score = match &mut detector {
            Some(detector) => {
                detector.pass(Timestamp::parse(at).with_context(|| format!("no time in {line:?}"))?);
                let score = detector.score(&[value])?;
                detector.learn(&[value])?;
                score
            }
            None => None,
        };
        Ok(Row { line: line.to_owned(), value, score })
    };
    text.lines().skip(1).filter(|line| !line.is_empty()).map(row).collect()
}
