//! From scores and problems to HTTP, as the container says them and as SageMaker passes them on.

use anomaly_core::calibration::ID_ATTRIBUTE;
use anomaly_core::exchange::{Media, recordio};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::BODY_BYTES_MAX;

const CONTENT_TYPES: &str =
    "text/csv, application/json, application/jsonlines and application/x-recordio-protobuf";
const VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");
/// What a container tells beside the body; SageMaker passes it on (API reference, `InvokeEndpoint`, "CustomAttributes").
const CUSTOM_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Who answers: the same problem looks different from within the container and through the runtime API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Container,
    SageMaker,
}

/// Scores in the order of the rows.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What gave them: the artifact's id.
    pub(crate) model: String,
    pub(crate) scores: Vec<f64>,
    pub(crate) media: Media,
}

/// Why there are no scores.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The rows cannot be read or scored; why, with row and column.
    Rows(String),
    /// A format that is not spoken here.
    ContentType { found: String },
    /// The body is larger than SageMaker lets through.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The connection broke before the body was whole.
    BodyCutShort,
    /// The endpoint has another name.
    OtherEndpoint { name: String },
    /// As many requests as there may be are being answered.
    Busy,
    /// A fault: throttled by SageMaker.
    Throttled,
    /// A fault of the container, played or real.
    ModelFailed,
    /// A fault: SageMaker itself failed.
    Internal,
}

/// What the scores are wanted in; whoever accepts anything gets JSON.
pub(crate) fn wanted(accept: &str) -> Media {
    Media::accepted(accept).unwrap_or(Media::Json)
}

/// How a batch transform should send its rows: as many requests at a time as there are cores, and of as many rows as fit.
///
/// Source: developer guide, "How Containers Serve Requests" of batch transforms.
pub(crate) async fn execution_parameters() -> Response {
    let body = json!({
        "MaxConcurrentTransforms": super::cores(),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": BODY_BYTES_MAX >> 20,
    });
    respond(StatusCode::OK, "application/json", body.to_string())
}

/// The scores in the wanted media type, each with the fewest digits that read back to the same bits; in RecordIO,
/// as Random Cut Forest writes them, in 32 bits.
pub(crate) fn scores(answer: &Answer) -> Response {
    let Answer { model, scores, media } = answer;
    let lines = |line: fn(f64) -> String| {
        scores.iter().flat_map(|score| (line(*score) + "\n").into_bytes()).collect()
    };
    let body: Vec<u8> = match media {
        Media::Csv => lines(|score| format!("{score:?}")),
        Media::Json => {
            json(&Scores { scores: scores.iter().map(|&score| Score { score }).collect() }).into_bytes()
        }
        Media::JsonLines => lines(|score| json(&Score { score })),
        Media::RecordIo => {
            let mut body = Vec::new();
            scores.iter().for_each(|score| recordio::write_score(*score, &mut body));
            body
        }
    };
    let mut response = respond(StatusCode::OK, media.as_str(), body);
    response.headers_mut().insert(VARIANT, HeaderValue::from_static("AllTraffic"));
    // An id is hexadecimal digits, which a header can hold.
    if let Ok(attributes) = HeaderValue::try_from(format!("{ID_ATTRIBUTE}={model}")) {
        response.headers_mut().insert(CUSTOM_ATTRIBUTES, attributes);
    }
    response
}

#[derive(Serialize)]
struct Scores {
    scores: Vec<Score>,
}

#[derive(Serialize)]
struct Score {
    score: f64,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("finite numbers under fixed names can be written")
}

/// A problem, as `speaker` says it.
pub(crate) fn problem(problem: &Problem, speaker: Speaker) -> Response {
    // Refused by SageMaker's front before a container could see it; without an error type, as the real one.
    if let Problem::TooLarge = problem {
        return text(StatusCode::PAYLOAD_TOO_LARGE, &reason(problem));
    }
    let status = container_status(problem);
    match (speaker, problem) {
        (Speaker::Container, _) => text(status, &reason(problem)),
        (Speaker::SageMaker, Problem::Throttled) => {
            // The real one has no message either, and SDKs must not stumble over it.
            error(StatusCode::BAD_REQUEST, "ThrottlingException", &json!({ "Message": null }))
        }
        (Speaker::SageMaker, Problem::Internal) => {
            let body = json!({ "Message": reason(problem) });
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &body)
        }
        (Speaker::SageMaker, Problem::OtherEndpoint { .. }) => {
            let body = json!({ "Message": reason(problem) });
            error(StatusCode::BAD_REQUEST, "ValidationError", &body)
        }
        (Speaker::SageMaker, _) => model_error(status, &reason(problem)),
    }
}

/// What SageMaker makes of a container's 4xx and 5xx.
fn model_error(original: StatusCode, reason: &str) -> Response {
    let side = if original.is_client_error() { "client" } else { "server" };
    let body = json!({
        "Message": format!("Received {side} error ({}) from primary with message \"{reason}\".", original.as_u16()),
        "OriginalMessage": reason,
        "OriginalStatusCode": original.as_u16(),
        "LogStreamArn": "",
    });
    error(StatusCode::FAILED_DEPENDENCY, "ModelError", &body)
}

fn container_status(problem: &Problem) -> StatusCode {
    match problem {
        Problem::Rows(_) | Problem::BodyCutShort | Problem::OtherEndpoint { .. } => StatusCode::BAD_REQUEST,
        Problem::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Problem::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Problem::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Problem::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Problem::ModelFailed | Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn reason(problem: &Problem) -> String {
    match problem {
        Problem::Rows(reason) => reason.clone(),
        Problem::ContentType { found } if found.is_empty() => {
            format!("no content type: one of {CONTENT_TYPES} is needed")
        }
        Problem::ContentType { found } => {
            format!("content type {found:?} is none of {CONTENT_TYPES}")
        }
        Problem::TooLarge => format!("HTTP content length exceeded {BODY_BYTES_MAX} bytes."),
        Problem::TooSlow => "the body did not arrive in time".to_owned(),
        Problem::BodyCutShort => "the body was cut short".to_owned(),
        Problem::OtherEndpoint { name } => format!("Endpoint {name} of account 000000000000 not found."),
        Problem::Busy => "too many requests at a time; try again".to_owned(),
        Problem::Throttled => "too many requests".to_owned(),
        Problem::ModelFailed => "the model failed".to_owned(),
        Problem::Internal => "An internal failure occurred.".to_owned(),
    }
}

fn error(status: StatusCode, kind: &'static str, body: &Value) -> Response {
    let mut response = respond(status, "application/json", body.to_string());
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(kind));
    response
}

fn text(status: StatusCode, reason: &str) -> Response {
    respond(status, "text/plain; charset=utf-8", format!("{reason}\n"))
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
