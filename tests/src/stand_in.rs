//! What a function calls, answered from a script: AWS's services as far as one test needs them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;

/// One call of a function to a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// The service's own name of it: `InvokeEndpoint`, `SendMessage`, `TransactWriteItems`, `Publish` …
    pub action: String,
    /// What it carries.
    pub body: Vec<u8>,
}

impl Call {
    /// The body as JSON, `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the service answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A success.
    pub fn ok(body: impl ToString) -> Self {
        Reply { status: 200, body: body.to_string() }
    }

    /// A failure with an error code, as the JSON protocols spell it.
    pub fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "Code": code, "message": "scripted" });
        Reply { status, body: body.to_string() }
    }
}

/// A server that answers from a script and remembers what it was asked.
#[derive(Clone, Debug)]
pub struct StandIn {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

type Script = dyn Fn(&Call) -> Reply + Send + Sync;

#[derive(Clone)]
struct Server {
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl StandIn {
    /// Starts answering every call by `script`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let server = Server { script: Arc::new(script), calls: Arc::clone(&calls) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        // A batch may be larger than what axum takes by default.
        let routes = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(server);
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(StandIn { url, calls })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The calls of `action` so far, in order.
    pub fn calls(&self, action: &str) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|call| call.action == action).cloned().collect()
    }
}

async fn answer(State(server): State<Server>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let call = Call { action: action_of(&uri, &headers, &body), body: body.to_vec() };
    let reply = (server.script)(&call);
    server.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if reply.body.starts_with('<') { "text/xml" } else { "application/json" };
    (status, [("content-type", kind)], reply.body).into_response()
}

/// The three ways a call says what it is: a header (SQS, DynamoDB), a form field (SNS), the path (SageMaker).
fn action_of(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> String {
    if let Some(target) = headers.get("x-amz-target").and_then(|value| value.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let form = String::from_utf8_lossy(body);
    if let Some(action) = form.split('&').find_map(|field| field.strip_prefix("Action=")) {
        return action.to_owned();
    }
    match uri.path().ends_with("/invocations") {
        true => "InvokeEndpoint".to_owned(),
        false => uri.path().to_owned(),
    }
}
