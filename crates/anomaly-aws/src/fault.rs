//! What an SDK's error means: whether waiting may help, and in which words.

use std::error::Error;

use anomaly_pipeline::fault::{Fault, FaultKind};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Error codes that waiting may cure. Codes decide and not HTTP status: throttling comes as 400 from several
/// services (AWS SDKs reference guide, "Retry behavior"; SageMaker Runtime, SQS, SNS and DynamoDB API
/// references, "Errors").
const TRANSIENT: [&str; 21] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "InternalDependencyException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalErrorException",
    "KMSThrottling",
    "KMSThrottlingException",
    "ModelNotReadyException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
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
            let is_transient =
                status == 429 || status >= 500 || code.is_some_and(|code| TRANSIENT.contains(&code));
            if is_transient { FaultKind::Transient } else { FaultKind::Permanent }
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
