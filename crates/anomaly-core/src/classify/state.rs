//! What is remembered of a series.

mod bytes;
mod recent;

use serde::{Deserialize, Serialize};

pub use bytes::StateError;
use recent::Recent;

use super::policy::Rules;
use super::silence::Heard;
use super::watches::{RuleName, Watches};
use crate::alert::{Acknowledgement, Feature, Step, Transition, Watch};
use crate::config::EventTime;
use crate::event_time::{Admission, Hold, Released};
use crate::last::Last;
use crate::models::{Model, Models};
use crate::position::Position;
use crate::reading::{Reading, Scored, SeriesId};
use crate::seen::Seen;
use crate::time::Timestamp;

/// How many features of a series keep their last values for messages: the first ones.
pub const FEATURES_KEPT: usize = 4;
/// How many last values are kept.
pub const RECENT_KEPT: usize = 24;
/// The longest time between the arrivals of late readings that are judged as one series, in milliseconds: an
/// hour. What was lost in one outage comes back together; what was lost in another is another story.
pub const LATE_GAP_MS_MAX: i64 = 60 * 60 * 1_000;

/// All that is remembered of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    pub(super) seen: Seen,
    pub(super) watches: Watches,
    recent: Recent,
    /// The readings that wait for others, and the series' clock. Encoded behind the rest, and only if there is
    /// one: who does not sort by event time pays nothing for it.
    #[serde(skip)]
    pub(super) hold: Option<Box<Hold>>,
    /// The last values, where they may be wanted; encoded behind the rest, and only then.
    #[serde(skip)]
    pub(super) last: Last,
    /// Whose scores the rules know; encoded behind the rest.
    #[serde(skip)]
    models: Models,
    /// What the streaming detector remembers, in its own form; encoded behind the rest. Empty without one.
    #[serde(skip)]
    detector: Vec<u8>,
    /// When the series was last heard, where a rule judges silence; encoded behind the rest.
    #[serde(skip)]
    pub(super) heard: Option<Box<Heard>>,
    /// Whether it is for late readings, by which nobody is heard. Not encoded: [`SeriesState::beside`] says so.
    #[serde(skip)]
    pub(super) deaf: bool,
}

impl SeriesState {
    /// Takes in a reading that [`SeriesState::has_seen`] does not know, as `policy` says: what it gives back is to be
    /// judged ([`judge`](super::judge)), now and in that order. The reading counts as seen, whatever became of it.
    pub fn admit(&mut self, policy: &EventTime, scored: Scored, model: &str) -> Admission {
        self.seen.see(&scored.reading.position);
        self.hold.get_or_insert_default().admit(policy, scored, model)
    }

    /// Releases the readings at or before `until`, because the series, whose name is `series`, fell silent.
    pub fn flush(&mut self, series: &SeriesId, until: Timestamp) -> Vec<Released> {
        self.hold.as_mut().map_or_else(Vec::new, |hold| hold.flush(series, until))
    }

    /// Releases all there is and forgets the clock: readings are judged as they come from now on.
    pub fn end_hold(&mut self, series: &SeriesId) -> Vec<Released> {
        self.hold.take().map_or_else(Vec::new, |mut hold| hold.flush(series, Timestamp::LAST))
    }

    /// The readings that wait, and the series' clock; `None` where readings are judged as they come.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_deref()
    }

    /// Whether the reading at `position` was judged before, or waits, or was dropped.
    pub fn has_seen(&self, position: &Position) -> bool {
        self.seen.covers(position)
    }

    /// Takes notice of the reading at `position`. Whether that is news, and to be judged.
    #[inline(always)]
    pub fn see(&mut self, position: &Position) -> bool {
        self.seen.see(position)
    }

    /// What was seen of the series.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The same, to tell it what is written together.
    pub fn seen_mut(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// A state to judge late readings in, from the one at `first` on, beside this one, which they must not touch.
    /// It knows what the rules have learned by now, and nothing of what they last saw, unless `before`, which
    /// judged late readings last, stopped at most [`LATE_GAP_MS_MAX`] before `first`: then its alerts go on.
    ///
    /// A rule that is warming up warms up on late readings too, beside it: they fire nothing and shorten nothing.
    pub fn beside(&self, before: Option<SeriesState>, first: &Position) -> SeriesState {
        let goes_on = |seen: &Seen| {
            let gap_ms = seen.newest().map_or(i64::MAX, |newest| first.arrived.ms_since(newest.arrived));
            !seen.covers(first) && gap_ms <= LATE_GAP_MS_MAX
        };
        let mut late = before.filter(|before| goes_on(&before.seen)).unwrap_or_default();
        late.deaf = true;
        late.models = self.models.clone();
        late.detector = self.detector.clone();
        late.watches.retain_of(&self.watches);
        for (place, (name, watch)) in self.watches.iter().enumerate() {
            late.watches.of(name, place).learn_from(watch);
        }
        late
    }

    /// Whether no reading waits and no rule has anything in sight.
    pub fn is_at_rest(&self) -> bool {
        self.hold.is_none() && self.watches.iter().all(|(_, watch)| watch.is_at_rest())
    }

    /// What the streaming detector remembers of the series; empty if nothing.
    pub fn detector(&self) -> &[u8] {
        &self.detector
    }

    /// Keeps what the streaming detector remembers now.
    pub fn set_detector(&mut self, memory: Vec<u8>) {
        self.detector = memory;
    }

    /// What is remembered, by the rule's name.
    pub fn watches(&self) -> impl Iterator<Item = (&str, &Watch)> {
        self.watches.iter().map(|(name, watch)| (name.as_str(), watch))
    }

    /// Somebody has seen the alert of which `last` is the last step known, at `at`, and says `said`: people are not
    /// reminded of it any more, unless it gets worse. Gives back that step; `None` if the alert is not open.
    pub fn acknowledge(
        &mut self,
        last: &Transition,
        said: &Acknowledgement,
        at: Timestamp,
    ) -> Option<Transition> {
        let number = self.watches.get_mut(&last.rule)?.acknowledge(&last.alert, said)?;
        let (step, held) = (Step::Acknowledged, None);
        let Acknowledgement { by, note, for_ms } = said.clone();
        Some(Transition { number, step, at, by: Some(by), note, for_ms, held, ..last.clone() })
    }

    /// Fills in what of `reading` takes the series' previous value, before it is scored.
    pub fn fill(&self, reading: &mut Reading) {
        self.last.fill(reading);
    }

    pub(super) fn filled(&self, scored: &Scored) -> Scored {
        let mut scored = scored.clone();
        self.fill(&mut scored.reading);
        scored
    }

    /// A score by `model` is to be judged: the rules on scores know what they learned of it, and of no other.
    #[inline(always)]
    pub(super) fn turn_to(&mut self, model: &Model, rules: &Rules) {
        if !self.models.is_at(model) {
            self.turn_from_another(model, rules);
        }
    }

    #[cold]
    fn turn_from_another(&mut self, model: &Model, rules: &Rules) {
        let mut models = std::mem::take(&mut self.models);
        models.turn_to(model, |known| {
            let swap = |name: &RuleName| {
                let memory = known.iter().find(|(known, _)| known == name.as_str());
                let memory = memory.map(|(_, memory)| memory.clone()).unwrap_or_default();
                (name.as_str().to_owned(), self.watches.of(name, 0).swap_memory(memory))
            };
            rules.on_score().map(swap).collect()
        });
        self.models = models;
    }

    #[inline(always)]
    pub(super) fn remember(&mut self, features: &[f64]) {
        self.recent.push(features);
    }

    pub(super) fn features(&self, names: &[String], values: &[f64]) -> Vec<Feature> {
        let named = names.iter().zip(values).take(FEATURES_KEPT);
        let feature = |(index, (name, value)): (usize, (&String, &f64))| Feature {
            name: name.clone(),
            value: *value,
            recent: self.recent.of(index),
            expected: None,
            share: None,
        };
        named.enumerate().map(feature).collect()
    }
}

#[cfg(test)]
mod tests;
