//! `anomaly alerts`: which alerts there are, what became of one, and that somebody has seen it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anomaly_core::alert::{Step, Transition};
use anomaly_core::alerts::{Alert, Line, named};
use anomaly_core::message;
use anomaly_core::rule::Basis;
use anomaly_core::time::{Timestamp, human_duration};
use anomaly_core::wire;
use anomaly_local::alerts::{Alerts, Answer};
use anomaly_local::clock;
use anomaly_pipeline::acknowledge::Acknowledged;
use anyhow::bail;
use serde::Serialize;

use crate::terminal::plain;

mod place;
#[cfg(feature = "aws")]
mod stack;

pub(crate) use place::{Place, Wanted};

/// List, show and acknowledge alerts: those that `anomaly detect --state DIR` keeps, or those of a deployed stack.
///
/// A run may be using the state meanwhile: what it saved last is what is listed and shown.
///
/// With --stack (aws), the stack's outputs name its tables. `list`, and a name of fewer than its 16 digits, read the
/// table of alerts' steps from end to end, a page of 1 MB at a time: of ten thousand steps, which are kept for a month,
/// some 15 pages and $0.0003. It takes cloudformation:DescribeStacks on the stack, dynamodb:Scan and
/// dynamodb:Query on its outbox, dynamodb:BatchGetItem on its states; `list --every` dynamodb:Scan on its states;
/// `ack` dynamodb:PutItem on both.
#[derive(Debug, clap::Args)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One line each, oldest first: name, times, severity, the strangest number, anomalous readings, who has seen it
    List {
        #[command(flatten)]
        place: Place,
        /// Those that are over, too
        #[arg(long)]
        all: bool,
        /// Of a stack: those too that are open and took no step for a month, such as of a series that fell silent for
        /// good. Reads the table of states from end to end
        #[arg(long, requires = "stack")]
        every: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// All that is kept of one: each of its steps, when, why and by which numbers
    Show {
        /// Its name; the first digits are enough
        id: String,
        #[command(flatten)]
        place: Place,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that somebody has seen them: no reminders any more, unless they get worse
    Ack {
        /// Their names; the first digits are enough
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        place: Place,
        /// Who has seen them [default: you, as the system calls you]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

/// Does what is asked.
///
/// # Errors
/// If there is no state or no stack, or it cannot be used; if a name is no alert's or several's; if an alert that is over is to
/// be acknowledged.
pub(crate) fn run(args: AlertsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List { place, all, every, json } => {
            list(&place.read(if every { Wanted::Every } else { Wanted::Kept })?, all, json)?;
        }
        Action::Show { id, place, json } => {
            show(named(&place.read(Wanted::Named(&id))?.all, &id)?, json)?;
        }
        Action::Ack { ids, place, by } => {
            let by = by.or_else(user).unwrap_or_else(|| "somebody".to_owned());
            let wanted = match ids.as_slice() {
                [id] => Wanted::Named(id),
                _ => Wanted::Kept,
            };
            let alerts = place.read(wanted)?.all;
            let all = ids.iter().map(|id| named(&alerts, id)).collect::<Result<Vec<_>, _>>()?;
            all.into_iter().try_for_each(|alert| ack(&place, alert, &by))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Now, as precisely as people talk of it.
fn this_second() -> Timestamp {
    let now = clock::now();
    now.earlier_by(Duration::from_millis(now.as_ms().rem_euclid(1_000).unsigned_abs()))
}

fn user() -> Option<String> {
    let name = std::env::var_os("USER").or_else(|| std::env::var_os("LOGNAME"))?;
    name.into_string().ok().filter(|name| !name.is_empty())
}

fn list(alerts: &Alerts, all: bool, as_json: bool) -> anyhow::Result<()> {
    let is_open = |alert: &&Alert| alert.open.is_some();
    let listed = alerts.all.iter().filter(|alert| all || is_open(alert));
    let lines: Vec<(Line, Option<&str>)> =
        listed.filter_map(|alert| Some((alert.line()?, alerts.asked(alert)))).collect();
    let mut out = io::stdout().lock();
    if as_json {
        return Ok(lines.iter().try_for_each(|(line, _)| writeln!(out, "{}", wire::write(line)))?);
    }
    if !lines.is_empty() {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(lines.iter().map(|(line, asked)| cells(line, *asked)));
        out.write_all(table(&rows, all).as_bytes())?;
    }
    let (open, seen) = (alerts.all.iter().filter(is_open), |alert: &&Alert| alert.is_acknowledged);
    let (open, seen) = (open.clone().count(), open.filter(seen).count());
    let over = alerts.all.len() - open;
    let more = if all || over == 0 { "" } else { " (--all lists them)" };
    writeln!(io::stderr(), "{open} open, {seen} of them acknowledged; {over} over{more}")?;
    Ok(())
}

const HEAD: [&str; 8] = ["ID", "SINCE", "UNTIL", "SEVERITY", "PEAK", "READINGS", "SEEN BY", "ALERT"];
/// The column that says nothing where only open alerts are listed.
const UNTIL: usize = 2;

fn cells(line: &Line, asked: Option<&str>) -> [String; 8] {
    let on = line.on.as_deref().filter(|_| !matches!(line.peak.basis, Basis::Silence { .. }));
    let on = on.map_or_else(String::new, |on| format!("{on} "));
    let seen = match (&line.acknowledged_by, line.acknowledged, asked) {
        (Some(by), ..) => by.clone(),
        (None, true, _) => "somebody".to_owned(),
        (None, false, Some(by)) => format!("{by}, soon"),
        (None, false, None) => "-".to_owned(),
    };
    [
        line.alert.to_string(),
        line.since.to_string(),
        line.resolved_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        line.severity.as_str().to_owned(),
        plain(&format!("{on}{}", line.peak.brief())),
        line.anomalous.to_string(),
        plain(&seen),
        plain(&format!("{}: {}{}", line.series, line.rule, if line.late { ", late" } else { "" })),
    ]
}

/// The rows, in columns as wide as their widest cell; without [`UNTIL`], unless it is `wide`.
fn table(rows: &[[String; 8]], wide: bool) -> String {
    let columns = || (0..HEAD.len()).filter(|column| wide || *column != UNTIL);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells: Vec<String> =
            columns().map(|column| format!("{:1$}", row[column], widths[column])).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// An alert with its steps.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    line: Line,
    steps: &'a [Transition],
}

fn show(alert: &Alert, as_json: bool) -> anyhow::Result<()> {
    let Some(line) = alert.line() else { bail!("nothing is kept of alert {}", alert.id) };
    let mut out = io::stdout().lock();
    if as_json {
        return Ok(writeln!(out, "{}", wire::write(&Whole { line, steps: &alert.steps }))?);
    }
    let on = line.on.as_ref().map_or_else(String::new, |on| format!(", on {on}"));
    let stands = match (line.resolved_at, &line.acknowledged_by, line.acknowledged) {
        (Some(at), ..) => format!("over since {at}, after {}", human_duration(at.ms_since(line.since))),
        (None, Some(by), _) => format!("open, seen by {by}"),
        (None, None, true) => "open, and somebody has seen it".to_owned(),
        (None, None, false) if alert.open.is_none() => "over, and nothing is kept of its end".to_owned(),
        (None, None, false) => "open".to_owned(),
    };
    for (name, value) in [
        ("alert", line.alert.to_string()),
        ("series", line.series.to_string()),
        ("rule", format!("{}{on}", line.rule)),
        ("stands", stands),
        ("since", line.since.to_string()),
        ("severity", line.severity.to_string()),
        ("peak", format!("{} at {}", line.peak, line.peak_at)),
        ("readings", format!("{} anomalous", line.anomalous)),
    ] {
        writeln!(out, "{name:8}  {}", plain(&value))?;
    }
    if alert.steps.is_empty() {
        writeln!(out, "none of its steps is kept: they are too old, or of a release that kept none")?;
    }
    for step in &alert.steps {
        writeln!(out, "{:>2}  {}  {:12}  {}", step.number, step.at, step.step.as_str(), plain(&words(step)))?;
    }
    Ok(())
}

/// What a step was, in a line.
fn words(step: &Transition) -> String {
    let what = match step.step {
        Step::Acknowledged => format!("by {}", step.by.as_deref().unwrap_or("somebody")),
        Step::Resolved => step.margin.to_string(),
        _ => format!("{}: {}", step.severity, step.margin),
    };
    let new = if step.is_new_normal { "; a new level was taken as normal" } else { "" };
    let held = step.held.as_ref().map_or_else(String::new, |held| format!("; not told: {held}"));
    format!("{what}{new}{held}")
}

fn ack(place: &Place, alert: &Alert, by: &str) -> anyhow::Result<()> {
    match place.acknowledge(alert, by, this_second())? {
        Answer::Asked => writeln!(
            io::stderr(),
            "a run uses the state in {}: it acknowledges alert {} with its next row",
            place.folder.display(),
            alert.id
        )?,
        Answer::Now(Acknowledged::Now(step)) => writeln!(io::stdout(), "{}", plain(&message::text(&step)))?,
        Answer::Now(Acknowledged::Before) => {
            let step = alert.steps.iter().rev().find(|step| step.step == Step::Acknowledged);
            let by = step.map_or_else(String::new, |step| format!(", {}, at {}", words(step), step.at));
            writeln!(io::stderr(), "{}", plain(&format!("alert {} was acknowledged before{by}", alert.id)))?;
        }
        Answer::Now(Acknowledged::Over) => {
            bail!("alert {} is over: there is nothing to acknowledge", alert.id)
        }
    }
    Ok(())
}
