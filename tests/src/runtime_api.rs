//! Lambda's Runtime API, played to one function's own binary.
//!
//! The cloud on this machine ignores what a function says about single records of a Kinesis batch; here
//! the answer is read word for word, as Lambda would.

use std::fs::File;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::binaries;
use crate::poll;
use crate::process::Owned;

/// How long an invocation may take, as the function is told.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long the test waits for it.
const INVOKE_LIMIT: Duration = Duration::from_secs(30);

/// What a function made of an event.
#[derive(Debug)]
pub enum Outcome {
    /// It answered.
    Answered(Value),
    /// It reported a failure: Lambda would deliver the whole event again.
    Failed(Value),
}

impl Outcome {
    /// The answer.
    ///
    /// # Errors
    /// When there is none, because the function failed.
    pub fn answered(self) -> Result<Value> {
        match self {
            Outcome::Answered(answer) => Ok(answer),
            Outcome::Failed(failure) => bail!("the function failed: {failure}"),
        }
    }
}

/// One function's process, waiting for events.
#[derive(Debug)]
pub struct Function {
    process: Owned,
    events: mpsc::Sender<Vec<u8>>,
    outcomes: mpsc::Receiver<Outcome>,
    folder: TempDir,
}

impl Function {
    /// Starts the program `name` with `environment` and the variables Lambda itself sets.
    ///
    /// # Errors
    /// When it cannot be built or started.
    pub async fn start(name: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let (events, next) = mpsc::channel(1);
        let (answer, outcomes) = mpsc::channel(1);
        let address = listen(Exchange { next: Mutex::new(next), answer }).await?;
        let folder = TempDir::with_prefix("anomaly-function-")?;
        let mut command = Command::new(binaries::path(name)?);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .envs(lambda_variables(name))
            .envs(environment.iter().copied());
        let process = start_logged(command, &folder)?;
        Ok(Function { process, events, outcomes, folder })
    }

    /// Hands it an event and waits for what it makes of it.
    ///
    /// # Errors
    /// When it ends instead, or takes too long; the message holds what it wrote.
    pub async fn invoke(&mut self, event: &Value) -> Result<Outcome> {
        self.events.send(serde_json::to_vec(event)?).await?;
        let outcome = tokio::time::timeout(INVOKE_LIMIT, self.outcomes.recv()).await;
        let outcome = outcome.ok().flatten();
        outcome.with_context(|| format!("the function did not answer; it wrote:\n{}", self.output()))
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it goes on running.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let child = self.process.child();
        poll::until("the function's end", INVOKE_LIMIT, || {
            let ended = child.try_wait();
            async move { Ok(ended?) }
        })
        .await
    }

    /// What it wrote so far, to both streams.
    pub fn output(&self) -> String {
        read_log(&self.folder)
    }
}

/// The same program under AWS's own emulator of the runtime.
#[derive(Debug)]
pub struct Emulated {
    _process: Owned,
    url: String,
    folder: TempDir,
}

impl Emulated {
    /// Starts the program `name` under `emulator`.
    ///
    /// # Errors
    /// When it cannot be built or started.
    pub async fn start(emulator: &std::path::Path, name: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let [here, there] = [free_address().await?, free_address().await?];
        let folder = TempDir::with_prefix("anomaly-emulator-")?;
        let mut command = Command::new(emulator);
        command
            // Both, always: it listens on every address otherwise.
            .args(["--runtime-interface-emulator-address", &here, "--runtime-api-address", &there])
            .arg(binaries::path(name)?)
            .env_clear()
            .envs(lambda_variables(name))
            .envs(environment.iter().copied());
        let process = start_logged(command, &folder)?;
        let url = format!("http://{here}/2015-03-31/functions/function/invocations");
        Ok(Emulated { _process: process, url, folder })
    }

    /// Hands it an event and returns its answer, word for word.
    ///
    /// # Errors
    /// When nothing answers in time; the message holds what was written.
    pub async fn invoke(&self, event: &Value) -> Result<Value> {
        let http = crate::http::Http::plain();
        let event = serde_json::to_vec(event)?;
        // The emulator refuses connections until it is up.
        let answer = poll::until("the emulator", INVOKE_LIMIT, || async {
            Ok(http.send("POST", &self.url, "lambda", event.clone()).await.ok())
        });
        let answer = answer.await.with_context(|| read_log(&self.folder))?;
        ensure!(answer.status == 200, "the emulator said {}: {}", answer.status, read_log(&self.folder));
        serde_json::from_slice(&answer.body).with_context(|| read_log(&self.folder))
    }
}

/// Between the test and the function: events one way, outcomes the other.
struct Exchange {
    next: Mutex<mpsc::Receiver<Vec<u8>>>,
    answer: mpsc::Sender<Outcome>,
}

async fn listen(exchange: Exchange) -> Result<String> {
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(outcome))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(Arc::new(exchange));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(axum::serve(listener, routes).into_future());
    Ok(address)
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    let event = exchange.next.lock().await.recv().await;
    let Some(event) = event else { return StatusCode::GONE.into_response() };
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000001".to_owned()),
        ("lambda-runtime-deadline-ms", deadline_ms()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

fn deadline_ms() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now + DEADLINE).as_millis().to_string()
}

async fn outcome(
    State(exchange): State<Arc<Exchange>>,
    Path((_id, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let outcome = if kind == "response" { Outcome::Answered(value) } else { Outcome::Failed(value) };
    match exchange.answer.send(outcome).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

async fn init_error() -> StatusCode {
    StatusCode::ACCEPTED
}

/// What Lambda itself puts into a function's environment.
fn lambda_variables(name: &str) -> [(&'static str, String); 9] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream".to_owned()),
        ("AWS_REGION", crate::cloud::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_SESSION_TOKEN", "test".to_owned()),
    ]
}

fn start_logged(mut command: Command, folder: &TempDir) -> Result<Owned> {
    let log = File::create(folder.path().join("log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_owned();
    let Ok(child) = command.spawn() else { bail!("cannot start {}", program.display()) };
    Ok(Owned::new(child))
}

fn read_log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}
