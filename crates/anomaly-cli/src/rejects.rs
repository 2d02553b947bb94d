//! `anomaly rejects`: look at the records that could not be read, and put them in again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anomaly_core::config::Config;
use anomaly_core::rejects::Versions;
use anomaly_core::wire::{self, RejectV1};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

#[cfg(feature = "aws")]
mod table;

/// How much of a record is shown in a list, in characters.
const SHOWN_CHARS: usize = 60;

/// List, show and redrive records that could not be read.
///
/// They are in the file that `anomaly detect --rejects FILE` wrote, or in the table of a deployed stack.
#[derive(Debug, clap::Args)]
pub(crate) struct RejectsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One line each: name, arrival, reason, what rejected it, where it stood, the record
    List {
        #[command(flatten)]
        rejects: Store,
        #[command(flatten)]
        now: Now,
        /// Only those of this reason; may be repeated
        #[arg(long, value_name = "REASON")]
        reason: Vec<String>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one, and its record
    #[command(override_usage = "anomaly rejects show <ID> <JSONL|--table <TABLE>> [OPTIONS]")]
    Show {
        /// Its name, as `list` prints it; the first digits are enough
        id: String,
        #[command(flatten)]
        rejects: Store,
        #[command(flatten)]
        now: Now,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put them in again. From a file, or without --queue: the records are printed, one a line, for
    /// `anomaly detect -`. With --queue they are decoded as configured now, scored, and queued; what is queued is
    /// a reject no more, and what it says is judged as late.
    Redrive {
        #[command(flatten)]
        rejects: Store,
        /// Only these, by name; all of them, if none is named
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        /// Only those of this reason; may be repeated
        #[arg(long, value_name = "REASON")]
        reason: Vec<String>,
        /// The URL of the queue of scored chunks (aws)
        #[arg(long, value_name = "URL", requires = "table")]
        queue: Option<String>,
        /// The configuration to decode by
        #[arg(short, long, value_name = "TOML", default_value = "anomaly.toml")]
        config: PathBuf,
    },
}

/// Where the rejects are.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Store {
    /// The file that `anomaly detect --rejects` wrote
    #[arg(value_name = "JSONL")]
    file: Option<PathBuf>,
    /// The rejects' table, with the region and keys of the environment (aws)
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

/// What is configured now.
#[derive(Debug, clap::Args)]
struct Now {
    /// The configuration to compare with what rejected a record [default: anomaly.toml, if there is one]
    #[arg(short, long, value_name = "TOML")]
    config: Option<PathBuf>,
}

impl Now {
    /// Its versions; `None` if there is no configuration to compare with.
    fn versions(&self) -> anyhow::Result<Option<Versions>> {
        let usual = PathBuf::from("anomaly.toml");
        let path = match &self.config {
            Some(path) => path,
            None if usual.exists() => &usual,
            None => return Ok(None),
        };
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let config = Config::from_toml(&text).with_context(|| path.display().to_string())?;
        Ok(Some(Versions::of(&config)))
    }
}

/// What rejected a record, beside what is configured now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// The same: another try ends the same way, unless the model has changed.
    Same,
    /// Something else.
    Changed,
    /// It does not say, or there is nothing to compare with.
    Unknown,
}

fn since(reject: &RejectV1, now: Option<&Versions>) -> Since {
    match (&reject.by, now) {
        (Some(by), Some(now)) if *by == now.by(&reject.reject) => Since::Same,
        (Some(_), Some(_)) => Since::Changed,
        _ => Since::Unknown,
    }
}

/// Does what is asked.
///
/// # Errors
/// If the rejects cannot be read, a name is no reject's or several's, or something cannot be put in again.
pub(crate) fn run(args: RejectsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List { rejects, now, reason, json } => {
            list(&of_reasons(rejects.read()?, &reason)?, now.versions()?.as_ref(), json)
        }
        Action::Show { id, rejects, now, json } => {
            show(&named(&rejects.read()?, &id)?, now.versions()?.as_ref(), json)
        }
        Action::Redrive { rejects, ids, reason, queue, config } => {
            let chosen = chosen(of_reasons(rejects.read()?, &reason)?, &ids)?;
            match (queue, rejects.table) {
                (Some(queue), Some(table)) => put_in_again(&table, &queue, &config, chosen),
                _ => print(&chosen),
            }
        }
    }
}

impl Store {
    /// All rejects, in the order of their sources.
    fn read(&self) -> anyhow::Result<Vec<RejectV1>> {
        match (&self.file, &self.table) {
            (Some(path), _) => {
                let text = fs::read_to_string(path);
                let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
                let reject = |(number, line): (usize, &str)| {
                    let place = || format!("{} line {number} is no reject", path.display());
                    wire::read::<RejectV1>(line).with_context(place)
                };
                (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(reject).collect()
            }
            (None, Some(table)) => read_table(table),
            (None, None) => bail!("neither a file nor a table"),
        }
    }
}

#[cfg(feature = "aws")]
fn read_table(table: &str) -> anyhow::Result<Vec<RejectV1>> {
    table::read(table)
}

#[cfg(feature = "aws")]
fn put_in_again(
    table: &str,
    queue: &str,
    config: &std::path::Path,
    rejects: Vec<RejectV1>,
) -> anyhow::Result<ExitCode> {
    table::redrive(table, queue, config, rejects)
}

#[cfg(not(feature = "aws"))]
fn read_table(_: &str) -> anyhow::Result<Vec<RejectV1>> {
    Err(crate::cloud::left_out("rejects …"))
}

#[cfg(not(feature = "aws"))]
fn put_in_again(_: &str, _: &str, _: &std::path::Path, _: Vec<RejectV1>) -> anyhow::Result<ExitCode> {
    Err(crate::cloud::left_out("rejects …"))
}

fn of_reasons(rejects: Vec<RejectV1>, reasons: &[String]) -> anyhow::Result<Vec<RejectV1>> {
    if let Some(unknown) = reasons.iter().find(|reason| rejects.iter().all(|r| r.reject.as_str() != **reason))
    {
        let there = counts(&rejects).into_keys().collect::<Vec<_>>().join(", ");
        bail!("no reject has the reason {unknown:?}; there are: {there}");
    }
    let wanted =
        |r: &RejectV1| reasons.is_empty() || reasons.iter().any(|reason| r.reject.as_str() == reason);
    Ok(rejects.into_iter().filter(wanted).collect())
}

/// The reject whose name begins with `id`.
fn named(rejects: &[RejectV1], id: &str) -> anyhow::Result<RejectV1> {
    let found: Vec<&RejectV1> = rejects.iter().filter(|r| r.id().starts_with(id)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => bail!("no reject has the name {id:?}\nhint: anomaly rejects list"),
        many => {
            let ids: Vec<String> = many.iter().map(|r| r.id()).collect();
            bail!("{id:?} is the beginning of {} names: {}", many.len(), ids.join(", "))
        }
    }
}

fn chosen(rejects: Vec<RejectV1>, ids: &[String]) -> anyhow::Result<Vec<RejectV1>> {
    if ids.is_empty() { Ok(rejects) } else { ids.iter().map(|id| named(&rejects, id)).collect() }
}

fn counts(rejects: &[RejectV1]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    rejects.iter().for_each(|r| *counts.entry(r.reject.as_str()).or_default() += 1);
    counts
}

fn list(rejects: &[RejectV1], now: Option<&Versions>, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if as_json {
        rejects.iter().try_for_each(|reject| writeln!(out, "{}", with_id(reject, now)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let place_width = rejects.iter().map(|r| place(r).chars().count()).max().unwrap_or(0);
    let reason_width = rejects.iter().map(|r| r.reject.as_str().len()).max().unwrap_or(0);
    for reject in rejects {
        let (reason, arrived) = (reject.reject.as_str(), arrived(reject));
        let (id, place, record) = (reject.id(), place(reject), excerpt(reject));
        let by = reject.by.as_ref().map_or("-", |by| by.configuration.as_str());
        let changed = if since(reject, now) == Since::Changed { '*' } else { ' ' };
        writeln!(
            out,
            "{id}  {arrived:20}  {reason:reason_width$}  {by:12}{changed} {place:place_width$}  {record}"
        )?;
    }
    let by_reason: Vec<String> = counts(rejects).iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    let plural = if rejects.len() == 1 { "" } else { "s" };
    let colon = if by_reason.is_empty() { "" } else { ": " };
    writeln!(io::stderr(), "{} reject{plural}{colon}{}", rejects.len(), by_reason.join(", "))?;
    let changed = rejects.iter().filter(|reject| since(reject, now) == Since::Changed).count();
    if changed > 0 {
        writeln!(
            io::stderr(),
            "{changed} by another configuration or release than now (*): to be tried again"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(reject: &RejectV1, now: Option<&Versions>, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{}", with_id(reject, now))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "reject   {}", reject.id())?;
    writeln!(out, "reason   {}: {}", reject.reject.as_str(), plain(&reject.reject.to_string()))?;
    if let Some(name) = reject.reject.data_error() {
        writeln!(out, "also     {name}, as Azure Stream Analytics calls it")?;
    }
    writeln!(out, "by       {}", by(reject, now))?;
    writeln!(out, "from     {}", place(reject))?;
    writeln!(out, "arrived  {}", arrived(reject))?;
    writeln!(out, "bytes    {}, SHA-256 {}", reject.bytes, reject.sha256)?;
    let kept = reject.data.to_bytes();
    if reject.whole().is_none() {
        writeln!(out, "kept     the first {} bytes; the rest is where it came from", kept.len())?;
        at_the_source(reject).iter().try_for_each(|command| writeln!(out, "         {command}"))?;
    }
    let text = match &reject.data {
        wire::Data::Text(text) => text.clone(),
        wire::Data::Hex(digits) => digits.clone(),
    };
    writeln!(out, "record   {}", plain(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// How to fetch a record from the Kinesis stream it came from, while the stream keeps it.
fn at_the_source(reject: &RejectV1) -> Option<String> {
    let (stream, shard) = reject.partition.split_once("/shardId-")?;
    Some(format!(
        "aws kinesis get-shard-iterator --stream-name {stream} --shard-id shardId-{shard} \
         --shard-iterator-type AT_SEQUENCE_NUMBER --starting-sequence-number {}",
        reject.sequence
    ))
}

/// The records themselves, for the next program.
fn print(rejects: &[RejectV1]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut cut = Vec::new();
    for reject in rejects {
        match reject.whole() {
            Some(bytes) => {
                out.write_all(&bytes)?;
                out.write_all(b"\n")?;
            }
            None => cut.push(reject.id()),
        }
    }
    out.flush()?;
    ensure!(
        cut.is_empty(),
        "{} longer than what is kept of a record: {}\nhint: anomaly rejects show ID tells where the rest is",
        if cut.len() == 1 { "one was".to_owned() } else { format!("{} were", cut.len()) },
        cut.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

fn with_id(reject: &RejectV1, now: Option<&Versions>) -> Value {
    let mut value = json!({ "id": reject.id() });
    match since(reject, now) {
        Since::Same => value["by_now"] = true.into(),
        Since::Changed => value["by_now"] = false.into(),
        Since::Unknown => {}
    }
    if let (Value::Object(fields), Ok(Value::Object(more))) = (&mut value, serde_json::to_value(reject)) {
        fields.extend(more);
    }
    value
}

/// What rejected it, and whether that is so still.
fn by(reject: &RejectV1, now: Option<&Versions>) -> String {
    let Some(by) = &reject.by else { return "what it does not say: a release before this".to_owned() };
    let said = format!("configuration {}, release {}", by.configuration, by.release);
    match (since(reject, now), now.map(|now| now.by(&reject.reject))) {
        (Since::Same, _) => format!("{said}: as now"),
        (Since::Changed, Some(now)) => {
            format!("{said}: now it is {}, release {}", now.configuration, now.release)
        }
        _ => said,
    }
}

fn place(reject: &RejectV1) -> String {
    let sub = if reject.sub > 0 { format!(", reading {}", reject.sub) } else { String::new() };
    plain(&format!("{} {}{sub}", reject.partition, reject.sequence))
}

/// When the source took it; a file does not say, and counts its rows.
fn arrived(reject: &RejectV1) -> String {
    const YEAR_2000_MS: i64 = 946_684_800_000;
    if reject.arrived_ms.as_ms() < YEAR_2000_MS { "-".to_owned() } else { reject.arrived_ms.to_string() }
}

fn excerpt(reject: &RejectV1) -> String {
    let text = String::from_utf8_lossy(&reject.data.to_bytes()).into_owned();
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if text.chars().nth(SHOWN_CHARS).is_some() { "…" } else { "" };
    format!("{}{more}", plain(&cut))
}

/// Without control characters: the text comes from records, and could move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
