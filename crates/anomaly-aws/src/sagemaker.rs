//! SageMaker: scores from an endpoint.

use std::fmt::Write as _;

use anomaly_core::config::ContentType;
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::ports::{Answer, Scorer};
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use serde::Deserialize;

use crate::config::Endpoint;
use crate::connect::Connector;
use crate::fault::fault;

/// The largest request, in bytes: the service takes 6,291,456 (SageMaker Runtime API reference,
/// `InvokeEndpoint`), and answers are as limited.
const BODY_BYTES_MAX: usize = 5_000_000;

/// An endpoint of SageMaker, or of `anomaly serve`.
#[derive(Clone, Debug)]
pub struct SageMakerScorer {
    client: Client,
    endpoint: Endpoint,
}

impl SageMakerScorer {
    /// The endpoint `endpoint`.
    pub fn new(connector: &Connector, endpoint: Endpoint) -> Self {
        SageMakerScorer { client: connector.sagemaker_runtime(), endpoint }
    }

    async fn invoke(&self, body: String) -> Result<Answer, Fault> {
        let operation = || format!("invoke endpoint {}", self.endpoint.name);
        let request = self
            .client
            .invoke_endpoint()
            .endpoint_name(&self.endpoint.name)
            .content_type(self.endpoint.content_type.as_str())
            .accept("application/json")
            .body(Blob::new(body));
        let answer = request.send().await.map_err(|error| {
            let fault = fault(operation(), &error);
            match error.as_service_error() {
                Some(error) => of_the_model(fault, error),
                None => fault,
            }
        })?;
        let body = answer.body.unwrap_or_else(|| Blob::new(Vec::new()));
        let scores = scores(body.as_ref()).map_err(|detail| Fault::permanent(operation(), detail))?;
        Ok(Answer { scores, variant: answer.invoked_production_variant })
    }
}

impl Scorer for SageMakerScorer {
    fn model(&self) -> &str {
        &self.endpoint.name
    }

    async fn score(&self, rows: &[&[f64]]) -> Result<Answer, Fault> {
        let mut all = Answer { scores: Vec::with_capacity(rows.len()), variant: None };
        for body in bodies(rows, self.endpoint.content_type, BODY_BYTES_MAX) {
            // Boxed, for the compiler's sake: the SDK's futures are deep, and so would be all around them.
            let Answer { scores, variant } = Box::pin(self.invoke(body)).await?;
            all.scores.extend(scores);
            all.variant = variant;
        }
        Ok(all)
    }
}

/// A container that fails with a status of 500 or more, or that could not be reached (0), may be well again;
/// one that refuses the rows with 400 will refuse them again. Both are a `ModelError` with HTTP 424.
fn of_the_model(mut fault: Fault, error: &InvokeEndpointError) -> Fault {
    if let InvokeEndpointError::ModelError(error) = error {
        let status = error.original_status_code().unwrap_or(0);
        fault.kind = if status == 0 || status >= 500 { FaultKind::Transient } else { FaultKind::Permanent };
        let said = error.original_message().unwrap_or("nothing");
        let _ = write!(fault.detail, "; the container answered {status}: {said}");
    }
    fault
}

/// The rows as requests, each of at most `bytes_max` bytes where a row is no longer than that.
///
/// Numbers are the shortest that read back to the same 64 bits.
fn bodies(rows: &[&[f64]], content_type: ContentType, bytes_max: usize) -> Vec<String> {
    let (head, between, tail) = match content_type {
        ContentType::Csv => ("", "\n", ""),
        ContentType::Json => (r#"{"instances":["#, ",", "]}"),
    };
    let mut bodies: Vec<String> = Vec::new();
    for row in rows {
        let numbers = row.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(",");
        let row = match content_type {
            ContentType::Csv => numbers,
            ContentType::Json => format!(r#"{{"features":[{numbers}]}}"#),
        };
        match bodies.last_mut() {
            Some(body) if body.len() + between.len() + row.len() + tail.len() <= bytes_max => {
                body.push_str(between);
                body.push_str(&row);
            }
            _ => bodies.push(format!("{head}{row}")),
        }
    }
    bodies.iter_mut().for_each(|body| body.push_str(tail));
    bodies
}

/// The scores of `{"scores":[{"score":0.02},{"score":0.25}]}` (SageMaker developer guide, "RCF Response
/// Formats"), to the bit.
fn scores(body: &[u8]) -> Result<Vec<f64>, String> {
    #[derive(Deserialize)]
    struct Answer {
        scores: Vec<Score>,
    }
    #[derive(Deserialize)]
    struct Score {
        score: f64,
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is not {{\"scores\":[{{\"score\":x}}]}}: {error}"))?;
    Ok(answer.scores.iter().map(|score| score.score).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_stay_below_the_limit_and_hold_every_row() {
        let rows: [&[f64]; 3] = [&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]];
        assert_eq!(bodies(&rows, ContentType::Csv, 15), ["1.0,2.0\n3.0,4.0", "5.0,6.0"]);
        assert_eq!(bodies(&rows, ContentType::Csv, 14), ["1.0,2.0", "3.0,4.0", "5.0,6.0"]);
        assert_eq!(bodies(&rows, ContentType::Csv, 1).len(), 3, "a row is never cut");
        let one = r#"{"instances":[{"features":[1.0,2.0]}]}"#;
        assert_eq!(bodies(&rows, ContentType::Json, one.len())[0], one);
        assert_eq!(bodies(&rows, ContentType::Json, 1000).len(), 1);
    }

    proptest! {
        #[test]
        fn numbers_come_back_to_the_bit(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let csv = bodies(&[&[number]], ContentType::Csv, 100);
            prop_assert_eq!(csv[0].parse::<f64>().expect("a number").to_bits(), number.to_bits());
            let json: serde_json::Value = serde_json::from_str(&bodies(&[&[number]], ContentType::Json, 100)[0]).expect("JSON");
            let read = json["instances"][0]["features"][0].as_f64().expect("a number");
            prop_assert_eq!(read.to_bits(), number.to_bits());
            let answer = format!("{{\"scores\":[{{\"score\":{number:?}}}]}}");
            prop_assert_eq!(scores(answer.as_bytes()).expect("scores")[0].to_bits(), number.to_bits());
        }
    }
}
