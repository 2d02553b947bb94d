//! A frozen model as a SageMaker endpoint over HTTP: what the AWS SDK, `boto3` and SageMaker itself can call.
//!
//! | path | who calls it | what a bad request gets |
//! |---|---|---|
//! | `GET /ping` | SageMaker, to see whether the container is up | |
//! | `POST /invocations` | SageMaker, in front of the container | the container's own status (400, 415) and the reason as text |
//! | `GET /execution-parameters` | SageMaker, before a batch transform | |
//! | `POST /endpoints/NAME/invocations` | the runtime API: SDKs with an endpoint URL | what SageMaker makes of that: 424 `ModelError` with `OriginalStatusCode` and `OriginalMessage` |
//!
//! A body of more than 6,291,456 bytes gets 413 on both, because SageMaker refuses it before the container sees
//! it; an endpoint of another name gets 400 `ValidationError`. Bodies are those of SageMaker's Random Cut Forest:
//! `text/csv`, `application/json`, `application/jsonlines` and `application/x-recordio-protobuf` in, and the same
//! out: what is accepted, or else JSON. An answer names the artifact by its id in the header of custom attributes,
//! `anomaly-model=1f0c6e2b7a94`.
//!
//! No more than [`ServeOptions::in_flight_max`] requests are answered at a time, so that memory is bounded; a further one
//! gets 503 at once, which SageMaker makes a `ModelError` that may be tried again. Of these as many are scored at a time as
//! there are cores; one that waits too long gets 503 as well.
//!
//! The model may change while it is served ([`serve_latest`]): an answer is by one model, and says which.
//!
//! Not behind a wall: no signature is checked, and whoever reaches the port can score.

mod answer;
pub mod fault;
pub mod reload;
pub(crate) mod request;

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, BufReader};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anomaly_core::exchange::Media;
use anomaly_detect::{ArtifactError, Model};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use answer::{Answer, Problem, Speaker};
use fault::{Fault, Kind};

pub use anomaly_core::exchange::BODY_BYTES_MAX;

/// How much of a too large body is still read, so that the client gets to read the answer rather than a reset.
const DISCARDED_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// How long a client may take over its body; SageMaker itself waits 60 s for the whole answer.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// How many requests are answered at a time if nobody says otherwise: their bodies take at most 400 MB.
const IN_FLIGHT_MAX: usize = 64;

/// How long a request may wait to be scored: what comes later than 60 s is no answer for SageMaker, and scoring itself takes
/// seconds.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How the endpoint behaves. The default answers to every name and has no faults.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeOptions {
    /// The only endpoint name that is answered on the runtime path; any, if `None`.
    pub endpoint_name: Option<String>,
    /// Faults to play, in the order in which they are asked; the first that is due decides. Fixed from the start.
    pub faults: Vec<Fault>,
    /// How many requests are answered at a time, 1 or more; each holds a body of up to [`BODY_BYTES_MAX`].
    pub in_flight_max: usize,
    /// How long a request may wait for a core until it is turned away as one too many.
    pub wait_max: Duration,
    /// How long requests in flight may take after the shutdown. SageMaker kills a container 30 s after SIGTERM.
    pub drain_max: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            endpoint_name: None,
            faults: Vec::new(),
            in_flight_max: IN_FLIGHT_MAX,
            wait_max: WAIT_MAX,
            drain_max: Duration::from_secs(25),
        }
    }
}

/// What was served, once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Requests for scores, good and bad.
    pub requests: u64,
    /// Rows scored.
    pub rows: u64,
    /// Whether all requests in flight were answered before the end.
    pub drained: bool,
}

/// Serves `model` on `listener` until `shutdown` is ready; then takes no more connections, answers what is in
/// flight and returns.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    model: Model,
    options: ServeOptions,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Served> {
    // Nobody changes it: that the sender is gone makes no difference.
    let (_, latest) = watch::channel(Arc::new(model));
    serve_latest(latest, options, listener, shutdown).await
}

/// As [`serve`], of the model that is the latest when a request is scored.
///
/// # Errors
/// Those of the listener.
pub async fn serve_latest(
    latest: watch::Receiver<Arc<Model>>,
    options: ServeOptions,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Served> {
    let drain_max = options.drain_max;
    let endpoint = Arc::new(Endpoint {
        latest,
        admission: Semaphore::new(options.in_flight_max.max(1)),
        cores: Arc::new(Semaphore::new(cores())),
        options,
        requests: AtomicU64::new(0),
        rows: AtomicU64::new(0),
    });
    let (announce, announced) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, router(endpoint.clone())).with_graceful_shutdown(async {
        shutdown.await;
        // The receiver is gone only if serving is over already.
        let _ = announce.send(());
    });
    let too_long = async {
        match announced.await {
            Ok(()) => tokio::time::sleep(drain_max).await,
            // The server ended by itself and says why.
            Err(_) => std::future::pending().await,
        }
    };
    let drained = tokio::select! {
        ended = server => ended.map(|()| true)?,
        () = too_long => false,
    };
    Ok(Served {
        requests: endpoint.requests.load(Ordering::Relaxed),
        rows: endpoint.rows.load(Ordering::Relaxed),
        drained,
    })
}

/// Ready once the process is asked to end: by SIGTERM, or from the keyboard.
///
/// From the return of this function on the signals no longer end the process by themselves, so call it before
/// telling anyone that the server is up.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn until_terminated() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

/// The model at `path`: the archive that [`Model::write`] wrote, or a folder with its unpacked files, as SageMaker
/// lays it out for a container.
///
/// # Errors
/// [`ArtifactError`], with [`ArtifactError::Io`] if there is nothing to read.
pub fn open_model(path: &FilePath) -> Result<Model, ArtifactError> {
    if path.is_dir() {
        let read = |name| fs::read(path.join(name)).map_err(ArtifactError::Io);
        return Model::from_files(&read("model.json")?, &read("forest.bin")?);
    }
    Model::read(BufReader::new(File::open(path).map_err(ArtifactError::Io)?))
}

struct Endpoint {
    latest: watch::Receiver<Arc<Model>>,
    /// A permit for each request that may be answered at a time.
    admission: Semaphore,
    /// A permit for each that may be scored at a time.
    cores: Arc<Semaphore>,
    options: ServeOptions,
    requests: AtomicU64,
    rows: AtomicU64,
}

fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/ping", get(|| async { StatusCode::OK }))
        .route("/execution-parameters", get(answer::execution_parameters))
        .route("/invocations", post(invoke_container))
        .route("/endpoints/{name}/invocations", post(invoke_endpoint))
        .with_state(endpoint)
}

async fn invoke_container(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    endpoint.respond(request, Speaker::Container).await
}

async fn invoke_endpoint(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match &endpoint.options.endpoint_name {
        Some(known) if *known != name => {
            answer::problem(&Problem::OtherEndpoint { name }, Speaker::SageMaker)
        }
        _ => endpoint.respond(request, Speaker::SageMaker).await,
    }
}

impl Endpoint {
    async fn respond(&self, request: Request, speaker: Speaker) -> Response {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let Ok(_permit) = self.admission.try_acquire() else {
            // Read whatever the answer will be, but not kept.
            let (_, body) = request.into_parts();
            discard(body).await;
            return answer::problem(&Problem::Busy, speaker);
        };
        let faults = &self.options.faults;
        tokio::time::sleep(fault::delay(faults, number)).await;
        let due = fault::due(faults, number);
        match self.answer(request, due).await {
            Ok(answer) => answer::scores(&answer),
            Err(problem) => answer::problem(&problem, speaker),
        }
    }

    async fn answer(&self, request: Request, due: Option<Kind>) -> Result<Answer, Problem> {
        let (parts, body) = request.into_parts();
        let wanted = answer::wanted(text(&parts.headers, ACCEPT));
        // Read whatever the answer will be: a client that is still writing would not see it.
        let body = read(&parts.headers, body).await?;
        match due {
            Some(Kind::Throttle) => return Err(Problem::Throttled),
            Some(Kind::ModelError) => return Err(Problem::ModelFailed),
            Some(Kind::Internal) => return Err(Problem::Internal),
            Some(Kind::WrongCount | Kind::Slow(_)) | None => {}
        }
        let media = request::media(text(&parts.headers, CONTENT_TYPE))?;
        let core = tokio::time::timeout(self.options.wait_max, self.cores.clone().acquire_owned());
        let core = core.await.map_err(|_| Problem::Busy)?.map_err(|_| Problem::ModelFailed)?;
        let model = self.latest.borrow().clone();
        let id = model.id().to_owned();
        // Scoring is arithmetic, milliseconds to seconds of it: not on the threads that answer pings.
        let score = move || {
            let scores = score(&model, media, &body);
            drop(core);
            scores
        };
        let mut scores = tokio::task::spawn_blocking(score).await.map_err(|_| Problem::ModelFailed)??;
        self.rows.fetch_add(scores.len() as u64, Ordering::Relaxed);
        if due == Some(Kind::WrongCount) {
            scores.pop();
        }
        Ok(Answer { model: id, scores, media: wanted })
    }
}

/// The scores of a body's rows, in order.
fn score(model: &Model, media: Media, body: &[u8]) -> Result<Vec<f64>, Problem> {
    let rows = request::rows(media, body, &model.columns())?;
    rows.iter()
        .enumerate()
        .map(|(row_idx, row)| {
            let refused = |e| Problem::Rows(format!("row {}: {e}", row_idx + 1));
            model.score(row).map_err(refused)
        })
        .collect()
}

/// As many as can be used at a time.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Reads a body to its end, or until it is too much or takes too long.
async fn discard(body: Body) {
    let reading = async {
        let (mut count, mut chunks) = (0, body.into_data_stream());
        while let Some(Ok(chunk)) = chunks.next().await {
            count += chunk.len();
            if count > DISCARDED_BYTES_MAX {
                break;
            }
        }
    };
    // What did not come in time is of no use either.
    let _ = tokio::time::timeout(BODY_TIME_MAX, reading).await;
}

/// The whole body, if it is small and quick enough.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let announced = text(headers, CONTENT_LENGTH).parse().unwrap_or(0);
    let reading = async {
        let (mut bytes, mut count) = (Vec::with_capacity(BODY_BYTES_MAX.min(announced)), 0);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Problem::BodyCutShort)?;
            count += chunk.len();
            match count {
                0..=BODY_BYTES_MAX => bytes.extend_from_slice(&chunk),
                _ if count <= DISCARDED_BYTES_MAX => bytes = Vec::new(),
                _ => break,
            }
        }
        if count > BODY_BYTES_MAX { Err(Problem::TooLarge) } else { Ok(bytes) }
    };
    tokio::time::timeout(BODY_TIME_MAX, reading).await.unwrap_or(Err(Problem::TooSlow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_detect::TrainOptions;

    #[tokio::test]
    async fn who_waits_too_long_for_a_core_is_turned_away() {
        let options = TrainOptions { trees: 2, sample_size: 8, ..TrainOptions::default() };
        let model = Model::train((0..32).map(|n| vec![f64::from(n)]), &options).expect("trained");
        let mut endpoint = Endpoint {
            latest: watch::channel(Arc::new(model)).1,
            admission: Semaphore::new(1),
            cores: Arc::new(Semaphore::new(0)),
            options: ServeOptions { wait_max: Duration::ZERO, ..ServeOptions::default() },
            requests: AtomicU64::new(0),
            rows: AtomicU64::new(0),
        };
        let request = || {
            let request = Request::builder().header(CONTENT_TYPE, "text/csv");
            request.body(Body::from("1\n")).expect("a request")
        };
        let turned_away = endpoint.respond(request(), Speaker::Container).await;
        assert_eq!(turned_away.status(), StatusCode::SERVICE_UNAVAILABLE);
        endpoint.cores = Arc::new(Semaphore::new(1));
        assert_eq!(endpoint.respond(request(), Speaker::Container).await.status(), StatusCode::OK);
        assert_eq!(
            endpoint.respond(request(), Speaker::Container).await.status(),
            StatusCode::OK,
            "a core is free again"
        );
    }
}
