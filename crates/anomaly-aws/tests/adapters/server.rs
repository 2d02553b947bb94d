//! A server on this machine that stands in for AWS: it keeps what it is asked and answers by a script.

use std::sync::{Arc, Mutex};

use anomaly_aws::config::{Connection, EndpointUrls};
use anomaly_aws::connect::Connector;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The operation, of a service that names it in a header.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is answered: a status and a body.
pub(crate) type Reply = (u16, String);

pub(crate) fn ok(body: impl ToString) -> Reply {
    (200, body.to_string())
}

/// An error as the services of JSON tell it.
pub(crate) fn error(status: u16, code: &str) -> Reply {
    (status, serde_json::json!({ "__type": code, "message": "as scripted" }).to_string())
}

type Script = Box<dyn Fn(usize, &Request) -> Reply + Send + Sync>;

/// The server.
pub(crate) struct Server {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    script: Script,
}

impl Server {
    /// Starts it; `script` is told the number of each request, from 0.
    pub(crate) async fn start(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { requests: Mutex::default(), script: Box::new(script) });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Server { url, shared }
    }

    /// Whatever is at `url`, in this one's place.
    pub(crate) fn at(url: String) -> Self {
        Server {
            url,
            shared: Arc::new(Shared { requests: Mutex::default(), script: Box::new(|_, _| ok("")) }),
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        let url = Some(self.url.clone());
        Connector::new(&Connection {
            region: "eu-west-1".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
            endpoint_urls: EndpointUrls {
                sagemaker_runtime: url.clone(),
                sqs: url.clone(),
                dynamodb: url.clone(),
                sns: url.clone(),
                cloudformation: url,
            },
        })
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no test panics with it").clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let request = Request { path: uri.path().to_owned(), headers, body };
    let number = {
        let mut requests = shared.requests.lock().expect("no test panics with it");
        requests.push(request.clone());
        requests.len() - 1
    };
    let (status, body) = (shared.script)(number, &request);
    (StatusCode::from_u16(status).expect("a status"), body)
}
