//! What a run saves on the way, and when; and what people asked of it meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use anomaly_core::alert::Transition;
use anomaly_core::config::Input;

use super::{Reader, Run, absolute_path};
use crate::clock;
use crate::detect::DetectError;
use crate::input::{Mark, Marks};
use crate::state::SavedInput;
use crate::state::asked::Ask;

/// Rows after which a state is saved.
const SAVE_AFTER_ROWS: u64 = 1_000;
/// How old the state of a pipe may become while rows arrive; they do not come again.
const SAVE_LIVE_AFTER: Duration = Duration::from_secs(5);
/// Saving takes at most this part of the time, however large the state: one in ten.
const SAVE_SHARE: u32 = 10;
/// How long an alert may be held up by saving a state first.
const SAVE_AT_ONCE_MAX: Duration = Duration::from_millis(200);

/// How often it is looked for what people ask.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// What the state says of the input at hand.
pub(super) struct Keeper {
    pub(super) path: String,
    pub(super) given: Input,
    pub(super) completed: Input,
    /// What makes marks of its rows; `None` of a pipe.
    pub(super) marks: Option<Marks>,
    /// Behind the last row that was judged.
    pub(super) mark: Option<Mark>,
}

impl Run<'_> {
    /// Saves if enough was done since, and it is affordable; `stepped` says that an alert has something to tell.
    pub(super) fn save_if_due(
        &mut self,
        reader: &mut Reader,
        keeper: &Keeper,
        stepped: bool,
    ) -> Result<(), DetectError> {
        if self.is_save_due(reader, stepped) {
            self.note_down(reader, keeper)?;
            self.save()?;
        }
        Ok(())
    }

    /// Whether enough was done since, that which is being done included, and saving is affordable; `stepped` says that an
    /// alert has something to tell.
    pub(super) fn is_save_due(&self, reader: &Reader, stepped: bool) -> bool {
        // What a pipe said does not come again: an alert is remembered before it is told, unless that would
        // hold it up.
        let at_once = reader.live && stepped && self.save_took < SAVE_AT_ONCE_MAX;
        if self.state.is_none() || at_once {
            return at_once;
        }
        let (rows, since) = (self.rows_since_save + self.engine.rows_out() as u64, self.saved_at.elapsed());
        let much = rows >= SAVE_AFTER_ROWS || reader.live && rows > 0 && since >= SAVE_LIVE_AFTER;
        much && since >= self.save_took * SAVE_SHARE
    }

    /// Whether it is time to look for what people asked.
    pub(super) fn is_asking_due(&self) -> bool {
        self.state.is_some() && self.asked_at.is_none_or(|asked_at| asked_at.elapsed() >= ASKED_AFTER)
    }

    /// Takes up what people asked since this was done last, a second ago at least, before row `row` is judged. Gives back
    /// the steps that alerts took.
    pub(super) fn acknowledge(&mut self, reader: &Reader, row: u64) -> Result<Vec<Transition>, DetectError> {
        let is_due = self.is_asking_due();
        let Some(state) = self.state.as_ref().filter(|_| is_due) else { return Ok(Vec::new()) };
        self.asked_at = Some(Instant::now());
        let mut steps = Vec::new();
        for (file, Ask { alert, said, at_ms }) in state.asked()? {
            if self.answered.contains(&file) {
                continue;
            }
            let unsaved = self.steps.iter().rev().map(|taken| &taken.transition);
            let unsaved = unsaved.clone().find(|step| step.alert.as_str() == alert).cloned();
            let last = unsaved.map_or_else(|| state.last_step(&alert), |last| Ok(Some(last)))?;
            if let Some(last) = last {
                steps.extend(self.engine.acknowledge(last, said, at_ms)?);
            }
            self.answered.push(file);
        }
        self.write_alerts(reader, row, None, &steps)?;
        Ok(steps)
    }

    /// Notes how far the input at hand was judged and written, for the next save.
    pub(super) fn note_down(&mut self, reader: &mut Reader, keeper: &Keeper) -> Result<(), DetectError> {
        if let Some(scores) = &mut reader.scores {
            if self.state.is_some() {
                scores.sync()?
            } else {
                scores.flush()?
            }
            self.saved.outputs.insert(absolute_path(&scores.path), scores.bytes);
        }
        if let Some(mark) = &keeper.mark {
            let input = SavedInput {
                path: keeper.path.clone(),
                given: to_json(&keeper.given),
                completed: to_json(&keeper.completed),
                mark: mark.clone(),
            };
            self.saved.inputs.insert(keeper.path.clone(), input);
        }
        if self.state.is_some() {
            let waiting = self.waiting.iter().filter(|(_, waiting)| !waiting.is_empty());
            self.saved.waiting = waiting.map(|(name, rows)| (name.clone(), rows.clone())).collect();
        }
        self.saved.live = reader.live;
        Ok(())
    }

    /// Writes everything down, up to what was noted last.
    pub(super) fn save(&mut self) -> Result<(), DetectError> {
        let Some(state) = &self.state else { return Ok(()) };
        let began = Instant::now();
        for file in [&mut self.alerts, &mut self.findings, &mut self.rejects].into_iter().flatten() {
            file.sync()?;
            self.saved.outputs.insert(absolute_path(&file.path), file.bytes);
        }
        state.save(&self.saved, &mut self.engine, &self.steps, clock::now())?;
        self.steps.clear();
        for file in std::mem::take(&mut self.answered) {
            // One that stays is answered again, which changes nothing.
            let _ = fs::remove_file(file);
        }
        (self.saved_at, self.save_took, self.rows_since_save) = (Instant::now(), began.elapsed(), 0);
        Ok(())
    }
}

/// `[input]` as a state keeps it.
pub(super) fn to_json(input: &Input) -> String {
    // Strings and numbers cannot fail to serialize into memory.
    serde_json::to_string(input).unwrap_or_default()
}
