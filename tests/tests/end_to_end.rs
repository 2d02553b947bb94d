//! The whole house: our template deployed on a cloud of this machine, our functions in it with the roles the
//! template gives them, records at one end and an inbox at the other.
//!
//! What arrives must be what `anomaly detect` says of the same records with the same model and the same
//! configuration: same alerts, same steps, same words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anomaly_core::time::Timestamp;
use anomaly_tests::command;
use anomaly_tests::house::{Crash, House, Stage};
use anomaly_tests::rig::{Rig, root, skip};
use anomaly_tests::scoring::Scoring;
use anomaly_tests::template;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// The example's series, judged by its scores.
const WEBSERVER: &str = r#"
[input]
series = "webserver"
time = "/timestamp"
features = ["/latency_ms", "/requests", "/cpu_percent", "/memory_mb"]
[model]
kind = "endpoint"
endpoint = "scorer"
"#;

/// The same series, with a rule that fires and clears every other moment: its threshold lies below one
/// reading in seven.
fn restless(csv: &str) -> String {
    let latency = |line: &str| line.split(',').nth(1)?.parse::<f64>().ok();
    let mut latencies: Vec<f64> = csv.lines().filter_map(latency).collect();
    latencies.sort_by(f64::total_cmp);
    let threshold = latencies[latencies.len() * 6 / 7];
    format!(
        r#"{WEBSERVER}
[[rule]]
name = "slow"
on = "value"
method = {{ kind = "static", threshold = {threshold:?} }}
for = "1 of 1"
clear = {{ below = 1.0, for = "1 of 1" }}
"#
    )
}

/// The same, in rows of three readings, in which a reading that is not there has the previous one's value.
const IN_ROWS: &str = r#"
[input]
series = "webserver"
time = "/timestamp"
features = ["/latency_ms", "/requests", "/cpu_percent", "/memory_mb"]
null = "previous"
[model]
kind = "endpoint"
endpoint = "scorer"
shingle = 3
"#;

/// A series of the Numenta Anomaly Benchmark.
const NAB: &str = r#"
[input]
series = "cpu"
time = "/timestamp"
features = ["/value"]
[model]
kind = "endpoint"
endpoint = "scorer"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_gets_what_the_laptop_says_and_gets_it_once() -> Result<()> {
    let Some(rig) = Rig::find("the_inbox_gets_what_the_laptop_says_and_gets_it_once")? else { return Ok(()) };
    let bench = Bench::new(WEBSERVER, &webserver()?)?;
    let expected = bench.alerts_on_the_laptop()?;
    ensure!(!expected.is_empty(), "the series has alerts");

    let scoring = bench.serve(&[])?;
    let mut house = House::deploy(&rig, &template::pipeline(WEBSERVER)?, scoring.url()).await?;
    let mut records = bench.records()?;
    for (index, fault) in FAULTS.iter().enumerate() {
        records.insert(records.len() / (index + 2), (*fault).to_owned());
    }
    house.put(&records).await?;
    let messages = house.settle().await?;
    ensure!(messages.len() == expected.len(), "{} messages, {} expected", messages.len(), expected.len());
    same(&messages, &expected)?;
    ensure!(house.rejects().await? == FAULTS.len(), "each record at fault is kept");

    // Delivered once more and cut differently, as after a crash of the source's reader.
    house.read_again(77).await?;
    let again = house.settle().await?;
    ensure!(again.is_empty(), "told twice: {again:?}");
    ensure!(house.transitions().await? == expected.len(), "the outbox grew");
    ensure!(house.rejects().await? == FAULTS.len(), "the rejects grew");
    Ok(())
}

/// Windows are in a table there and with the series here: the rows, and so the scores, are the same.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_several_readings_are_what_they_are_on_the_laptop() -> Result<()> {
    let Some(rig) = Rig::find("rows_of_several_readings_are_what_they_are_on_the_laptop")? else {
        return Ok(());
    };
    let csv: Vec<String> = webserver()?.lines().take(1_500).map(str::to_owned).collect();
    let bench = Bench::shingled(IN_ROWS, &with_holes(&csv.join("\n")), 3)?;
    let expected = bench.alerts_on_the_laptop()?;
    let filled = |alert: &&Value| alert["filled"].as_array().is_some_and(|filled| !filled.is_empty());
    ensure!(expected.iter().any(|alert| filled(&alert)), "something is filled in: {expected:?}");

    let scoring = bench.serve(&[])?;
    let mut house = House::deploy(&rig, &template::pipeline(IN_ROWS)?, scoring.url()).await?;
    house.put(&bench.records()?).await?;
    same(&house.settle().await?, &expected)?;
    house.read_again(77).await?;
    let again = house.settle().await?;
    ensure!(again.is_empty(), "told twice: {again:?}");
    Ok(())
}

/// Every third row without its third cell.
fn with_holes(csv: &str) -> String {
    let line = |(number, line): (usize, &str)| {
        let mut cells: Vec<&str> = line.split(',').collect();
        if let (true, Some(cell)) = (number > 1 && number % 3 == 0, cells.get_mut(3)) {
            *cell = "";
        }
        cells.join(",") + "\n"
    };
    csv.lines().enumerate().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_lose_nothing() -> Result<()> {
    let Some(rig) = Rig::find("crashes_lose_nothing")? else { return Ok(()) };
    let whole = webserver()?;
    let some: Vec<&str> = whole.lines().take(CRASH_ROWS + 1).collect();
    let some = some.join("\n");
    let toml = restless(&some);
    let bench = Bench::new(&toml, &some)?;
    let expected = bench.alerts_on_the_laptop()?;
    let records = bench.records()?;
    // What invoke itself mends. The rest it hands back record by record, which this cloud does not heed.
    let scoring = bench.serve(&["throttle:every=3", "internal:every=5"])?;
    let mut house = House::deploy(&rig, &template::pipeline(&toml)?, scoring.url()).await?;

    let crashes: Vec<(Stage, Crash)> = [Crash::BeforeAnything, Crash::InTheMiddle]
        .into_iter()
        .flat_map(|crash| Stage::ALL.map(|stage| (stage, crash)))
        .collect();
    let slices: Vec<&[String]> = records.chunks(records.len().div_ceil(crashes.len() + 1)).collect();
    let (first, rest) = slices.split_first().context("there are records")?;
    house.put(first).await?;
    let mut messages = house.settle().await?;
    for (slice, (stage, crash)) in rest.iter().zip(crashes) {
        house.put_and_crash(slice, stage, crash).await?;
        messages.extend(house.settle_sweeping().await?);
    }
    ensure!(expected.len() > 20, "every crash has something to lose: {}", expected.len());
    same(&messages, &expected)?;
    // One crash of publish may fall between the answer of SNS and the mark.
    ensure!(messages.len() <= expected.len() + 1, "{} messages for {}", messages.len(), expected.len());
    Ok(())
}

/// Who puts the same records on the stream once more gives them new sequence numbers: they are other records. What
/// they say has been said all the same, and with times that must not go back nobody is told of it again.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_records_put_twice_are_told_once_where_time_does_not_go_back() -> Result<()> {
    const TEST: &str = "the_same_records_put_twice_are_told_once_where_time_does_not_go_back";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let whole = webserver()?;
    let some: Vec<&str> = whole.lines().take(BAD_DAY_ROWS + 1).collect();
    let some = of_today(&some)?;
    let toml = restless(&some) + "[input.event_time]\nlate = \"24h\"\npolicy = \"drop\"\n";
    let bench = Bench::new(&toml, &some)?;
    let expected = bench.alerts_on_the_laptop()?;
    ensure!(expected.len() > 10, "there is something to tell twice: {}", expected.len());

    let scoring = bench.serve(&[])?;
    let mut house = House::deploy(&rig, &template::pipeline(&toml)?, scoring.url()).await?;
    let records = bench.records()?;
    house.put(&records).await?;
    same(&house.settle().await?, &expected)?;
    house.put(&records).await?;
    let again = house.settle().await?;
    ensure!(again.is_empty(), "told twice: {again:?}");
    ensure!(house.transitions().await? == expected.len(), "the outbox grew");
    // The last one's time is the newest there is, and so it is in order.
    ensure!(house.rejects().await? == records.len() - 1, "what is dropped is kept");
    Ok(())
}

/// The source is a queue, because this cloud does not heed what a function answers to a stream.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_throttled_then_down_then_back_loses_nothing() -> Result<()> {
    const TEST: &str = "an_endpoint_that_is_throttled_then_down_then_back_loses_nothing";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let whole = webserver()?;
    let some: Vec<&str> = whole.lines().take(BAD_DAY_ROWS + 1).collect();
    let some = some.join("\n");
    let toml = restless(&some) + "[source]\nkind = \"sqs-fifo\"\n";
    let bench = Bench::new(&toml, &some)?;
    let expected = bench.alerts_on_the_laptop()?;
    ensure!(expected.len() > 10, "every outage has something to lose: {}", expected.len());

    let throttled = bench.serve(&["throttle"])?;
    let house = House::deploy(&rig, &template::pipeline(&toml)?, throttled.url()).await?;
    house.send(&bench.records()?).await?;
    house.logged("ThrottlingException").await?;
    let address = throttled.stop();
    house.logged("Connection refused").await?;
    let _well = Scoring::serve_at(address.trim_start_matches("http://"), bench.model()?, &[])?;
    let messages = house.settle().await?;
    same(&messages, &expected)?;
    ensure!(messages.len() == expected.len(), "{} messages, {} expected", messages.len(), expected.len());
    ensure!(house.rejects().await? == 0, "an outage is no record's fault");
    Ok(())
}

/// If this passed with a permission missing, the test above would prove nothing about permissions.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_permission_publish_tells_nobody() -> Result<()> {
    let Some(rig) = Rig::find("without_its_permission_publish_tells_nobody")? else { return Ok(()) };
    let whole = template::pipeline(template::NO_MODEL)?;
    let template = whole.replacen("- Sid: Publish\n", "- Sid: Nothing\n", 1);
    let template = template.replacen(
        "Action: sns:Publish\n                Resource: !Ref Alerts\n",
        "Action: sns:GetTopicAttributes\n                Resource: !Ref Alerts\n",
        1,
    );
    ensure!(template != whole, "the permission was not found in the template");
    let mut house = House::deploy(&rig, &template, "http://127.0.0.1:1").await?;
    house.put(&[r#"{"series":"a","value":9.0}"#.to_owned()]).await?;
    house.refused("SNS:Publish").await?;
    ensure!(house.messages().await?.is_empty(), "somebody was told");
    ensure!(house.transitions().await? == 1, "the transition waits in the outbox");
    Ok(())
}

/// No endpoint, and alerts with a life: told again, held open while they flap, held back in quiet times and by a
/// calendar.
const LIVES: &str = r#"
[input]
series = "webserver"
time = "/timestamp"
features = ["/latency_ms", "/requests", "/cpu_percent", "/memory_mb"]
[model]
kind = "embedded"
[[rule]]
name = "too-strange"
method = { kind = "static", threshold = 0.5 }
for = "1 of 1"
clear = { for = "10 of 10" }
repeat = "20s"
quiet = "5m"
[[rule]]
name = "slow"
on = "latency_ms"
method = { kind = "robust" }
for = "1 of 1"
clear = { for = "5 of 5" }
flapping = { times = 3, within = "60 readings" }
learn = "normal"
[[calendar]]
name = "the disk is moved"
zone = "Europe/Berlin"
dates = ["2026-11-21T05:15..2026-11-21T05:22"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_detector_and_the_lives_of_alerts_are_those_of_the_laptop() -> Result<()> {
    const TEST: &str = "the_embedded_detector_and_the_lives_of_alerts_are_those_of_the_laptop";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let bench = Bench::without_model(LIVES, &webserver()?)?;
    let (held, told): (Vec<_>, Vec<_>) =
        bench.alerts_on_the_laptop()?.into_iter().partition(|t| t.get("held").is_some());
    let steps: BTreeSet<&str> = told.iter().filter_map(|t| t["step"].as_str()).collect();
    let every = ["escalated", "fired", "flapping", "repeated", "resolved"];
    ensure!(steps.into_iter().eq(every), "every step is there: {told:#?}");
    let why: BTreeSet<String> = held.iter().map(|t| t["held"].to_string()).collect();
    ensure!(why.len() > 1, "held back for several reasons: {why:?}");

    let mut house = House::deploy(&rig, &template::pipeline(LIVES)?, "http://127.0.0.1:1").await?;
    house.put(&bench.records()?).await?;
    same(&house.settle().await?, &told)?;
    ensure!(house.transitions().await? == told.len() + held.len(), "what is held back is written down");
    house.read_again(77).await?;
    ensure!(house.settle().await?.is_empty(), "told twice");
    Ok(())
}

/// Two series, of which one is not to be silent for a second.
const QUIET: &str = r#"
[input]
series = "/host"
features = ["/v"]
[model]
kind = "none"
[[rule]]
name = "quiet"
series = "web-*"
method = { kind = "no-data", after = "1s" }
severity = [{ at = 1.0, level = "warning" }]
"#;

/// The schedule's call, with the role and the index of the template.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_once_and_the_next_reading_ends_it() -> Result<()> {
    let Some(rig) = Rig::find("silence_is_told_once_and_the_next_reading_ends_it")? else { return Ok(()) };
    let mut house = House::deploy(&rig, &template::pipeline(QUIET)?, "http://127.0.0.1:9").await?;
    let record = |host: &str| format!(r#"{{"host":"{host}","v":7}}"#);
    house.put(&[record("web-1"), record("db-1")]).await?;
    ensure!(house.settle().await?.is_empty(), "nothing is silent yet");
    house.flush_until(1).await?;
    let [fired] = &house.settle().await?[..] else { bail!("one message") };
    let step = |t: &Value| [&t["series"], &t["step"], &t["on"]].map(ToString::to_string).join(" ");
    ensure!(step(fired) == r#""web-1" "fired" "silence""#, "{fired}");
    let ms = |key: &str| fired[key].as_i64().with_context(|| format!("{key} in {fired}"));
    ensure!(ms("at")? == ms("since")? + 1_000, "at its deadline: {fired}");
    house.put(&[record("web-1")]).await?;
    let resolved = house.settle().await?;
    let resolved = resolved.last().context("a message")?;
    ensure!(step(resolved) == r#""web-1" "resolved" "silence""#, "{resolved}");
    ensure!(resolved["alert"] == fired["alert"], "of the same alert");
    Ok(())
}

/// No model; an alert on each value above 5.
const HOT: &str = r#"
[input]
series = "/host"
features = ["/v"]
[model]
kind = "none"
[[rule]]
name = "hot"
method = { kind = "static", threshold = 5.0 }
on = "value"
for = "1 of 1"
clear = { for = "1 of 1" }
"#;

/// Which alerts a stack has, why, and that somebody has seen one: the words are the laptop's.
#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_of_a_stack_are_listed_shown_explained_and_acknowledged() -> Result<()> {
    const TEST: &str = "the_alerts_of_a_stack_are_listed_shown_explained_and_acknowledged";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let mut house = House::deploy(&rig, &template::pipeline(HOT)?, "http://127.0.0.1:9").await?;
    let [none, said] = house.anomaly(&["alerts", "list"])?;
    ensure!(none.is_empty() && said == "0 open, 0 of them acknowledged; 0 over\n", "{none}{said}");
    let record = |host: &str, v: f64| format!(r#"{{"host":"{host}","v":{v}}}"#);
    house.put(&[record("web-1", 9.0), record("db-1", 8.0), record("db-1", 1.0)]).await?;
    let told = house.settle().await?;
    ensure!(told.len() == 3, "two fired, one is over: {told:?}");
    let id = |series: &str| {
        let of = told.iter().find(|t| t["series"] == series);
        of.and_then(|t| t["alert"].as_str()).context("an alert").map(str::to_owned)
    };
    let (open, over) = (id("web-1")?, id("db-1")?);

    for every in [&["alerts", "list"][..], &["alerts", "list", "--every"]] {
        let [listed, said] = house.anomaly(every)?;
        ensure!(said == "1 open, 0 of them acknowledged; 1 over (--all lists them)\n", "{said}");
        let lines: Vec<&str> = listed.lines().collect();
        ensure!(lines.len() == 2 && lines[1].starts_with(&open), "{listed}");
        ensure!(lines[1].ends_with("web-1: hot") && lines[1].contains("v 9 over 5"), "{listed}");
    }
    let [all, _] = house.anomaly(&["alerts", "list", "--all"])?;
    ensure!(all.contains(&over) && all.lines().count() == 3, "{all}");
    let [why, _] = house.anomaly(&["why", &over[..6]])?;
    ensure!(
        why.contains("1 fired at") && why.contains("2 resolved at") && why.contains("8 against 5"),
        "{why}"
    );

    let [acknowledged, _] = house.anomaly(&["alerts", "ack", &open, "--by", "ann"])?;
    ensure!(acknowledged.contains("ann"), "{acknowledged}");
    let [told] = &house.settle().await?[..] else { bail!("one message") };
    ensure!(told["step"] == "acknowledged" && told["by"] == "ann", "who is told of alerts is told: {told}");
    let [shown, _] = house.anomaly(&["alerts", "show", &open])?;
    ensure!(shown.contains("open, seen by ann"), "{shown}");
    let [_, said] = house.anomaly(&["alerts", "ack", &open])?;
    ensure!(said.contains("was acknowledged before, by ann"), "{said}");
    // `classify` goes on from there.
    house.put(&[record("web-1", 1.0)]).await?;
    let [resolved] = &house.settle().await?[..] else { bail!("one message") };
    ensure!(resolved["step"] == "resolved" && resolved["number"] == 3, "{resolved}");
    let failed = house.anomaly(&["alerts", "ack", &open]).err().context("it is over")?;
    ensure!(failed.to_string().contains("nothing to acknowledge"), "{failed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_series_of_others_arrives_too() -> Result<()> {
    const TEST: &str = "a_labelled_series_of_others_arrives_too";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let file = root().join("../shared/nab/data/realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv");
    if !file.exists() {
        skip(TEST, "the benchmark's data is not beside the project");
        return Ok(());
    }
    let bench = Bench::new(NAB, &std::fs::read_to_string(file)?)?;
    let expected = bench.alerts_on_the_laptop()?;
    ensure!(!expected.is_empty(), "the series has alerts");
    let scoring = bench.serve(&[])?;
    let mut house = House::deploy(&rig, &template::pipeline(NAB)?, scoring.url()).await?;
    house.put(&bench.records()?).await?;
    same(&house.settle().await?, &expected)
}

/// How much of the series is enough to crash on.
const CRASH_ROWS: usize = 700;

/// The rows of a series with their times moved, so that the last is of a moment ago: how late a reading is counts from
/// its arrival, which the cloud takes from its clock.
fn of_today(rows: &[&str]) -> Result<String> {
    let time = |row: &str| Timestamp::parse(row.split(',').next()?);
    let last = rows.last().and_then(|row| time(row)).context("a last row with a time")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let moved = |row: &&str| match (time(row), row.split_once(',')) {
        (Some(at), Some((_, rest))) => {
            let at = Timestamp::from_ms(at.as_ms() + now - last.as_ms()).context("in range")?;
            Ok(format!("{at},{rest}"))
        }
        _ => Ok((*row).to_owned()),
    };
    Ok(rows.iter().map(moved).collect::<Result<Vec<_>>>()?.join("\n"))
}

/// How much of it is enough for an endpoint to have a bad day on.
const BAD_DAY_ROWS: usize = 150;

/// Records no decoder can make a reading of.
const FAULTS: [&str; 3] =
    ["no json at all", r#"{"timestamp":"2026-01-01T00:00:00Z"}"#, "{\"latency_ms\":\"\u{fffe}\"}"];

/// A series with a configuration, a folder to work in, and maybe a model.
struct Bench {
    folder: TempDir,
    csv: PathBuf,
    config: PathBuf,
    model: Option<PathBuf>,
}

impl Bench {
    /// With a model trained on the first quarter of the series.
    fn new(toml: &str, csv: &str) -> Result<Self> {
        Self::shingled(toml, csv, 1)
    }

    fn shingled(toml: &str, csv: &str, shingle: usize) -> Result<Self> {
        let mut bench = Self::without_model(toml, csv)?;
        let history: Vec<&str> = csv.lines().take(csv.lines().count() / 4).collect();
        let [from, model] = ["history.csv", "model.tar.gz"].map(|name| bench.folder.path().join(name));
        std::fs::write(&from, history.join("\n") + "\n")?;
        command::train_shingled(&from, &model, shingle)?;
        bench.model = Some(model);
        Ok(bench)
    }

    fn without_model(toml: &str, csv: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let [series, config] = ["series.csv", "anomaly.toml"].map(|name| folder.path().join(name));
        std::fs::write(&series, csv)?;
        std::fs::write(&config, toml)?;
        Ok(Bench { folder, csv: series, config, model: None })
    }

    fn model(&self) -> Result<&Path> {
        self.model.as_deref().context("no model was trained")
    }

    fn serve(&self, faults: &[&str]) -> Result<Scoring> {
        Scoring::serve(self.model()?, faults)
    }

    /// What `anomaly detect` says, by alert and number.
    fn alerts_on_the_laptop(&self) -> Result<Vec<Value>> {
        let alerts = self.folder.path().join("alerts.jsonl");
        command::detect(&self.config, self.model.as_deref(), &self.csv, &alerts)?;
        let lines = std::fs::read_to_string(&alerts)?;
        Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// The rows as records of a stream: JSON, the numbers written as they are in the file.
    fn records(&self) -> Result<Vec<String>> {
        records(&std::fs::read_to_string(&self.csv)?)
    }
}

fn records(csv: &str) -> Result<Vec<String>> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().context("a header")?.split(',').collect();
    let record = |line: &str| {
        let fields = names.iter().zip(line.split(',')).map(|(name, cell)| match cell.parse::<f64>() {
            Ok(_) => format!("\"{name}\":{cell}"),
            Err(_) if cell.is_empty() => format!("\"{name}\":null"),
            Err(_) => format!("\"{name}\":\"{cell}\""),
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    Ok(lines.map(record).collect())
}

fn webserver() -> Result<String> {
    let file: &Path = &root().join("examples/webserver.csv");
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// The same transitions, word for word, however often each came.
fn same(found: &[Value], expected: &[Value]) -> Result<()> {
    let [found, expected] = [found, expected].map(|transitions| {
        let named =
            transitions.iter().map(|t| ((t["alert"].to_string(), t["number"].as_u64()), comparable(t)));
        named.collect::<BTreeMap<_, _>>()
    });
    for (name, transition) in &expected {
        let other = found.get(name).with_context(|| format!("missing: {transition}"))?;
        ensure!(other == transition, "not the same:\n  inbox  {other}\n  laptop {transition}");
    }
    let extra: Vec<_> = found.iter().filter(|(name, _)| !expected.contains_key(*name)).collect();
    ensure!(extra.is_empty(), "not on the laptop: {extra:?}");
    Ok(())
}

/// All of a transition but the model's name: the endpoint's there, the file's here.
fn comparable(transition: &Value) -> Value {
    let mut comparable = transition.clone();
    comparable["model"] = Value::Null;
    comparable
}
