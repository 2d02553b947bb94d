//! The detector that learns each series where its state is, and scores what no endpoint does.

use std::borrow::Cow;

use anomaly_core::classify::{self, Judgement, Policy, SeriesState};
use anomaly_core::config::STREAMING;
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_detect::{Detector, Streaming, StreamingOptions};

use crate::fault::Fault;

/// The rules for the readings of a series, with the detector that its state carries, where one has a part in it.
///
/// The detector learns every reading, whoever scores it: behind an endpoint it must know the series by the time it is
/// asked. It learns them in the order in which they are judged.
pub(super) struct Judge<'p> {
    pub(super) policy: &'p Policy,
    detector: Option<Streaming>,
    /// For the model that scored the released reading judged last.
    of_released: Option<classify::Judge<'p>>,
    /// Of the reading judged last.
    judgement: Judgement,
}

impl<'p> Judge<'p> {
    /// For `series`, as `state` has it.
    ///
    /// # Errors
    /// If the detector's memory cannot be read: a newer release wrote it, or it is damaged.
    pub(super) fn of(policy: &'p Policy, series: &SeriesId, state: &SeriesState) -> Result<Self, Fault> {
        let options = StreamingOptions::of(policy.period());
        let detector = match (policy.has_detector(series), state.detector()) {
            (false, _) => None,
            (true, []) => Some(Streaming::new(options)),
            (true, memory) => {
                let known = Streaming::load(memory).map_err(|error| {
                    Fault::permanent(format!("read what the detector knows of {series}"), error.to_string())
                })?;
                Some(known.with(options))
            }
        };
        Ok(Judge { policy, detector, of_released: None, judgement: Judgement::default() })
    }

    /// Judges a reading, scored by `rules`' model, as it comes.
    pub(super) fn classify(
        &mut self,
        rules: &classify::Judge<'_>,
        state: &mut SeriesState,
        row: &Scored,
    ) -> &mut Judgement {
        state.see(&row.reading.position);
        let scored = self.scored(state, row, rules.model());
        rules.classify(state, &scored, &mut self.judgement);
        self.learned(&scored, rules.model());
        &mut self.judgement
    }

    /// Judges a reading that was released.
    pub(super) fn judge(&mut self, state: &mut SeriesState, row: &Scored, model: &str) -> &mut Judgement {
        let scored = self.scored(state, row, model);
        self.of_released = self.of_released.take().filter(|rules| rules.model() == model);
        let rules = self.of_released.get_or_insert_with(|| classify::Judge::new(self.policy, model));
        rules.judge(state, &scored, &mut self.judgement);
        self.learned(&scored, model);
        &mut self.judgement
    }

    /// Leaves what the detector knows now in `state`; nothing, if it has no part any more.
    pub(super) fn leave(self, state: &mut SeriesState) {
        state.set_detector(self.detector.map_or_else(Vec::new, |detector| detector.save()));
    }

    /// The reading with the detector's score, if that is wanted.
    fn scored<'r>(&mut self, state: &SeriesState, row: &'r Scored, model: &str) -> Cow<'r, Scored> {
        let Some(detector) = &mut self.detector else { return Cow::Borrowed(row) };
        let mut scored = row.clone();
        state.fill(&mut scored.reading);
        if is_learned(self.policy, &scored.reading) {
            detector.pass(scored.reading.at);
        }
        if model == STREAMING {
            let score = |reading: &Reading| match detector.score(&reading.features) {
                Ok(score) => score,
                Err(_) => {
                    // The configuration has come to name more features, or fewer: the detector begins anew.
                    *detector = detector.anew();
                    None
                }
            };
            scored.score =
                Some(&scored.reading).filter(|reading| is_learned(self.policy, reading)).and_then(score);
        }
        Cow::Owned(scored)
    }

    /// Has the detector learn a reading that was judged, whoever scored it, and tells where the detector's score comes
    /// from as long as it is not learned.
    fn learned(&mut self, Scored { reading, .. }: &Scored, model: &str) {
        let Some(detector) = &mut self.detector else { return };
        if !is_learned(self.policy, reading) {
            return;
        }
        if model == STREAMING && self.judgement.wants_attribution() {
            self.judgement.attribute(self.policy, &reading.features, &detector.why(&reading.features));
        }
        if detector.learn(&reading.features).is_err() {
            *detector = detector.anew();
            // What even an unlearned one refuses has no score, and leaves it as it is.
            let _ = detector.learn(&reading.features);
        }
    }
}

/// Of a reading in which a feature has no value at all there is no score, and nothing to learn; nor of one that a
/// calendar excludes.
fn is_learned(policy: &Policy, reading: &Reading) -> bool {
    let is_whole = reading.filled.iter().all(|filled| reading.has(filled.feature as usize));
    is_whole && !policy.excludes(&reading.series, reading.at)
}
