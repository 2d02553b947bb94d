//! `anomaly local`: a function's own handler on an event file, in this process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anomaly_aws::clock::{self, Monotonic};
use anomaly_aws::config::limits;
use anomaly_aws::event::BatchResponse;
use anomaly_aws::source::{Intake, Reply, Secrets};
use anomaly_aws::telemetry;
use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState};
use anomaly_core::config::{Config, ModelKind};
use anomaly_core::decode::Decoder;
use anomaly_core::message::{self, Message};
use anomaly_core::position::{Place, Runs};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::window::{Plan, Window};
use anomaly_core::wire::{self, Chunk, ChunkV1, RejectV1, TransitionV1};
use anomaly_detect::Model;
use anomaly_local::serve::open_model;
use anomaly_pipeline::classify::Tables;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::invoke::Driver;
use anomaly_pipeline::ports::{
    Answer, Claim, Journal, Outbox, Publisher, Queue, Rejects, Saved, Scorer, States, Stored, StoredWindow,
    TransitionKey, Windows,
};
use anyhow::{Context, bail};
use serde_json::Value;

/// How long scoring an event may take.
const TURN: Duration = Duration::from_secs(60);

/// Run a function's own handler on an event file, without AWS.
///
/// stdout gets the function's answer, word for word; stderr gets what it queued, wrote or published. Every run
/// starts with empty tables, and an endpoint is replaced by a model.
#[derive(Debug, clap::Args)]
pub(crate) struct LocalArgs {
    /// The function.
    #[arg(value_enum)]
    function: Function,
    /// The event, as Lambda hands it over; the folder events/ has some.
    #[arg(short, long, value_name = "JSON")]
    event: PathBuf,
    /// The configuration.
    #[arg(short, long, value_name = "TOML", default_value = "anomaly.toml")]
    config: PathBuf,
    /// A model that `anomaly train` made: to `invoke` the endpoint, to `classify` what tells how its scores were in
    /// training, for rules that are `calibrated`.
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// What a request to `invoke`'s URL must hold in its header `x-anomaly-secret`, unless AWS has checked who
    /// calls.
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
}

/// The functions.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Function {
    /// Records of any source to scored chunks.
    Invoke,
    /// Scored chunks to states and transitions.
    Classify,
    /// Transitions to messages.
    Publish,
}

/// Runs the handler, and tells what it did.
///
/// # Errors
/// If a file cannot be read, or the event is not one the function takes.
pub(crate) fn run(args: LocalArgs) -> anyhow::Result<ExitCode> {
    telemetry::init_for_people();
    let event = read(&args.event)?;
    let valid: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&event);
    valid.with_context(|| format!("{} is not JSON", args.event.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let told = Told::default();
    let answer = runtime.block_on(async {
        match args.function {
            Function::Invoke => invoke(&args, &event, &told).await,
            Function::Classify => classify(&args, &event, &told).await.map(Reply::Items),
            Function::Publish => publish(&event, &told).await.map(Reply::Items),
        }
    })?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&answer)?)?;
    // Nobody is left to be told that stderr is closed.
    let _ = told.lock().iter().try_for_each(|line| writeln!(io::stderr(), "{line}"));
    Ok(if answer.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn invoke(args: &LocalArgs, event: &str, told: &Told) -> anyhow::Result<Reply> {
    let config = config(&args.config)?;
    let decoder = Decoder::new(&config.input).map_err(anyhow::Error::msg)?;
    let secrets = args.secret.as_deref().map(Secrets::plain).unwrap_or_default();
    let intake = Intake { secrets, ..Intake::new(decoder) };
    let scorer = scorer(&config, args.model.as_deref())?;
    let plan = Plan::of(&config, intake.decoder.feature_names());
    let plan = Plan { shingle: scorer.as_ref().map_or(1, |scorer| scorer.0.shingle()), ..plan };
    let driver = Driver::new(scorer, Monotonic::start(), limits(&config), clock::seed());
    let driver = driver.with_windows(LocalWindows::default(), plan);
    Ok(lambda_invoke::handle(&driver.turn(TURN), told, &intake, event, clock::now()).await?)
}

async fn classify(args: &LocalArgs, event: &str, told: &Told) -> anyhow::Result<BatchResponse> {
    let config = config(&args.config)?;
    let decoder = Decoder::new(&config.input).map_err(anyhow::Error::msg)?;
    let policy = Policy::new(&config, decoder.feature_names());
    let policy = match args.model.as_deref() {
        None => policy,
        Some(path) => policy.with_own(open(path)?.calibration().clone()),
    };
    let states = LocalStates { states: Mutex::default(), told };
    let journal = LocalJournal::default();
    let tables = Tables::new(&states, told, &journal);
    Ok(lambda_classify::handle(tables, &policy, event, clock::now()).await?)
}

async fn publish(event: &str, told: &Told) -> anyhow::Result<BatchResponse> {
    let outbox = LocalOutbox { rows: rows(event) };
    let now = clock::now();
    Ok(lambda_publish::handle(&outbox, told, event, now, now).await?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn config(path: &Path) -> anyhow::Result<Config> {
    Config::from_toml(&read(path)?).with_context(|| format!("in {}", path.display()))
}

/// The model in place of the endpoint, or none where none is wanted.
fn scorer(config: &Config, model: Option<&Path>) -> anyhow::Result<Option<LocalScorer>> {
    match (config.model.kind, model) {
        (ModelKind::None | ModelKind::Embedded, None) => Ok(None),
        (ModelKind::Forest, _) => {
            bail!(
                "model.kind = \"forest\" does not run in a function\nhint: use \"embedded\", \"endpoint\" or \"none\""
            )
        }
        (ModelKind::Embedded, Some(_)) => {
            bail!("model.kind = \"embedded\": the series' own states score, and --model is of no use")
        }
        (ModelKind::None, Some(_)) => {
            bail!("model.kind = \"none\": rules judge the values, and --model is of no use")
        }
        (ModelKind::Endpoint, None) => bail!(
            "no endpoint is called from here\nhint: --model MODEL scores with what `anomaly train` made, the scores `anomaly serve` would give"
        ),
        (ModelKind::Endpoint, Some(path)) => Ok(Some(LocalScorer(open(path)?))),
    }
}

fn open(path: &Path) -> anyhow::Result<Model> {
    open_model(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A frozen model in the endpoint's place.
struct LocalScorer(Model);

impl Scorer for LocalScorer {
    fn model(&self) -> &str {
        self.0.id()
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let score = |row: &&[f64]| self.0.score(row);
        let scores: Result<Vec<f64>, _> = rows.iter().map(score).collect();
        scores
            .map(Answer::from)
            .map_err(|error| Fault::permanent(format!("score with model {}", self.0.id()), error))
    }
}

/// What a handler did, a line each: queue, table of rejects and topic in one.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rejects(&self, rejects: &[RejectV1]) {
        let line = |reject: &RejectV1| {
            let RejectV1 { sequence, reject, .. } = reject;
            format!("  rejected {sequence}: {reject}")
        };
        self.lock().extend(rejects.iter().map(line));
    }
}

impl Queue for Told {
    async fn send(&self, chunk: &Chunk) -> Result<(), Fault> {
        let read: ChunkV1 =
            wire::read(&chunk.body).map_err(|error| Fault::permanent("read a chunk", error))?;
        let ChunkV1 { model, rows, rejects, .. } = read;
        let Chunk { body, group, .. } = chunk;
        let (shares, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.series.is_of_rejects());
        let (n, m, bytes) = (rows.len(), rejects.len(), body.len());
        self.lock()
            .push(format!("queued a chunk of group {group}: {n} readings, {m} rejects, {bytes} bytes"));
        for row in rows {
            let score =
                row.score.map_or("no score".to_owned(), |score| format!("score {score:.4} by {model}"));
            self.lock().push(format!("  {} {}: {score}", row.series, row.at_ms));
        }
        self.rejects(&rejects);
        for row in shares {
            let share = row.features.first().copied().unwrap_or_default();
            self.lock().push(format!("  share of {}: {share:.2}", row.series));
        }
        Ok(())
    }
}

impl Rejects for Told {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        self.lock().push(format!("kept {} rejects", rejects.len()));
        self.rejects(rejects);
        Ok(())
    }
}

impl Publisher for Told {
    async fn publish(&self, message: &Message) -> Result<String, Fault> {
        let bodies: Value = serde_json::from_str(&message.bodies).unwrap_or_default();
        let text = bodies["default"].as_str().unwrap_or_default();
        self.lock().push(format!("published: {}\n{text}", message.subject));
        Ok("local".to_owned())
    }
}

/// States that begin empty.
struct LocalStates<'t> {
    states: Mutex<BTreeMap<SeriesId, Stored>>,
    told: &'t Told,
}

impl States for LocalStates<'_> {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<Stored>>, Fault> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(series.iter().map(|name| states.get(name).cloned()).collect())
    }

    async fn save(
        &self,
        series: &SeriesId,
        state: &SeriesState,
        revision: Option<u64>,
        transitions: &[Transition],
        _: Timestamp,
    ) -> Result<Saved, Fault> {
        let revision = revision.map_or(1, |revision| revision + 1);
        let stored = Stored { state: state.clone(), revision };
        self.states.lock().unwrap_or_else(PoisonError::into_inner).insert(series.clone(), stored);
        let mut told = self.told.lock();
        told.push(format!("wrote {series}, revision {revision}: {} bytes", state.encode().len()));
        told.extend(transitions.iter().map(|transition| format!("with {}", message::text(transition))));
        Ok(Saved::Written)
    }

    async fn due(&self, _: Timestamp, _: usize) -> Result<Vec<SeriesId>, Fault> {
        // A run has one event: a flush finds the states empty.
        Ok(Vec::new())
    }
}

/// Windows that begin empty.
#[derive(Default)]
struct LocalWindows(Mutex<BTreeMap<SeriesId, StoredWindow>>);

impl LocalWindows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SeriesId, StoredWindow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows for LocalWindows {
    async fn load(&self, series: &[SeriesId]) -> Result<Vec<Option<StoredWindow>>, Fault> {
        let windows = self.lock();
        Ok(series.iter().map(|name| windows.get(name).cloned()).collect())
    }

    async fn save(&self, series: &SeriesId, window: &Window, revision: Option<u64>) -> Result<Saved, Fault> {
        // Nobody else is here to write it meanwhile.
        let stored = StoredWindow { window: window.clone(), revision: revision.map_or(1, |r| r + 1) };
        self.lock().insert(series.clone(), stored);
        Ok(Saved::Written)
    }
}

/// A journal that begins empty.
#[derive(Default)]
struct LocalJournal(Mutex<BTreeMap<String, Runs>>);

impl Journal for LocalJournal {
    async fn note(&self, strand: &str, runs: &Runs, _: Timestamp) -> Result<(), Fault> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.entry(strand.to_owned()).or_default().extend(runs.clone());
        Ok(())
    }

    async fn find(&self, strand: &str, _: &Place, _: Option<&Place>) -> Result<Runs, Fault> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(noted.get(strand).cloned().unwrap_or_default())
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // All notes of a strand are one here.
        Ok(names.iter().map(|(strand, _)| noted.get(strand).cloned().unwrap_or_default()).collect())
    }
}

/// The rows that an event of the outbox's stream shows.
struct LocalOutbox {
    rows: Vec<Transition>,
}

/// The transitions in the images of `event`.
fn rows(event: &str) -> Vec<Transition> {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = |record: &Value| record["dynamodb"]["NewImage"]["body"]["S"].as_str().map(str::to_owned);
    let read = |body: String| wire::read::<TransitionV1>(&body).ok();
    records.iter().filter_map(body).filter_map(read).map(|row| row.transition).collect()
}

impl Outbox for LocalOutbox {
    async fn claim(&self, key: &TransitionKey, _: Timestamp, _: Timestamp) -> Result<Claim, Fault> {
        match self.rows.iter().find(|row| TransitionKey::of(row) == *key) {
            Some(row) => Ok(Claim::Taken(Box::new(row.clone()))),
            None => Err(Fault::permanent(
                format!("claim alert {} transition {}", key.alert, key.number),
                "the event shows no readable NewImage of it, and there is no table here",
            )),
        }
    }

    async fn release(&self, _: &TransitionKey, _: Timestamp) -> Result<(), Fault> {
        Ok(())
    }

    async fn mark_sent(&self, _: &TransitionKey, _: &str, _: Timestamp) -> Result<(), Fault> {
        Ok(())
    }

    async fn pending(&self, _: Timestamp, _: usize) -> Result<Vec<TransitionKey>, Fault> {
        Ok(Vec::new())
    }
}
