//! What a person sees of a run: alerts on stdout, talk and a progress bar on stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anomaly_core::alert::{Step, Transition};
use anomaly_core::config::Severity;
use anomaly_core::event_time::Untimeliness;
use anomaly_core::message;
use anomaly_core::wire::{self, TransitionV1};
use anomaly_local::detect::{Summary, Watcher};
use anomaly_local::input::{InputError, Rows, Source, describe};
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize, Style};

/// How alerts are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A block of text each.
    Text,
    /// A line of JSON each.
    Json,
    /// Not at all: what is printed is why a reading was judged as it was.
    Explained,
}

/// stdout and stderr of one run.
pub(crate) struct Terminal {
    form: Form,
    quiet: bool,
    colour: bool,
    inputs: usize,
    blocks: u64,
    bar: ProgressBar,
}

impl Terminal {
    /// For a run over `inputs` inputs. Colour and progress only where somebody sees them.
    pub(crate) fn new(form: Form, quiet: bool, inputs: usize) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Terminal { form, quiet, colour, inputs, blocks: 0, bar: ProgressBar::hidden() }
    }

    /// The closing summary; of a run that keeps a state the series are all that the state knows.
    pub(crate) fn close(&mut self, summary: &Summary, keeps_state: bool, took: Duration) {
        self.bar.finish_and_clear();
        let nothing = summary.readings + summary.rejected() == 0 && !summary.problems.is_empty();
        if !(self.quiet || nothing || summary.pipe_closed) {
            lines(summary, keeps_state, took).iter().for_each(|line| self.say(line));
        }
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| {
            // Nobody is left to be told that stderr is closed.
            let _ = writeln!(io::stderr(), "{}", plain(text));
        });
    }

    fn write(&mut self, block: &str) -> io::Result<()> {
        self.blocks += 1;
        self.bar.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(block.as_bytes())?;
            stdout.flush()
        })
    }

    fn block(&self, transition: &Transition) -> String {
        if self.form == Form::Json {
            return wire::write(&TransitionV1::new(transition.clone())) + "\n";
        }
        let text = plain(&message::text(transition));
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let space = if self.blocks > 0 { "\n" } else { "" };
        match self.colour {
            true => format!("{space}{}\n{rest}\n", first.style(style(transition))),
            false => format!("{space}{first}\n{rest}\n"),
        }
    }
}

impl Watcher for Terminal {
    fn opened(&mut self, source: &Source, rows: &Rows) {
        self.bar.finish_and_clear();
        if !self.quiet && self.inputs == 1 {
            self.say(&format!("{}: {}", source.name, describe(rows.input())));
        }
        if let (false, (_, Some(bytes))) = (self.quiet, rows.progress()) {
            self.bar = bar(bytes, &source.name);
        }
    }

    fn read(&mut self, end_bytes: u64) {
        self.bar.set_position(end_bytes);
    }

    fn stepped(&mut self, transition: &Transition) -> io::Result<()> {
        if self.form == Form::Explained || transition.held.is_some() {
            return Ok(());
        }
        let block = self.block(transition);
        self.write(&block)
    }

    fn explained(&mut self, text: &str) -> io::Result<()> {
        let space = if self.blocks > 0 { "\n" } else { "" };
        self.write(&format!("{space}{}\n", plain(text)))
    }

    fn note(&mut self, input: &str, note: &str) {
        if !self.quiet {
            self.say(&format!("note: {input}: {note}"));
        }
    }

    fn problem(&mut self, error: &InputError) {
        self.say(&format!("error: {error}"));
    }
}

/// A progress bar of `length` steps, on stderr; it draws on a terminal only.
pub(crate) fn bar(length: u64, name: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(plain(name));
    match ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn style(transition: &Transition) -> Style {
    let style = Style::new().bold();
    match (transition.step, transition.severity) {
        (Step::Resolved | Step::Acknowledged, _) => style.green(),
        (_, Severity::Critical) => style.red(),
        (_, Severity::Warning) => style.yellow(),
        (_, Severity::Info) => style.cyan(),
    }
}

/// `text` without control characters but line breaks: names come from records, and could move the cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
}

fn lines(summary: &Summary, keeps_state: bool, took: Duration) -> Vec<String> {
    let Summary { readings, series, fired, firing, resolved, unordered, .. } = summary;
    let still = if *firing > 0 { format!(", {firing} still firing") } else { String::new() };
    let alerts = format!("{} ({resolved} resolved{still})", count(*fired, "alert"));
    let rejected = count(summary.rejected(), "reject");
    let took = match took.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{} ms", took.as_millis()),
        seconds => format!("{seconds:.1} s"),
    };
    // Those of earlier runs are among them.
    let (of, known) = if keeps_state { (";", " in the state") } else { (" of", "") };
    let mut lines = vec![format!(
        "{}{of} {series} series{known}, {alerts}, {rejected}, {took}",
        count(*readings, "reading")
    )];
    if summary.held > 0 {
        let steps = count(summary.held, "step");
        lines.push(format!("  {steps} of alerts held back: quiet times, calendars"));
    }
    for (reason, rejects) in &summary.rejects {
        lines.push(format!("  {} {reason}, first {}", rejects.count, rejects.first));
    }
    if *unordered > 0 {
        lines.push(format!("  {} with a time before the one before", count(*unordered, "reading")));
    }
    let Untimeliness { early, late, out_of_order } = summary.untimely;
    if early + late + out_of_order > 0 {
        lines.push(format!(
            "  moved or dropped by event time: {out_of_order} out of order, {late} late, {early} early"
        ));
    }
    if !summary.problems.is_empty() {
        lines.push(format!("  {} could not be read", count(summary.problems.len() as u64, "input")));
    }
    if summary.stopped {
        lines.push("  stopped before the end".to_owned());
    }
    lines
}

/// "1 alert", "2 alerts".
pub(crate) fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
