use anomaly_aws::config::Endpoint;
use anomaly_aws::sagemaker::SageMakerScorer;
use anomaly_core::config::{Direction, Model};
use anomaly_core::exchange::recordio;
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::ports::{Answer, Scorer};
use serde_json::json;

use crate::server::{Reply, Server, error, ok};

const ROWS: [&[f64]; 2] = [&[1.5, 0.1 + 0.2], &[-2.0, 1e300]];

fn scorer(server: &Server, model: Model) -> SageMakerScorer {
    let endpoint = Endpoint::new("web".to_owned(), &model, &["cpu".to_owned(), "memory".to_owned()]);
    SageMakerScorer::new(&server.connector(), endpoint.expect("a valid configuration"))
}

fn of(content_type: &str) -> Model {
    Model { content_type: content_type.to_owned(), ..Model::default() }
}

async fn score(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Result<Vec<f64>, Fault> {
    let server = Server::start(move |number, _| reply(number)).await;
    scorer(&server, Model::default()).score(&ROWS).await.map(|answer| answer.scores)
}

async fn fault(reply: Reply) -> Fault {
    score(move |_| reply.clone()).await.expect_err("a fault")
}

#[tokio::test]
async fn rows_go_out_and_scores_come_back_to_the_bit() {
    let answer = r#"{"scores":[{"score":0.30000000000000004},{"score":5e-324}]}"#;
    for (content_type, body) in [
        ("text/csv; label_size=0", "1.5,0.30000000000000004\n-2.0,1e300"),
        (
            "application/json",
            r#"{"instances":[{"features":[1.5,0.30000000000000004]},{"features":[-2.0,1e300]}]}"#,
        ),
        ("application/jsonlines", "{\"features\":[1.5,0.30000000000000004]}\n{\"features\":[-2.0,1e300]}"),
    ] {
        let server = Server::start(move |_, _| ok(answer)).await;
        let scores = scorer(&server, of(content_type)).score(&ROWS).await.expect("scores").scores;
        assert_eq!(scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [0x3fd3_3333_3333_3334, 1]);
        let [request] = &server.requests()[..] else { panic!("one request") };
        assert_eq!((request.path.as_str(), request.text().as_str()), ("/endpoints/web/invocations", body));
        assert_eq!(request.header("content-type"), content_type);
        assert_eq!(request.header("accept"), "application/json");
        assert!(request.header("authorization").contains("/eu-west-1/sagemaker/"));
        assert_eq!(request.header("x-amz-security-token"), "token");
        let unsaid = request.headers.keys().filter(|name| name.as_str().starts_with("x-amzn-sagemaker"));
        assert_eq!(unsaid.count(), 0, "what is not configured is not said");
    }
}

#[tokio::test]
async fn record_io_goes_out_bit_by_bit() {
    let server = Server::start(|_, _| ok(r#"{"scores":[{"score":1},{"score":2}]}"#)).await;
    let scorer = scorer(&server, of("application/x-recordio-protobuf"));
    assert_eq!(scorer.score(&ROWS).await.map(|answer| answer.scores), Ok(vec![1.0, 2.0]));
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(recordio::rows(&request.body), Ok(ROWS.map(<[f64]>::to_vec).to_vec()));
}

#[tokio::test]
async fn a_request_says_all_that_was_configured() {
    let model = Model {
        request: Some(r#"{"inputs": ${rows}}"#.to_owned()),
        accept: Some("application/vnd.mine+json".to_owned()),
        response: "/predictions/*/p".to_owned(),
        direction: Direction::LowerIsAnomalous,
        scale: Some([0.0, 1.0]),
        target_variant: Some("blue".to_owned()),
        target_model: Some("web/1.tar.gz".to_owned()),
        inference_component: Some("forest".to_owned()),
        custom_attributes: Some("trace=1, colour=blue".to_owned()),
        inference_id: Some("web-${hash}".to_owned()),
        ..of("application/json")
    };
    let server = Server::start(|_, _| ok(r#"{"predictions":[{"p":0.25},{"p":1}]}"#)).await;
    let scorer = scorer(&server, model);
    for _ in 0..2 {
        assert_eq!(scorer.score(&ROWS).await.map(|answer| answer.scores), Ok(vec![0.75, 0.0]));
    }
    let [request, again] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!(request.text(), r#"{"inputs": [[1.5,0.30000000000000004],[-2.0,1e300]]}"#);
    for (name, value) in [
        ("accept", "application/vnd.mine+json"),
        ("x-amzn-sagemaker-target-variant", "blue"),
        ("x-amzn-sagemaker-target-model", "web/1.tar.gz"),
        ("x-amzn-sagemaker-inference-component", "forest"),
        ("x-amzn-sagemaker-custom-attributes", "trace=1, colour=blue"),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert_eq!(scorer.model(), "web/forest/web/1.tar.gz", "another model has another name");
    let id = request.header("x-amzn-sagemaker-inference-id");
    assert!(id.starts_with("web-") && id.len() == 36, "{id}");
    assert_eq!(again.header("x-amzn-sagemaker-inference-id"), id, "the same rows have the same name");
}

#[tokio::test]
async fn the_variant_that_answered_is_told() {
    let router = axum::Router::new().fallback(|| async {
        let variant =
            [("x-amzn-invoked-production-variant", "green"), ("content-type", "application/jsonlines")];
        (variant, "{\"score\":1},\n{\"score\":2}")
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::at(format!("http://{}", listener.local_addr().expect("an address")));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = scorer(&server, Model::default()).score(&ROWS).await;
    assert_eq!(answer, Ok(Answer { scores: vec![1.0, 2.0], variant: Some("green".to_owned()) }));
}

#[tokio::test]
async fn so_is_the_artifact_behind_it() {
    let router = axum::Router::new().fallback(|| async {
        let told = [
            ("x-amzn-invoked-production-variant", "green"),
            ("x-amzn-sagemaker-custom-attributes", "trace=1, anomaly-model=1f0c6e2b7a94"),
        ];
        (told, "{\"scores\":[{\"score\":1},{\"score\":2}]}")
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::at(format!("http://{}", listener.local_addr().expect("an address")));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = scorer(&server, Model::default()).score(&ROWS).await.expect("scores");
    assert_eq!(answer.variant.as_deref(), Some("green@1f0c6e2b7a94"));
}

#[tokio::test]
async fn no_request_has_more_rows_than_fit() {
    let server = Server::start(|_, _| ok("")).await;
    let scorer = scorer(&server, Model { body_bytes_max: 1024, ..Model::default() });
    // "0.5,0.5\n" has eight bytes.
    let rows = vec![&[0.5, 0.5][..]; 200];
    assert_eq!(scorer.fit(&rows), 128);
    let long = vec![0.5; 300];
    let refusal = scorer.score(&[&long]).await.expect_err("too large");
    let expected = Fault::refused("invoke endpoint web", "row 1: 1199 bytes as a request; 1024 are allowed");
    assert_eq!(refusal, expected);
    assert_eq!(server.requests().len(), 0, "nothing was sent");
}

/// The driver asks again, within its budget; the SDK must not do so below it.
#[tokio::test]
async fn throttling_is_told_at_once_though_its_status_is_400() {
    let server = Server::start(|_, _| error(400, "ThrottlingException")).await;
    let fault = scorer(&server, Model::default()).score(&ROWS).await.expect_err("a fault");
    assert_eq!((fault.kind, server.requests().len()), (FaultKind::Throttled, 1));
}

#[tokio::test]
async fn what_the_container_says_decides() {
    let model_error = |status: u16| {
        let body = json!({
            "__type": "ModelError", "Message": "m", "OriginalStatusCode": status, "OriginalMessage": "of the container",
        });
        (424, body.to_string())
    };
    for (status, kind) in [
        (500, FaultKind::Transient),
        (0, FaultKind::Transient),
        (400, FaultKind::Refused),
        (415, FaultKind::Permanent),
    ] {
        let fault = fault(model_error(status)).await;
        assert_eq!(fault.kind, kind, "{status}");
        let expected =
            format!("invoke endpoint web: ModelError: m; the container answered {status}: of the container");
        assert_eq!(fault.to_string(), expected);
    }
}

#[tokio::test]
async fn a_body_that_sagemaker_itself_refuses_is_of_the_rows() {
    let message = "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to 6291456";
    let too_long = (400, json!({ "__type": "ValidationError", "message": message }).to_string());
    let too_large = (413, "HTTP content length exceeded 6291456 bytes.\n".to_owned());
    for reply in [too_long, too_large] {
        assert_eq!(fault(reply).await.kind, FaultKind::Refused);
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_exist_is_somebodys_task() {
    let fault = fault(error(400, "ValidationError")).await;
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert_eq!(fault.to_string(), "invoke endpoint web: ValidationError: as scripted");
}

#[tokio::test]
async fn a_model_that_is_loading_will_be_ready() {
    assert_eq!(fault(error(429, "ModelNotReadyException")).await.kind, FaultKind::Throttled);
}

#[tokio::test]
async fn answers_that_are_no_scores_are_faults() {
    for (body, kind, said) in [
        ("", FaultKind::Permanent, "no JSON"),
        ("[]", FaultKind::Permanent, "row 1: "),
        (r#"{"scores":[{"score":1}]}"#, FaultKind::Permanent, "1 scores for 2 rows; the answer has "),
        (
            r#"{"scores":[{"score":1},{"score":NaN}]}"#,
            FaultKind::Refused,
            "row 2: the score is no finite number",
        ),
        (
            r#"{"scores":[{"score":null},{"score":1}]}"#,
            FaultKind::Refused,
            "row 1: the score is no finite number",
        ),
        ("0.5\n0.5", FaultKind::Permanent, "row 1: invalid type"),
    ] {
        let fault = fault(ok(body)).await;
        assert_eq!(fault.kind, kind, "{body}");
        assert!(fault.detail.starts_with(said), "{fault}");
    }
}
