//! What a run leaves for the next one, in one folder: a lock, and a store.

pub(crate) mod asked;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anomaly_core::alert::Transition;
use anomaly_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use asked::Ask;

use crate::detect::waiting::Waiting;
use crate::engine::Engine;
use crate::input::Mark;
use crate::store::outbox;
use crate::store::run::{self, About};
use crate::store::{Draft, Store, StoreError, Taken};

/// The store's name in the folder.
pub(crate) const STORE: &str = "state";

/// What a run leaves beside its series.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Saved {
    /// The files read, by path.
    pub(crate) inputs: BTreeMap<String, SavedInput>,
    /// The files written, by path, and how long they were.
    pub(crate) outputs: BTreeMap<String, u64>,
    /// Whether a pipe was being read: what it gave after this was saved does not come again.
    pub(crate) live: bool,
    /// Rows whose verdict is not known yet, by the name of their input.
    pub(crate) waiting: BTreeMap<String, Waiting>,
}

/// How far a file was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedInput {
    pub(crate) path: String,
    /// `[input]` as it was given and as it was completed, as JSON: it may gain fields.
    pub(crate) given: String,
    pub(crate) completed: String,
    pub(crate) mark: Mark,
}

impl Saved {
    /// Takes the files written as they are now for as they were left.
    pub(crate) fn outputs_as_they_are(&mut self) {
        for (path, bytes) in &mut self.outputs {
            *bytes = fs::metadata(path).map_or(*bytes, |file| file.len());
        }
    }
}

/// The folder, locked for this run.
#[derive(Debug)]
pub(crate) struct StateDir {
    folder: PathBuf,
    store: Arc<Store>,
    draft: Arc<Draft>,
    /// Held while the run lasts; the system lets go of it however the run ends.
    _lock: File,
}

impl StateDir {
    /// Makes the folder if need be, locks it and opens the store in it.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let fail = |verb| move |source| StoreError::io(folder, verb, source);
        fs::create_dir_all(folder).map_err(fail("written"))?;
        let lock = File::create(folder.join("lock")).map_err(fail("locked"))?;
        match lock.try_lock() {
            Ok(()) => {
                let store = Arc::new(Store::open(&folder.join(STORE))?);
                let draft = Arc::new(Draft::new(Arc::clone(&store)));
                Ok(StateDir { folder: folder.to_owned(), store, draft, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(fail("locked")(source)),
        }
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What people asked of a run, with the files that say so.
    pub(crate) fn asked(&self) -> Result<Vec<(PathBuf, Ask)>, StoreError> {
        asked::all(&self.folder).map_err(|source| StoreError::io(&self.folder, "read", source))
    }

    /// The last step of `alert` that was saved.
    pub(crate) fn last_step(&self, alert: &str) -> Result<Option<Transition>, StoreError> {
        self.store.reading(|transaction| outbox::last(transaction, alert))
    }

    /// What the last run left, with its series for `engine` to fetch; nothing is as good as an empty state.
    pub(crate) fn load(&self, engine: &mut Engine) -> Result<Saved, StoreError> {
        let Some((about, mut saved)) = self.store.reading(run::left)? else {
            engine.open(&self.draft)?;
            return Ok(Saved::default());
        };
        let now = engine.scoring.identity();
        if about.scoring != now {
            let path = self.store.path().to_owned();
            return Err(StoreError::Scoring { path, then: about.scoring, now });
        }
        engine.open(&self.draft)?;
        saved.inputs.retain(|path, _| Path::new(path).exists());
        Ok(saved)
    }

    /// Writes `saved`, the series of `engine` that changed since this was done last, those that it put by included, and
    /// the `steps` that alerts took since: all of it or nothing. `now` is when the steps count as told.
    pub(crate) fn save(
        &self,
        saved: &Saved,
        engine: &mut Engine,
        steps: &[Taken],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let about = About { scoring: engine.scoring.identity(), live: saved.live };
        self.draft.write(|transaction| {
            run::leave(transaction, &about, saved)?;
            run::tell(transaction, steps, now)
        })?;
        engine.write_changed(&self.draft)?;
        self.draft.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::waiting::Line;
    use crate::engine::{Means, Scoring, Terms};
    use anomaly_core::classify::Policy;
    use anomaly_core::config::{Clear, Config, MOfN, Method, On, Rule};
    use anomaly_core::position::{Position, Sequence};
    use anomaly_core::reading::{Reading, SeriesId};
    use anomaly_detect::StreamingOptions;
    use anomaly_pipeline::ports::States;
    use futures_util::FutureExt;
    use std::num::NonZeroUsize;

    fn folder() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(dir.path()).expect("opens");
        (dir, state)
    }

    fn engine() -> Engine {
        Engine::new(Scoring::None, &Config::default(), Means::PLAIN)
    }

    #[test]
    fn comes_back_whole() {
        let (_dir, state) = folder();
        let save =
            |saved: &Saved| state.save(saved, &mut engine(), &[], Timestamp::default()).expect("written");
        let load = || state.load(&mut engine()).expect("its own");
        assert_eq!(load(), Saved::default());
        let outputs = BTreeMap::from([("a".to_owned(), 7)]);
        let mut saved = Saved { live: true, outputs, ..Saved::default() };
        save(&saved);
        assert_eq!(load(), saved);
        let mut waiting = Waiting::default();
        waiting.push(Line::new(7, "noon".to_owned(), "1.5".to_owned(), None));
        saved.waiting.insert("a.csv".to_owned(), waiting);
        save(&saved);
        assert_eq!(load(), saved);
        saved.waiting.clear();
        save(&saved);
        assert_eq!(load(), saved, "what waits no more is gone");
        let forest = Scoring::Forest(Default::default());
        let forest = &mut Engine::new(forest, &Config::default(), Means::PLAIN);
        let error = state.load(forest).expect_err("other scores").to_string();
        assert!(error.contains("was learned with no model"), "{error}");
    }

    fn take_in(engine: &mut Engine, config: &Config, series: &str, second: i64) -> Vec<Transition> {
        let at = Timestamp::from_ms(second * 1_000).expect("in range");
        let sequence = Sequence::from(second.unsigned_abs());
        let position = Position { partition: "f".into(), sequence, sub: 0, arrived: at };
        let series = SeriesId::new(series).expect("a name");
        let reading = Reading { series, at, features: vec![second as f64], filled: Vec::new(), position };
        let features = vec!["v".to_owned()];
        let policy = Policy::new(config, &features);
        let terms = Arc::new(Terms { policy, features, keeps_findings: false });
        engine.hand_out(&terms, vec![Some(reading)]).expect("the same features");
        let outcomes = engine.take_back().expect("read").expect("a lot");
        let ready = outcomes.into_iter().filter_map(|outcome| outcome.taken.expect("taken in").ready);
        ready.flat_map(|r| r.outcome.expect("judged").judgement.transitions).collect()
    }

    #[test]
    fn only_what_changed_is_written_and_what_is_read_is_what_was_there() {
        let (dir, state) = folder();
        let config = Config::default();
        let two = Means { threads: NonZeroUsize::new(2).expect("not 0"), memory_bytes: usize::MAX };
        let mut engine = Engine::new(Scoring::Streaming(StreamingOptions::default()), &config, two);
        engine.start();
        let now = Timestamp::default();
        for second in 0..3 {
            take_in(&mut engine, &config, "a", second);
            take_in(&mut engine, &config, "b", second);
            state.save(&Saved::default(), &mut engine, &[], now).expect("written");
            state.save(&Saved::default(), &mut engine, &[], now).expect("written");
        }
        take_in(&mut engine, &config, "b", 3);
        state.save(&Saved::default(), &mut engine, &[], now).expect("written");
        let [a, b] = ["a", "b"].map(|name| SeriesId::new(name).expect("a name"));
        let stored = States::load(&*state.store, &[a, b]).now_or_never().expect("ready").expect("read");
        let revisions: Vec<_> = stored.into_iter().flatten().map(|stored| stored.revision).collect();
        assert_eq!(revisions, [3, 4]);
        drop(state);
        let mut read = Engine::new(Scoring::Streaming(StreamingOptions::default()), &config, Means::PLAIN);
        StateDir::open(dir.path()).expect("opens").load(&mut read).expect("its own");
        let whole = |engine: &mut Engine| {
            ["a", "b"].map(|name| engine.look_at(&SeriesId::new(name).expect("a name")))
        };
        assert_eq!(whole(&mut read), whole(&mut engine));
    }

    #[test]
    fn an_alert_that_is_over_is_forgotten_after_a_month() {
        let (_dir, state) = folder();
        let rule = Rule {
            method: Method::Static { threshold: 10.0 },
            on: On::Value,
            hold: MOfN::new(1, 1).expect("one of one"),
            clear: Clear { hold: MOfN::new(1, 1).expect("one of one"), ..Clear::default() },
            ..Rule::default()
        };
        let config = Config { rules: vec![rule], ..Config::default() };
        let mut engine = engine();
        let mut told = |seconds: std::ops::Range<i64>, on_day: i64| {
            let steps = seconds.flat_map(|s| take_in(&mut engine, &config, "a", s));
            let steps: Vec<_> = steps.map(|transition| Taken { transition, why: None }).collect();
            let now = Timestamp::from_ms(on_day * 86_400_000).expect("in range");
            state.save(&Saved::default(), &mut engine, &steps, now).expect("written");
            let kept = state.store.reading(outbox::all).expect("read");
            let step = |step: &Taken| (step.transition.since.as_ms() / 1_000, step.transition.number);
            kept.iter().map(step).collect::<Vec<_>>()
        };
        assert_eq!(told(11..12, 0), [(11, 1)]);
        assert_eq!(told(5..6, 1), [(11, 1), (11, 2)], "over");
        assert_eq!(told(21..22, 31), [(11, 1), (11, 2), (21, 1)]);
        assert_eq!(told(6..7, 90), [(21, 1), (21, 2)], "what was open is kept");
    }

    #[test]
    fn two_runs_do_not_share_it() {
        let (dir, _state) = folder();
        let error = StateDir::open(dir.path()).expect_err("locked").to_string();
        assert!(error.starts_with("another run uses the state in"), "{error}");
    }
}
