use anomaly_aws::config::Endpoint;
use anomaly_aws::sagemaker::SageMakerScorer;
use anomaly_core::config::ContentType;
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::ports::Scorer;
use serde_json::json;

use crate::server::{Reply, Server, error, ok};

const ROWS: [&[f64]; 2] = [&[1.5, 0.1 + 0.2], &[-2.0, 1e300]];

fn scorer(server: &Server, content_type: ContentType) -> SageMakerScorer {
    let endpoint = Endpoint { name: "web".to_owned(), content_type };
    SageMakerScorer::new(&server.connector(), endpoint)
}

async fn score(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Result<Vec<f64>, Fault> {
    let server = Server::start(move |number, _| reply(number)).await;
    scorer(&server, ContentType::Csv).score(&ROWS).await.map(|answer| answer.scores)
}

async fn fault(reply: Reply) -> Fault {
    score(move |_| reply.clone()).await.expect_err("a fault")
}

#[tokio::test]
async fn rows_go_out_and_scores_come_back_to_the_bit() {
    let answer = r#"{"scores":[{"score":0.30000000000000004},{"score":5e-324}]}"#;
    for (content_type, body) in [
        (ContentType::Csv, "1.5,0.30000000000000004\n-2.0,1e300"),
        (
            ContentType::Json,
            r#"{"instances":[{"features":[1.5,0.30000000000000004]},{"features":[-2.0,1e300]}]}"#,
        ),
    ] {
        let server = Server::start(move |_, _| ok(answer)).await;
        let scores = scorer(&server, content_type).score(&ROWS).await.expect("scores").scores;
        assert_eq!(scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [0x3fd3_3333_3333_3334, 1]);
        let [request] = &server.requests()[..] else { panic!("one request") };
        assert_eq!((request.path.as_str(), request.text().as_str()), ("/endpoints/web/invocations", body));
        assert_eq!(request.header("content-type"), content_type.as_str());
        assert_eq!(request.header("accept"), "application/json");
        assert!(request.header("authorization").contains("/eu-west-1/sagemaker/"));
        assert_eq!(request.header("x-amz-security-token"), "token");
    }
}

/// The driver asks again, within its budget; the SDK must not do so below it.
#[tokio::test]
async fn throttling_is_told_at_once_though_its_status_is_400() {
    let server = Server::start(|_, _| error(400, "ThrottlingException")).await;
    let fault = scorer(&server, ContentType::Csv).score(&ROWS).await.expect_err("a fault");
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
        (400, FaultKind::Permanent),
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
    for body in ["", "[]", r#"{"scores":[{"score":NaN}]}"#, r#"{"scores":[{"score":null}]}"#, "0.5\n0.5"] {
        let fault = fault(ok(body)).await;
        assert_eq!(fault.kind, FaultKind::Permanent, "{body}");
        assert!(fault.detail.starts_with("the answer is not"), "{fault}");
    }
    let short = score(|_| ok(r#"{"scores":[{"score":1}]}"#)).await;
    assert_eq!(short, Ok(vec![1.0]), "the caller counts");
}
