//! One series: each reading is scored, learned from and judged, in that order; by event time, if the configuration
//! says so, and then a reading may have to wait.

use std::ops::AddAssign;

use anomaly_core::alert::Transition;
use anomaly_core::classify::{Judgement, Policy, SeriesState, classify, judge, silence};
use anomaly_core::config::EventTime;
use anomaly_core::event_time::{Placement, Released, Untimeliness};
use anomaly_core::position::Position;
use anomaly_core::reading::{Filled, Reading, Scored, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::rule::Finding;
use anomaly_core::time::Timestamp;
use anomaly_core::window::{Window, Windowed};
use anomaly_core::wire::{self, RejectV1, RowV1};
use anomaly_detect::InputError;

use super::{Learner, Scoring};

/// One series: what is learned and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) features: Vec<String>,
    pub(crate) detector: Option<Learner>,
    /// The last readings, for a frozen model.
    pub(crate) window: Window,
    pub(crate) state: SeriesState,
    pub(crate) last_at: Timestamp,
}

/// What came of a reading's arrival.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Why the reading is not judged at all, if its time is the reason.
    pub(crate) dropped: Option<Reject>,
    /// The steps of alerts that the reading's arrival made, if it is not judged by now.
    pub(crate) heard: Vec<Transition>,
    /// The readings that waited and were judged, in order; the reading itself among them, if its time has come.
    pub(crate) waited: Vec<Ready>,
    /// The reading itself, where none has to wait; judged behind those.
    pub(crate) ready: Option<Ready>,
}

/// A reading that was judged, or turned out to be at fault.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) position: Position,
    pub(crate) outcome: Result<Judged, Box<RejectV1>>,
}

/// What came of a reading.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) series: SeriesId,
    pub(crate) at: Timestamp,
    pub(crate) score: Option<f64>,
    /// The first rule's finding, for people: 0.5 is the boundary; 0 while there is nothing to judge by.
    pub(crate) anomaly_score: f64,
    /// What was found; without findings where nobody asks for them.
    pub(crate) judgement: Judgement,
}

/// By what the rows of one input are judged.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) policy: Policy,
    /// What its features are called.
    pub(crate) features: Vec<String>,
    /// Whether what was found of each reading is kept, and not only of those by which an alert took a step.
    pub(crate) keeps_findings: bool,
}

/// Readings of a run that came when they should not have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Those whose time lies before the one before them, of the same series.
    pub(crate) unordered: u64,
    /// Those that were moved or dropped because of their time.
    pub(crate) untimely: Untimeliness,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        let Untimeliness { early, late, out_of_order } = other.untimely;
        self.unordered += other.unordered;
        self.untimely.early += early;
        self.untimely.late += late;
        self.untimely.out_of_order += out_of_order;
    }
}

impl Series {
    /// Of which `reading` is the first, where `there` others are.
    pub(super) fn begin(scoring: &Scoring, there: usize, terms: &Terms, reading: &Reading) -> Self {
        let detector = Learner::begin(scoring, there);
        let (features, state) = (terms.features.clone(), SeriesState::default());
        Series { features, detector, window: Window::default(), state, last_at: reading.at }
    }

    /// Takes `reading` in: scores it, learns from it and judges it, or has it wait and does so with those whose
    /// time has come. A refused reading changes nothing.
    pub(super) fn take_in(
        &mut self,
        scoring: &Scoring,
        terms: &Terms,
        reading: Reading,
        counts: &mut Counts,
    ) -> Result<Taken, Reject> {
        match terms.policy.event_time() {
            None => self.take_in_now(scoring, terms, reading, &mut counts.unordered),
            Some(event_time) => {
                self.take_in_by_time(scoring, terms, event_time, reading, &mut counts.untimely)
            }
        }
    }

    fn take_in_now(
        &mut self,
        scoring: &Scoring,
        terms: &Terms,
        reading: Reading,
        unordered: &mut u64,
    ) -> Result<Taken, Reject> {
        let Terms { policy, .. } = terms;
        // What waited before the configuration stopped asking for it.
        let released = self.state.end_hold(&reading.series).into_iter();
        let waited: Vec<Ready> = released.map(|one| self.release(scoring, terms, one)).collect();
        let mut scored = self.arrive(scoring, reading)?;
        self.score(scoring, policy, &mut scored)?;
        let (at, position) = (scored.reading.at, scored.reading.position.clone());
        *unordered += u64::from(at < self.last_at);
        self.last_at = at;
        let mut judgement = classify(policy, &mut self.state, &scored, scoring.name());
        self.learn(policy, &scored, &mut judgement);
        let ready = Ready { position, outcome: Ok(Judged::of(scored, judgement, terms)) };
        Ok(Taken { dropped: None, heard: Vec::new(), waited, ready: Some(ready) })
    }

    fn take_in_by_time(
        &mut self,
        scoring: &Scoring,
        terms: &Terms,
        event_time: &EventTime,
        reading: Reading,
        untimely: &mut Untimeliness,
    ) -> Result<Taken, Reject> {
        let scored = self.arrive(scoring, reading)?;
        let heard = silence::hear(&terms.policy, &mut self.state, &scored.reading);
        let admission = self.state.admit(event_time, scored, scoring.name());
        untimely.count(&admission.placement);
        let dropped = match admission.placement {
            Placement::Placed { .. } => None,
            Placement::Dropped(reject) => Some(reject),
        };
        let released = admission.released.into_iter();
        let waited = released.map(|one| self.release(scoring, terms, one)).collect();
        Ok(Taken { dropped, heard, waited, ready: None })
    }

    /// Judges a reading that waited.
    pub(super) fn release(
        &mut self,
        scoring: &Scoring,
        terms: &Terms,
        Released { mut scored, model }: Released,
    ) -> Ready {
        let Terms { policy, .. } = terms;
        let position = scored.reading.position.clone();
        if let Err(reject) = self.score(scoring, policy, &mut scored) {
            return Ready { outcome: Err(Box::new(rejected(reject, &scored))), position };
        }
        self.last_at = scored.reading.at;
        let mut judgement = judge(policy, &mut self.state, &scored, &model);
        self.learn(policy, &scored, &mut judgement);
        Ready { position, outcome: Ok(Judged::of(scored, judgement, terms)) }
    }

    /// What becomes of a reading when it comes. A frozen model is given it now, in a row with those that came before
    /// it, as an endpoint is: by event time it may have to wait afterwards.
    fn arrive(&mut self, scoring: &Scoring, reading: Reading) -> Result<Scored, Reject> {
        let Scoring::Frozen(model) = scoring else { return Ok(Scored { reading, score: None }) };
        match self.window.take_in_once(&reading, model.shingle()) {
            Windowed::Unknown(gap) => Err(gap.gap.reject(self.name_of(gap))),
            Windowed::Known { row, filled } => {
                let score = row.map(|row| model.score(&row)).transpose().map_err(refused)?;
                Ok(Scored { reading: filled.map_or(reading, |filled| *filled), score })
            }
        }
    }

    /// Scores a reading whose time has come by what learns, which must see the readings in order; gaps are filled in.
    /// The score of a frozen model is there already, and of what a calendar excludes there is none.
    fn score(&mut self, scoring: &Scoring, policy: &Policy, scored: &mut Scored) -> Result<(), Reject> {
        let reading = &mut scored.reading;
        if matches!(scoring, Scoring::Frozen(_)) {
            return Ok(());
        }
        self.state.fill(reading);
        let Some(learner) = &mut self.detector else { return Ok(()) };
        // A detector takes all features or none: one that has no value, not even a previous one, ends it.
        if let Some(gap) = reading.filled.iter().find(|gap| !reading.has(gap.feature as usize)) {
            return Err(gap.gap.reject(self.name_of(*gap)));
        }
        if !policy.excludes(&reading.series, reading.at) {
            learner.detector_mut().pass(reading.at);
            scored.score = learner.detector().score(&reading.features).map_err(refused)?;
        }
        Ok(())
    }

    /// Has the series learn a reading that was judged, and tells alerts where its score comes from as long as it is
    /// not learned.
    fn learn(&mut self, policy: &Policy, Scored { reading, .. }: &Scored, judgement: &mut Judgement) {
        let Some(learner) = &mut self.detector else { return };
        if policy.excludes(&reading.series, reading.at) {
            return;
        }
        if judgement.wants_attribution() {
            let why = learner.detector().why(&reading.features);
            judgement.attribute(policy, &reading.features, &why);
        }
        // What can be scored can be learned.
        let _ = learner.detector_mut().learn(&reading.features);
    }

    fn name_of(&self, gap: Filled) -> &str {
        self.features.get(gap.feature as usize).map_or("a feature", String::as_str)
    }
}

impl Judged {
    fn of(Scored { reading, score }: Scored, mut judgement: Judgement, terms: &Terms) -> Self {
        let anomaly_score = anomaly_score(judgement.findings.first().map(|found| &found.finding));
        if judgement.transitions.is_empty() && !terms.keeps_findings {
            judgement.findings = Vec::new();
        }
        Judged { series: reading.series, at: reading.at, score, anomaly_score, judgement }
    }
}

/// The score for people: 0.5 is the boundary; 0 while there is nothing to judge by.
fn anomaly_score(finding: Option<&Finding>) -> f64 {
    match finding {
        Some(Finding::Normal(margin) | Finding::Anomalous(margin, _)) => margin.anomaly_score(),
        Some(Finding::Ignored(_)) => 0.5_f64.next_down(),
        Some(Finding::WarmingUp { .. } | Finding::Unjudged(_)) | None => 0.0,
    }
}

/// The row's bytes are gone by now: what is kept is the reading.
fn rejected(reject: Reject, scored: &Scored) -> RejectV1 {
    RejectV1::new(reject, &scored.reading.position, wire::write(&RowV1::new(scored)).as_bytes())
}

fn refused(error: InputError) -> Reject {
    match error {
        InputError::Width { expected, found } => Reject::Width { expected, found },
        InputError::TooWide { found, limit } => Reject::Width { expected: limit, found },
        InputError::Empty => Reject::Width { expected: 1, found: 0 },
        InputError::NotFinite { feature_idx, .. } => {
            Reject::NotFinite { field: format!("feature {}", feature_idx + 1) }
        }
    }
}
