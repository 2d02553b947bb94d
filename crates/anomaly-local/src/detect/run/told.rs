//! What a run says of what it found: findings, alerts and rejects, in files and to whoever watches.

use std::io;

use anomaly_core::alert::{Standing, Step, Transition};
use anomaly_core::classify::Found;
use anomaly_core::explain::Explained;
use anomaly_core::reading::SeriesId;
use anomaly_core::reject::Reject;
use anomaly_core::rejects::Versions;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, RejectV1, TransitionV1};

use super::{Reader, Run};
use crate::detect::{DetectError, Rejects, Which};
use crate::engine::Judged;
use crate::store::{Taken, Why};

impl Run<'_> {
    /// Writes down steps that the row made by its arrival and not by what is in it: of series that are silent by then,
    /// and of its own.
    pub(super) fn silent(
        &mut self,
        reader: &Reader,
        row: u64,
        transitions: &[Transition],
    ) -> Result<(), DetectError> {
        self.explain_silence(reader, row, transitions)?;
        self.write_alerts(reader, row, None, transitions)
    }

    /// A silence has no reading: it is found on the row by which it is known.
    pub(super) fn explain_silence(
        &mut self,
        reader: &Reader,
        row: u64,
        transitions: &[Transition],
    ) -> Result<(), DetectError> {
        let fired = |t: &&Transition| t.is_by_silence();
        for fired in transitions.iter().filter(fired) {
            let (series, at) = (&fired.series, fired.at);
            if !self.wants(series, at) {
                continue;
            }
            let found = Found::of_silence(fired);
            let of_rule = reader.terms.policy.names(series).filter(|(rule, _)| rule.name == fired.rule);
            let explained =
                of_rule.map(|(rule, on)| Explained { row, series, at, rule, on, score: None, found: &found });
            self.explain_all(reader.live, &explained.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Writes down and tells what was found, where somebody wants to know.
    pub(super) fn explain(&mut self, reader: &Reader, row: u64, judged: &Judged) -> Result<(), DetectError> {
        let Judged { series, at, score, judgement, .. } = judged;
        if !self.wants(series, *at) {
            return Ok(());
        }
        let found = reader.terms.policy.names(series).zip(&judgement.findings);
        let explained = found.map(|((rule, on), found)| Explained {
            row,
            series,
            at: *at,
            rule,
            on,
            score: *score,
            found,
        });
        self.explain_all(reader.live, &explained.collect::<Vec<_>>())
    }

    /// Whether somebody wants to know what was found of `series` at `at`; remembers what is nearest to what is wanted.
    fn wants(&mut self, series: &SeriesId, at: Timestamp) -> bool {
        if let Some(Which { at: wanted, .. }) = self.explain.as_ref().filter(|which| which.series == *series)
        {
            let off = |time: &Timestamp| time.ms_since(*wanted).abs();
            self.summary.nearest = self.summary.nearest.into_iter().chain([at]).min_by_key(off);
        }
        self.findings.is_some() || self.is_wanted(series, at)
    }

    fn is_wanted(&self, series: &SeriesId, at: Timestamp) -> bool {
        self.explain.as_ref().is_some_and(|which| which.series == *series && which.at == at)
    }

    /// Writes down, and tells, what is `explained`: all of one series and time.
    fn explain_all(&mut self, live: bool, explained: &[Explained<'_>]) -> Result<(), DetectError> {
        let Some(Explained { row, series, at, .. }) = explained.first() else { return Ok(()) };
        let is_wanted = self.is_wanted(series, *at);
        let mut text = if is_wanted { format!("{series} at {at}, row {row}") } else { String::new() };
        for explained in explained {
            if let Some(findings) = &mut self.findings {
                findings.line(&explained.to_json())?;
            }
            if is_wanted {
                text += &format!("\n{}", explained.to_text());
            }
        }
        if let (Some(findings), true) = (&mut self.findings, live) {
            findings.flush()?;
        }
        if is_wanted {
            self.summary.explained += 1;
            let told = self.watcher.explained(&text);
            self.heard(told)?;
        }
        Ok(())
    }

    /// Writes down steps that `row` made, by its arrival or by what was `judged` of it.
    pub(super) fn write_alerts(
        &mut self,
        reader: &Reader,
        row: u64,
        judged: Option<&Judged>,
        transitions: &[Transition],
    ) -> Result<(), DetectError> {
        for transition in transitions {
            self.summary.alarms += u64::from(transition.is_alarm());
            match transition.step {
                _ if transition.held.is_some() => self.summary.held += 1,
                Step::Fired | Step::Flapping => self.summary.fired += 1,
                Step::Resolved => self.summary.resolved += 1,
                Step::Escalated | Step::Repeated | Step::Acknowledged => {}
            }
            if self.state.is_some() {
                let why = reader.why(row, judged, transition);
                self.steps.push(Taken { transition: transition.clone(), why });
            }
            if let Some(alerts) = &mut self.alerts {
                alerts.line(&wire::write(&TransitionV1::new(transition.clone())))?;
                alerts.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, transitions: &[Transition]) -> Result<(), DetectError> {
        for transition in transitions {
            let told = self.watcher.stepped(transition);
            self.heard(told)?;
        }
        Ok(())
    }

    /// Nobody listening any more ends the run in good order.
    fn heard(&mut self, told: io::Result<()>) -> Result<(), DetectError> {
        match told {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.summary.pipe_closed = true;
                self.stop.request();
                Ok(())
            }
            other => other.map_err(DetectError::Watcher),
        }
    }

    pub(super) fn reject(
        &mut self,
        reader: &mut Reader,
        number: u64,
        rejected: &RejectV1,
    ) -> Result<(), DetectError> {
        let reason: &Reject = &rejected.reject;
        let words = || format!("row {number}: {reason}");
        reader.first_reject.get_or_insert_with(words);
        let first = || Rejects { count: 0, first: format!("{} {}", reader.name, words()) };
        self.summary.rejects.entry(reason.as_str()).or_insert_with(first).count += 1;
        let Some(rejects) = &mut self.rejects else { return Ok(()) };
        rejects.line(&wire::write(&Versions::of(&self.config).stamp(rejected.clone())))?;
        rejects.flush()
    }
}

impl Reader {
    /// Why an alert took a step on `row`, of which this was `judged`, as `--explain` says it; `None` if no finding is
    /// of this step.
    fn why(&self, row: u64, judged: Option<&Judged>, step: &Transition) -> Option<Why> {
        let Transition { series, at, .. } = step;
        let (index, (rule, on)) =
            self.terms.policy.names(series).enumerate().find(|(_, (rule, _))| rule.name == step.rule)?;
        let of_silence = step.is_by_silence().then(|| Found::of_silence(step));
        let of_reading = judged.and_then(|judged| judged.judgement.findings.get(index));
        let found = of_silence.as_ref().or(of_reading)?;
        let is_of_it = matches!(found.standing, Standing::Took { step: took, .. } if took == step.step);
        let score = judged.and_then(|judged| judged.score);
        let explained = Explained { row, series, at: *at, rule, on, score, found };
        is_of_it.then(|| Why { input: self.name.clone(), row, text: explained.to_text() })
    }
}
