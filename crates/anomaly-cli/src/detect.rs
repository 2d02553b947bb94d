//! `anomaly detect`: readings from files or a pipe, alerts to the terminal.

use std::fs;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anomaly_core::config::{Config, Rule, Span};
use anomaly_core::fields::pointer;
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_detect::Model;
use anomaly_local::detect::{Options, Summary, Which, detect};
use anomaly_local::input::{Source, Stop};
use anomaly_local::serve::open_model;
use anyhow::{Context, bail, ensure};

use crate::signals;
use crate::terminal::{Form, Terminal};

/// Find what is strange in CSV or JSON lines, and tell it as it happens.
///
/// Each series is learned as it goes, by a detector of a few kilobytes; nothing has to be trained. Time and
/// series are found by their names, the other columns of numbers are the features.
#[derive(Debug, clap::Args)]
pub(crate) struct DetectArgs {
    /// CSV with a header or JSON lines; `-` is standard input, as is nothing at all in a pipe.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The column that holds the time (in JSON: a field, or a JSON pointer such as /meta/ts).
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// A column to look at; repeat for several, which are judged together [default: all that hold numbers].
    #[arg(long, value_name = "COLUMN")]
    value: Vec<String>,
    /// The column that tells series apart.
    #[arg(long, value_name = "COLUMN")]
    series: Option<String>,
    /// Read input, model and rules from this file.
    #[arg(short, long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Judge by this rule in place of the configuration's: KIND or KIND:KEY=VALUE,…, such as
    /// robust:k=4,on=cpu,for=3 of 5; repeat for several. Kinds and keys: docs/rules.md.
    #[arg(short, long, value_name = "RULE")]
    rule: Vec<String>,
    /// Score with a model that `anomaly train` made (its file, or a folder with what is in it), in place of
    /// learning.
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// How long a period of the season is, such as 24h (by the readings' times) or '288 readings', for a detector
    /// that learns as it goes [default: found from the data].
    #[arg(long, value_name = "PERIOD", conflicts_with = "model", value_parser = span)]
    period: Option<Span>,
    /// Print alerts as JSON lines, in the form that programs are sent; times are milliseconds since 1970.
    #[arg(long)]
    json: bool,
    /// Write alerts to this file too, as JSON lines.
    #[arg(long, value_name = "JSONL")]
    alerts: Option<PathBuf>,
    /// Write what each rule found of each reading to this file, as JSON lines, and why.
    #[arg(long, value_name = "JSONL")]
    findings: Option<PathBuf>,
    /// Print why a reading was judged as it was, and no alerts. The exit code is that of the run all the same: 1 if
    /// there was an alert, whatever was found of this reading.
    #[arg(long, value_name = "SERIES@TIME", conflicts_with = "json", value_parser = which)]
    explain: Option<Which>,
    /// Write `timestamp,value,anomaly_score,alert,score,series` for each row, in the order of the rows; for several files,
    /// to a folder. Time and first feature are as they stand there; anomaly_score is the first rule's, from 0, with its
    /// threshold at 0.5, to 1; alert is 1 where people are told that something is wrong; score is the detector's own,
    /// empty while it learns; series is empty where the row is none.
    #[arg(long, value_name = "CSV")]
    scores: Option<PathBuf>,
    /// Write the rows that cannot be judged to this file, as JSON lines, with the reason.
    #[arg(long, value_name = "JSONL")]
    rejects: Option<PathBuf>,
    /// Keep what was learned in this folder, and carry on from there: in a file behind the last row that was judged. Of
    /// a pipe nobody knows where it stopped: what it says again is judged again, unless [input.event_time] with
    /// policy = "drop" leaves out what lies before the newest time.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// With --state: what series may take in memory, such as 500M or 8G; those not used for longest stay in the
    /// state's file until they are [default: half of
    /// the machine's].
    #[arg(long, value_name = "SIZE", requires = "state", value_parser = bytes)]
    memory: Option<usize>,
    /// Judge on so many threads, each with series of its own; what is found does not depend on it [default: as many as
    /// the machine has cores].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Say nothing but alerts and errors.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs until the end of the inputs, or until it is told to stop.
///
/// # Errors
/// What keeps the whole run from going on; what is wrong with one input is printed and told by the exit code.
pub(crate) fn run(args: DetectArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let sources = Source::all(&files(args.files)?);
    let model = args.model.as_deref().map(model).transpose()?;
    let mut config = config(args.config.as_deref(), args.time, args.value, args.series, &args.rule)?;
    config.model.period = args.period.or(config.model.period);
    if model.is_some() && config.rules.is_empty() {
        // What learns where there is no model has scores of its own, and a rule for them.
        config.rules.push(Rule::default());
    }
    let finished = config.finish();
    let config = match &args.config {
        Some(path) => finished.with_context(|| path.display().to_string())?,
        None => finished?,
    };
    let options = Options {
        config,
        model,
        alerts: args.alerts,
        findings: args.findings,
        explain: args.explain.clone(),
        scores: args.scores,
        rejects: args.rejects,
        state: args.state,
        memory_bytes: args.memory,
        threads: args.threads,
    };
    let stop = Stop::default();
    signals::stop_on_signals(&stop)?;
    let form = match (&args.explain, args.json) {
        (Some(_), _) => Form::Explained,
        (None, true) => Form::Json,
        (None, false) => Form::Text,
    };
    let mut terminal = Terminal::new(form, args.quiet, sources.len());
    let keeps_state = options.state.is_some();
    let summary = detect(&sources, options, &stop, &mut terminal)?;
    terminal.close(&summary, keeps_state, began.elapsed());
    if let (Some(which), 0, true) = (&args.explain, summary.explained, summary.problems.is_empty()) {
        bail!(not_there(which, &summary));
    }
    Ok(exit_code(&summary))
}

fn files(given: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    if given.is_empty() && io::stdin().is_terminal() {
        bail!("nothing to read\nhint: anomaly detect FILE, or anomaly detect - to type or pipe");
    }
    Ok(if given.is_empty() { vec!["-".into()] } else { given })
}

fn config(
    path: Option<&Path>,
    time: Option<String>,
    values: Vec<String>,
    series: Option<String>,
    rules: &[String],
) -> anyhow::Result<Config> {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Config::unfinished(&text).with_context(|| path.display().to_string())
    };
    let mut config = path.map_or_else(|| Ok(Config::default()), read)?;
    let input = &mut config.input;
    input.time = time.map(column).or(input.time.take());
    input.series = series.map_or_else(|| std::mem::take(&mut input.series), column);
    if !values.is_empty() {
        input.features = values.into_iter().map(column).collect();
    }
    if !rules.is_empty() {
        config.rules = rules.iter().map(|rule| Config::rule_in_short(rule)).collect::<Result<_, _>>()?;
    }
    Ok(config)
}

/// A length of time, or a number of readings.
fn span(text: &str) -> Result<Span, String> {
    text.parse()
}

/// A number of bytes, of KiB, MiB or GiB.
fn bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("{text:?} is no size such as 500M or 8G"))
}

/// `SERIES@TIME`; the name may hold an `@`.
fn which(text: &str) -> Result<Which, String> {
    let (series, at) = text.rsplit_once('@').ok_or("write SERIES@TIME, such as web@2026-11-21T04:10:56Z")?;
    let at = Timestamp::parse(at).ok_or_else(|| format!("{at:?} is no time such as 2026-11-21T04:10:56Z"))?;
    let series = SeriesId::new(series).map_err(|reject| reject.to_string())?;
    Ok(Which { series, at })
}

fn not_there(Which { series, at }: &Which, summary: &Summary) -> String {
    match summary.nearest {
        Some(nearest) => format!("{series} has no reading at {at}\nhint: the nearest is {series}@{nearest}"),
        None => format!(
            "there is no reading of {series}\nhint: without --series a file is one series, of its name"
        ),
    }
}

/// A column by name, or a JSON pointer as it is.
pub(crate) fn column(name: String) -> String {
    if name.starts_with('/') { name } else { pointer(&name) }
}

/// An artifact, or a folder with its unpacked files, as `anomaly serve` takes them.
fn model(path: &Path) -> anyhow::Result<Model> {
    ensure!(
        path.exists(),
        "the model {} cannot be opened: there is no such file\nhint: `anomaly train` writes models",
        path.display()
    );
    open_model(path).with_context(|| format!("the model {} cannot be used", path.display()))
}

fn exit_code(summary: &Summary) -> ExitCode {
    match summary {
        summary if !summary.problems.is_empty() => ExitCode::from(2),
        summary if summary.alarms > 0 => ExitCode::from(1),
        // It goes on; where nothing was read nothing is known of it.
        summary if summary.firing > 0 && summary.readings > 0 => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}
