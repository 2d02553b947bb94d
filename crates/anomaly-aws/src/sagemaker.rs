//! SageMaker: scores from an endpoint.

use std::fmt::Write as _;

use anomaly_core::calibration;
use anomaly_core::exchange::Blame;
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::ports::{Answer, Scorer};
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::error::ProvideErrorMetadata;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::config::Endpoint;
use crate::connect::Connector;
use crate::fault::fault;

/// An endpoint of SageMaker, or of `anomaly serve`.
#[derive(Clone, Debug)]
pub struct SageMakerScorer {
    client: Client,
    endpoint: Endpoint,
    model: String,
}

impl SageMakerScorer {
    /// The endpoint `endpoint`.
    pub fn new(connector: &Connector, endpoint: Endpoint) -> Self {
        SageMakerScorer { client: connector.sagemaker_runtime(), model: endpoint.model(), endpoint }
    }

    async fn invoke(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let Endpoint { name, encoder, reader, options } = &self.endpoint;
        let operation = || format!("invoke endpoint {name}");
        let body = encoder.encode(rows).map_err(|error| Fault::refused(operation(), error))?;
        let request = self
            .client
            .invoke_endpoint()
            .endpoint_name(name)
            .content_type(encoder.content_type())
            .accept(reader.accept())
            .set_target_variant(options.target_variant.clone())
            .set_target_model(options.target_model.clone())
            .set_inference_component_name(options.inference_component.clone())
            .set_custom_attributes(options.custom_attributes.clone())
            .set_inference_id(options.inference_id.as_ref().map(|id| id.of(&body)))
            .body(Blob::new(body));
        let answer = request.send().await.map_err(|error| refined(fault(operation(), &error), &error))?;
        let body = answer.body.as_ref().map_or(&[][..], Blob::as_ref);
        let scores = reader.read(answer.content_type.as_deref(), body, rows.len()).map_err(|error| {
            match error.blame {
                Blame::Row(_) => Fault::refused(operation(), error),
                Blame::Answer => Fault::permanent(operation(), error),
            }
        })?;
        let id = answer.custom_attributes.as_deref().and_then(calibration::id_in);
        Ok(Answer { scores, variant: variant(answer.invoked_production_variant, id) })
    }
}

impl Scorer for SageMakerScorer {
    fn model(&self) -> &str {
        &self.model
    }

    fn fit(&self, rows: &[&[f64]]) -> usize {
        self.endpoint.encoder.fit(rows)
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        // Boxed, for the compiler's sake: the SDK's futures are deep, and so would be all around them.
        Box::pin(self.invoke(rows)).await
    }
}

/// Which of the models behind an endpoint's name it was: the variant's name, and the id of the artifact it serves,
/// where the container tells it.
fn variant(name: Option<String>, id: Option<&str>) -> Option<String> {
    match id {
        None => name,
        Some(id) => Some(format!("{}{}{id}", name.unwrap_or_default(), calibration::ID_MARK)),
    }
}

/// What only this service means by its errors.
fn refined(mut fault: Fault, error: &SdkError<InvokeEndpointError, HttpResponse>) -> Fault {
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match error.as_service_error() {
        Some(InvokeEndpointError::ModelError(of_model)) => {
            let status = of_model.original_status_code().unwrap_or(0);
            fault.kind = of_the_container(status);
            let said = of_model.original_message().unwrap_or("nothing");
            // Text takes whatever is written to it.
            let _ = write!(fault.detail, "; the container answered {status}: {said}");
        }
        Some(other) if status == 413 || is_about_the_body(other) => fault.kind = FaultKind::Refused,
        _ => {}
    }
    fault
}

/// What a container means that answered `status`, all of which arrive as a `ModelError` with HTTP 424.
///
/// What could not be reached (0) or failed may be well again, but not what does not know this kind of request;
/// any other refusal is of the rows: they are too many or too large (413), or one of them is not to its liking.
fn of_the_container(status: i32) -> FaultKind {
    match status {
        429 => FaultKind::Throttled,
        408 | 425 => FaultKind::Transient,
        401 | 403..=407 | 410 | 415 => FaultKind::Permanent,
        400..=499 => FaultKind::Refused,
        ..=0 | 500.. => FaultKind::Transient,
        1..=399 => FaultKind::Permanent,
    }
}

/// The service's own check of the request: "Value at 'body' failed to satisfy constraint: Member must have length
/// less than or equal to 6291456". The same code stands for an endpoint that does not exist.
fn is_about_the_body(error: &InvokeEndpointError) -> bool {
    let is_validation = matches!(error.code(), Some("ValidationError" | "ValidationException"));
    is_validation && error.message().is_some_and(|message| message.contains("'body'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_status_says_who_may_cure_it() {
        for (status, kind) in [
            (0, FaultKind::Transient),
            (-1, FaultKind::Transient),
            (302, FaultKind::Permanent),
            (400, FaultKind::Refused),
            (401, FaultKind::Permanent),
            (403, FaultKind::Permanent),
            (404, FaultKind::Permanent),
            (408, FaultKind::Transient),
            (413, FaultKind::Refused),
            (415, FaultKind::Permanent),
            (422, FaultKind::Refused),
            (429, FaultKind::Throttled),
            (499, FaultKind::Refused),
            (500, FaultKind::Transient),
            (599, FaultKind::Transient),
        ] {
            assert_eq!(of_the_container(status), kind, "{status}");
        }
    }
}
