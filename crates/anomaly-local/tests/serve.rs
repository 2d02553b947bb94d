//! The server, called by the real AWS SDK and, where a client of that kind would not do, by hand.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anomaly_core::config;
use anomaly_core::exchange::{Encoder, Reader};
use anomaly_detect::{Model, TrainOptions};
use anomaly_local::serve::{BODY_BYTES_MAX, ServeOptions, Served, serve, serve_latest};
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::config::retry::RetryConfig;
use aws_sdk_sagemakerruntime::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::{InvokeEndpointError, InvokeEndpointOutput};
use aws_sdk_sagemakerruntime::primitives::Blob;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;
type Outcome = Result<()>;

const RECORD_IO: &str = "application/x-recordio-protobuf";

fn model() -> Result<Model> {
    let rows = (0..200).map(|n| vec![f64::from(n % 7), f64::from(n % 5) * 1e6]);
    let features = vec!["cpu".to_owned(), "bytes".to_owned()];
    Ok(Model::train(rows, &TrainOptions { features, trees: 10, sample_size: 32, ..TrainOptions::default() })?)
}

/// A server on a free port, in this test's runtime.
struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    over: JoinHandle<std::io::Result<Served>>,
}

impl Running {
    async fn start(options: ServeOptions) -> Result<Running> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let over = tokio::spawn(serve(model()?, options, listener, async {
            let _ = stopped.await;
        }));
        Ok(Running { address, stop, over })
    }

    async fn with_faults(faults: &[&str]) -> Result<Running> {
        let faults = faults.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Running::start(ServeOptions { faults, ..ServeOptions::default() }).await
    }

    fn client(&self, attempts: u32) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(format!("http://{}", self.address))
            .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(attempts)
                    .with_initial_backoff(Duration::from_millis(1)),
            )
            .build();
        Client::from_conf(config)
    }

    /// One exchange by hand: the head, the body, and all that comes back (the connection is closed after it).
    async fn exchange(&self, head: &str, body: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut request = Vec::new();
        write!(request, "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
        request.extend_from_slice(body);
        stream.write_all(&request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn end(self) -> Result<Served> {
        let _ = self.stop.send(());
        Ok(self.over.await??)
    }
}

async fn invoke(
    client: &Client,
    content_type: &str,
    body: &str,
) -> Result<InvokeEndpointOutput, SdkError<InvokeEndpointError>> {
    let request = client.invoke_endpoint().endpoint_name("my-model").content_type(content_type);
    request.body(Blob::new(body)).send().await
}

fn scores(body: &[u8]) -> Result<Vec<f64>> {
    let body: Value = serde_json::from_slice(body)?;
    let scores = body["scores"].as_array().ok_or("no scores")?;
    scores.iter().map(|score| score["score"].as_f64().ok_or_else(|| "no score".into())).collect()
}

fn blob(output: &InvokeEndpointOutput) -> &[u8] {
    output.body().map_or(&[], AsRef::as_ref)
}

#[tokio::test]
async fn the_sdk_gets_the_models_own_scores_in_every_format() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    let client = server.client(1);
    let model = model()?;
    let expected = [model.score(&[3.0, 2e6])?, model.score(&[3.5, 9e8])?];
    let csv = "3,2e6\n3.5,9e8";
    let json = r#"{"instances":[{"features":[3,2e6]},{"data":{"features":{"values":[3.5,9e8]}}}]}"#;
    for (content_type, body) in [
        ("text/csv", csv.to_owned()),
        ("text/csv; label_size=0", format!("{csv}\n")),
        ("application/json", json.to_owned()),
    ] {
        let output = invoke(&client, content_type, &body).await?;
        let found = scores(blob(&output))?;
        let bits = |scores: &[f64]| scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&expected), "{content_type}");
        assert_eq!(output.content_type(), Some("application/json"));
        assert_eq!(output.invoked_production_variant(), Some("AllTraffic"));
        let told = output.custom_attributes().and_then(anomaly_core::calibration::id_in);
        assert_eq!(told, Some(model.id()), "which artifact it was");
    }
    let lines = client.invoke_endpoint().endpoint_name("any").content_type("application/jsonlines");
    let body = "{\"features\":[3,2e6]}\n{\"features\":[3.5,9e8]}\n";
    let output = lines.accept("application/jsonlines").body(Blob::new(body)).send().await?;
    let text = std::str::from_utf8(blob(&output))?;
    assert_eq!(text, format!("{{\"score\":{}}}\n{{\"score\":{}}}\n", expected[0], expected[1]));
    assert_eq!(server.end().await?, Served { requests: 4, rows: 8, drained: true });
    Ok(())
}

/// What our own functions send and read, through the real SDK: every content type with every answer.
#[tokio::test]
async fn requests_and_answers_of_every_media_type_give_the_same_scores() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    let (client, model) = (server.client(1), model()?);
    let rows: Vec<[f64; 2]> = (0..50).map(|n| [f64::from(n) * 0.1, f64::from(n * n) / 3.0]).collect();
    let rows: Vec<&[f64]> = rows.iter().map(<[f64; 2]>::as_slice).collect();
    let expected = rows.iter().map(|row| model.score(row)).collect::<Result<Vec<f64>, _>>()?;
    let narrow: Vec<f64> = expected.iter().map(|score| f64::from(*score as f32)).collect();
    for content_type in ["text/csv; label_size=0", "application/json", "application/jsonlines", RECORD_IO] {
        for (accept, response) in [
            ("application/json", "rcf"),
            ("application/jsonlines", "rcf"),
            (RECORD_IO, "rcf"),
            ("text/csv", "csv"),
        ] {
            let config = config::Model {
                content_type: content_type.to_owned(),
                accept: Some(accept.to_owned()),
                response: response.to_owned(),
                ..config::Model::default()
            };
            let problems = |problems: Vec<String>| problems.join("; ");
            let encoder = Encoder::new(&config, &[]).map_err(problems)?;
            let reader = Reader::new(&config).map_err(problems)?;
            let request = client.invoke_endpoint().endpoint_name("any").content_type(encoder.content_type());
            let output =
                request.accept(reader.accept()).body(Blob::new(encoder.encode(&rows)?)).send().await?;
            assert_eq!(output.content_type(), Some(accept));
            let found = reader.read(output.content_type(), blob(&output), rows.len())?;
            let bits = |scores: &[f64]| scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
            let expected = if accept == RECORD_IO { &narrow } else { &expected };
            assert_eq!(bits(&found), bits(expected), "{content_type} {accept}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_row_is_a_model_error_with_the_reason() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    let client = server.client(3);
    for (content_type, body, status, reason) in [
        ("text/csv", "1,2\n3,x", 400, "row 2, column 2 (bytes): not a number: \"x\""),
        ("text/csv", "1,2,3", 400, "row 1: 3 values where the model takes 2: cpu, bytes"),
        ("text/csv", "", 400, "the body is empty: at least one row is needed"),
        (
            "application/json",
            r#"{"instances":[{"features":[1,"nan"]}]}"#,
            400,
            "row 1, column 2 (bytes): not a number",
        ),
        ("text/plain", "1,2", 415, "content type \"text/plain\" is none of text/csv"),
    ] {
        let problem = invoke(&client, content_type, body).await.err().ok_or("an error")?;
        assert_eq!(problem.raw_response().map(|r| r.status().as_u16()), Some(424));
        let InvokeEndpointError::ModelError(problem) = problem.into_service_error() else {
            return Err("another error".into());
        };
        assert_eq!(problem.original_status_code(), Some(status));
        assert!(problem.original_message().is_some_and(|m| m.starts_with(reason)), "{problem:?}");
    }
    // Bad rows are not tried again.
    assert_eq!(server.end().await?.requests, 5);
    Ok(())
}

#[tokio::test]
async fn only_the_endpoint_that_is_named_answers() -> Outcome {
    let options = ServeOptions { endpoint_name: Some("my-model".into()), ..ServeOptions::default() };
    let server = Running::start(options).await?;
    let client = server.client(1);
    invoke(&client, "text/csv", "1,2").await?;
    let other =
        client.invoke_endpoint().endpoint_name("your-model").content_type("text/csv").body(Blob::new("1,2"));
    let problem = other.send().await.err().ok_or("an error")?.into_service_error();
    assert!(problem.is_validation_error(), "{problem:?}");
    assert!(problem.message().is_some_and(|m| m.contains("your-model")));
    Ok(())
}

#[tokio::test]
async fn throttling_is_retried_by_the_sdk() -> Outcome {
    let server = Running::with_faults(&["throttle:2"]).await?;
    let output = invoke(&server.client(3), "text/csv", "1,2").await?;
    assert_eq!(scores(blob(&output))?.len(), 1);
    assert_eq!(server.end().await?.requests, 3);

    let server = Running::with_faults(&["throttle"]).await?;
    let problem = invoke(&server.client(1), "text/csv", "1,2").await.err().ok_or("an error")?;
    assert_eq!(problem.raw_response().map(|r| r.status().as_u16()), Some(400));
    assert_eq!(problem.code(), Some("ThrottlingException"));
    assert_eq!(problem.message(), None);
    Ok(())
}

#[tokio::test]
async fn faults_come_when_they_are_due() -> Outcome {
    let server = Running::with_faults(&[
        "internal:every=4",
        "model-error:at=2",
        "wrong-count:at=3",
        "slow=300ms:at=5",
    ])
    .await?;
    let client = server.client(1);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match invoke(&client, "text/csv", "1,2\n3,4").await {
            Ok(output) => format!("{} scores", scores(blob(&output))?.len()),
            Err(problem) => {
                let status = problem.raw_response().map_or(0, |r| r.status().as_u16());
                let original = match problem.as_service_error() {
                    Some(InvokeEndpointError::ModelError(e)) => e.original_status_code(),
                    _ => None,
                };
                format!("{status} {} {original:?}", problem.code().unwrap_or("-"))
            }
        });
    }
    assert_eq!(seen, ["2 scores", "424 ModelError Some(500)", "1 scores", "500 InternalFailure None"]);
    let before = Instant::now();
    invoke(&client, "text/csv", "1,2").await?;
    assert!(before.elapsed() >= Duration::from_millis(300));
    Ok(())
}

#[tokio::test]
async fn the_container_speaks_for_itself() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    assert!(server.exchange("GET /ping HTTP/1.1", b"").await?.starts_with("HTTP/1.1 200 "));
    let csv = "POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nX-Unknown: 1";
    let good = server.exchange(csv, b"1,2\n3,4\n").await?;
    assert!(good.starts_with("HTTP/1.1 200 ") && good.contains("{\"scores\":[{\"score\":"), "{good}");
    let bad = server.exchange(csv, b"1,2\n3,nan\n").await?;
    assert!(bad.starts_with("HTTP/1.1 400 "), "{bad}");
    assert!(bad.ends_with("\r\n\r\nrow 2, column 2 (bytes): NaN is not finite\n"), "{bad}");
    let none = server.exchange("POST /invocations HTTP/1.1", b"1,2").await?;
    assert!(none.starts_with("HTTP/1.1 415 ") && none.contains("no content type"), "{none}");
    assert!(server.exchange("GET /invocations HTTP/1.1", b"").await?.starts_with("HTTP/1.1 405 "));
    assert!(server.exchange("GET / HTTP/1.1", b"").await?.starts_with("HTTP/1.1 404 "));
    Ok(())
}

#[tokio::test]
async fn the_limit_is_inclusive() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    let head = "POST /endpoints/m/invocations HTTP/1.1\r\nContent-Type: text/csv";
    let row = b"1,2\n";
    let mut body = row.repeat(BODY_BYTES_MAX / row.len());
    assert_eq!(body.len(), BODY_BYTES_MAX);
    // The last row is broken, so that the answer is quick and yet shows that the whole body was read.
    body[BODY_BYTES_MAX - 2] = b'x';
    let bad = server.exchange(head, &body).await?;
    assert!(bad.starts_with("HTTP/1.1 424 ") && bad.contains("row 1572864, column 2"), "{bad}");
    body.push(b'\n');
    let large = server.exchange(head, &body).await?;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    assert!(large.ends_with("HTTP content length exceeded 6291456 bytes.\n"), "{large}");
    Ok(())
}

/// A connection on which the server waits for the body of a request; nothing of it has been sent.
async fn waiting_for_a_body(server: &Running) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(&server.address).await?;
    let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n";
    stream.write_all(format!("{head}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await?;
    let mut word = [0; 25];
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    Ok(stream)
}

#[tokio::test]
async fn what_is_in_flight_at_the_end_is_answered() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    // A connection that idles must not hold up the end.
    let idle = server.client(1);
    invoke(&idle, "text/csv", "1,2").await?;
    let mut in_flight = [waiting_for_a_body(&server).await?, waiting_for_a_body(&server).await?];
    let address = server.address.clone();
    let over = tokio::spawn(server.end());
    // From some moment on there are no new connections, and the old ones still get their answers.
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for stream in &mut in_flight {
        stream.write_all(b"1,2\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(over.await??, Served { requests: 3, rows: 3, drained: true });
    assert!(invoke(&idle, "text/csv", "1,2").await.is_err());
    Ok(())
}

#[tokio::test]
async fn one_request_too_many_is_turned_away_at_once() -> Outcome {
    let server = Running::start(ServeOptions { in_flight_max: 1, ..ServeOptions::default() }).await?;
    let mut first = waiting_for_a_body(&server).await?;
    let problem = invoke(&server.client(1), "text/csv", "1,2").await.err().ok_or("an error")?;
    let InvokeEndpointError::ModelError(problem) = problem.into_service_error() else {
        return Err("another error".into());
    };
    assert_eq!(problem.original_status_code(), Some(503), "which may be tried again");
    let second = server.exchange("POST /invocations HTTP/1.1\r\nContent-Type: text/csv", b"1,2\n").await?;
    assert!(second.starts_with("HTTP/1.1 503 ") && second.contains("try again"), "{second}");
    assert!(server.exchange("GET /ping HTTP/1.1", b"").await?.starts_with("HTTP/1.1 200 "), "it is not ill");
    first.write_all(b"1,2\n").await?;
    let mut answer = [0; 15];
    first.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(first);
    invoke(&server.client(3), "text/csv", "1,2").await?;
    Ok(())
}

#[tokio::test]
async fn the_latest_model_answers_and_says_which_it_is() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let first = Arc::new(model()?);
    let (sender, latest) = watch::channel(first.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let over = tokio::spawn(serve_latest(latest, ServeOptions::default(), listener, async {
        let _ = stopped.await;
    }));
    let server = Running { address, stop, over };
    let rows = (0..200).map(|n| vec![f64::from(n % 3), f64::from(n % 11)]);
    let second = Arc::new(Model::train(rows, &TrainOptions { trees: 10, ..TrainOptions::default() })?);
    for model in [first, second] {
        sender.send_replace(model.clone());
        let output = invoke(&server.client(1), "text/csv", "3,4").await?;
        let told = output.custom_attributes().and_then(anomaly_core::calibration::id_in);
        assert_eq!(told, Some(model.id()));
        assert_eq!(scores(blob(&output))?, [model.score(&[3.0, 4.0])?]);
    }
    drop(sender);
    invoke(&server.client(1), "text/csv", "3,4").await?;
    assert_eq!(server.end().await?.requests, 3);
    Ok(())
}

#[tokio::test]
async fn a_batch_transform_is_told_how_to_send() -> Outcome {
    let server = Running::start(ServeOptions::default()).await?;
    let told = server.exchange("GET /execution-parameters HTTP/1.1", b"").await?;
    let body: Value = serde_json::from_str(told.split("\r\n\r\n").nth(1).ok_or("no body")?)?;
    assert!(body["MaxConcurrentTransforms"].as_u64().is_some_and(|n| n > 0), "{told}");
    assert_eq!((&body["BatchStrategy"], &body["MaxPayloadInMB"]), (&"MULTI_RECORD".into(), &6.into()));
    Ok(())
}

#[tokio::test]
async fn a_client_that_never_ends_cannot_hold_the_server() -> Outcome {
    let options = ServeOptions { drain_max: Duration::from_millis(50), ..ServeOptions::default() };
    let server = Running::start(options).await?;
    let _endless = waiting_for_a_body(&server).await?;
    assert!(!server.end().await?.drained);
    Ok(())
}
