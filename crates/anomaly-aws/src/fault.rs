//! What an SDK's error means: whether waiting may help, and in which words.

use std::error::Error;

use anomaly_pipeline::fault::{Fault, FaultKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Error codes that ask for less. Codes decide and not HTTP status: throttling comes as 400 from several
/// services (AWS SDKs reference guide, "Retry behavior"; SageMaker Runtime, SQS, SNS and DynamoDB API
/// references, "Errors"). A model that is being loaded is in no hurry either (`ModelNotReadyException`).
const THROTTLED: [&str; 12] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMSThrottling",
    "KMSThrottlingException",
    "ModelNotReadyException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// Error codes that waiting may cure; sources as above.
const TRANSIENT: [&str; 9] = [
    "InternalDependencyException",
    "InternalError",
    "InternalErrorException",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "TransactionInProgressException",
];

/// The fault of `error`, which came of trying `operation`.
pub(crate) fn fault<E>(operation: impl Into<String>, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    Fault { kind: kind(error), operation: operation.into(), detail: detail(error) }
}

fn kind<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> FaultKind {
    match error {
        // It could not even be built: a name that is none, a key that is missing.
        SdkError::ConstructionFailure(_) => FaultKind::Permanent,
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().map(|code| code.trim_start_matches("AWS.SimpleQueueService."));
            let is_one_of = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
            match status {
                _ if is_one_of(&THROTTLED) => FaultKind::Throttled,
                _ if is_one_of(&TRANSIENT) => FaultKind::Transient,
                429 => FaultKind::Throttled,
                500.. => FaultKind::Transient,
                _ => FaultKind::Permanent,
            }
        }
        // Time-outs, connections, answers cut short.
        _ => FaultKind::Transient,
    }
}

/// `ThrottlingException: Rate exceeded` where the service said so, else the whole chain of causes.
fn detail<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(service) = error
        && let Some(code) = service.err().code()
    {
        return match service.err().message() {
            Some(message) => format!("{code}: {message}"),
            None => format!("{code}, HTTP {}", service.raw().status().as_u16()),
        };
    }
    chain(error)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(all(test, feature = "sqs"))]
mod tests {
    use aws_sdk_sqs::operation::send_message::SendMessageError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn of(status: u16, code: &str, message: &str) -> Fault {
        let mut metadata = ErrorMetadata::builder();
        if !code.is_empty() {
            metadata = metadata.code(code);
        }
        if !message.is_empty() {
            metadata = metadata.message(message);
        }
        let status = StatusCode::try_from(status).expect("a status");
        let response = HttpResponse::new(status, SdkBody::empty());
        fault("do it", &SdkError::service_error(SendMessageError::generic(metadata.build()), response))
    }

    #[test]
    fn codes_decide_where_there_are_any() {
        for (status, code, kind) in [
            (400, "ThrottlingException", FaultKind::Throttled),
            (400, "ProvisionedThroughputExceededException", FaultKind::Throttled),
            (403, "RequestThrottled", FaultKind::Throttled),
            (403, "AWS.SimpleQueueService.RequestThrottled", FaultKind::Throttled),
            (400, "KMSThrottlingException", FaultKind::Throttled),
            (429, "ModelNotReadyException", FaultKind::Throttled),
            (429, "", FaultKind::Throttled),
            (409, "TransactionInProgressException", FaultKind::Transient),
            (530, "InternalDependencyException", FaultKind::Transient),
            (503, "", FaultKind::Transient),
            (400, "ValidationException", FaultKind::Permanent),
            (403, "AccessDeniedException", FaultKind::Permanent),
            (400, "", FaultKind::Permanent),
        ] {
            assert_eq!(of(status, code, "").kind, kind, "{status} {code}");
        }
    }

    #[test]
    fn the_services_own_words_are_kept() {
        assert_eq!(of(400, "Throttling", "Rate exceeded").to_string(), "do it: Throttling: Rate exceeded");
        assert_eq!(of(400, "Throttling", "").to_string(), "do it: Throttling, HTTP 400");
    }

    #[test]
    fn what_could_not_be_built_is_somebodys_task_and_a_time_out_is_not() {
        let built: SdkError<SendMessageError, HttpResponse> = SdkError::construction_failure("no region");
        assert_eq!(fault("do it", &built).kind, FaultKind::Permanent);
        let late: SdkError<SendMessageError, HttpResponse> = SdkError::timeout_error("too late");
        let late = fault("do it", &late);
        assert_eq!(late.kind, FaultKind::Transient);
        assert!(late.detail.ends_with(": too late"), "the whole chain: {late}");
    }
}
