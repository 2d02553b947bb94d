//! `anomaly alerts`: which alerts there are, what became of one, and that somebody has seen it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anomaly_core::alert::{Acknowledgement, NOTE_CHARS_MAX, Step, Transition};
use anomaly_core::alerts::{Alert, Line, named};
use anomaly_core::config::Span;
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
        /// Print JSON lines; times are milliseconds since 1970, as in messages to programs
        #[arg(long)]
        json: bool,
    },
    /// All that is kept of one: each of its steps, when, why and by which numbers
    Show {
        /// Its name; the first digits are enough
        id: String,
        #[command(flatten)]
        place: Place,
        /// Print JSON; times are milliseconds since 1970, as in messages to programs
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
        /// For so long, such as 2h, by the readings' times, from the next one on that is not calm: then people are told
        /// again, if it goes on [default: until it is over]
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        lasts: Option<Duration>,
        /// What there is to say of it, in a line of at most 200 characters: it is shown with the alert, and told with
        /// its end
        #[arg(long, value_name = "TEXT", value_parser = note)]
        note: Option<String>,
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
        Action::Ack { ids, place, by, lasts, note } => {
            let by = by.or_else(user).unwrap_or_else(|| "somebody".to_owned());
            let for_ms = lasts.and_then(|lasts| u64::try_from(lasts.as_millis()).ok());
            let said = Acknowledgement { by, note, for_ms };
            let wanted = match ids.as_slice() {
                [id] => Wanted::Named(id),
                _ => Wanted::Kept,
            };
            let alerts = place.read(wanted)?.all;
            let all = ids.iter().map(|id| named(&alerts, id)).collect::<Result<Vec<_>, _>>()?;
            all.into_iter().try_for_each(|alert| ack(&place, alert, &said))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A length of time.
fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(Span::Time(time)) if !time.is_zero() => Ok(time),
        _ => Err("it is no length of time; write 30m, 2h or 3d".to_owned()),
    }
}

/// What is said of an alert.
fn note(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("it says nothing".to_owned()),
        _ if text.chars().any(char::is_control) => {
            Err("it is one line, without control characters".to_owned())
        }
        chars if chars > NOTE_CHARS_MAX => {
            Err(format!("it has {chars} characters; at most {NOTE_CHARS_MAX} are kept"))
        }
        _ => Ok(text.to_owned()),
    }
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
    let lines: Vec<(Line, Option<&Acknowledgement>)> =
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

/// How much of what is said of an alert is listed, in characters.
const SAID_CHARS: usize = 48;

fn cells(line: &Line, asked: Option<&Acknowledgement>) -> [String; 8] {
    let on = line.on.as_deref().filter(|_| !matches!(line.peak.basis, Basis::Silence { .. }));
    let on = on.map_or_else(String::new, |on| format!("{on} "));
    let seen = match (said(line), line.acknowledged, asked) {
        (Some(said), ..) => cut(&said.to_string(), SAID_CHARS),
        (None, true, _) => "somebody".to_owned(),
        (None, false, Some(said)) => cut(&format!("soon: {said}"), SAID_CHARS),
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

/// Who has seen it, and what they say.
fn said(line: &Line) -> Option<Acknowledgement> {
    let by = line.acknowledged_by.clone()?;
    Some(Acknowledgement { by, note: line.note.clone(), for_ms: line.acknowledged_for_ms })
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
    let stands = match (line.resolved_at, said(&line), line.acknowledged) {
        (Some(at), ..) => format!("over since {at}, after {}", human_duration(at.ms_since(line.since))),
        (None, Some(said), _) => format!("open, seen by {said}"),
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
        Step::Acknowledged => format!("by {}", step.acknowledgement().unwrap_or_default()),
        Step::Resolved => step.margin.to_string(),
        _ => format!("{}: {}", step.severity, step.margin),
    };
    let new = if step.is_new_normal { "; a new level was taken as normal" } else { "" };
    let held = step.held.as_ref().map_or_else(String::new, |held| format!("; not told: {held}"));
    let seen = step.acknowledgement().filter(|_| step.step != Step::Acknowledged);
    let seen = seen.map_or_else(String::new, |seen| format!("; it was acknowledged by {seen}"));
    format!("{what}{new}{held}{seen}")
}

fn ack(place: &Place, alert: &Alert, said: &Acknowledgement) -> anyhow::Result<()> {
    match place.acknowledge(alert, said, this_second())? {
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
