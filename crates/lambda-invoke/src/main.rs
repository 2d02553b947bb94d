//! Wiring: logs, configuration, ports, run.

use anomaly_aws::clock;
use anomaly_aws::config::InvokeConfig;
use anomaly_aws::connect::Connector;
use anomaly_aws::event::EventError;
use anomaly_aws::sagemaker::SageMakerScorer;
use anomaly_aws::sqs::SqsQueue;
use anomaly_aws::telemetry;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let lookup = |name: &str| std::env::var(name).ok();
    telemetry::init(lookup);
    let InvokeConfig { connection, decoder, rows_max, endpoint, queue_url } = InvokeConfig::from_env(lookup)?;
    let connector = Connector::new(&connection);
    let scorer = endpoint.map(|endpoint| SageMakerScorer::new(&connector, endpoint));
    let queue = SqsQueue::new(&connector, &queue_url);

    let (scorer, queue, decoder) = (scorer.as_ref(), &queue, &decoder);
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let scorer = scorer.map(|scorer| scorer.within(clock::budget(event.context.deadline())));
        lambda_invoke::handle(scorer.as_ref(), queue, decoder, rows_max, event.payload.get())
            .await
            .map_err(diagnostic)
    }))
    .await
}

/// What Lambda shows and counts as the function's error.
fn diagnostic(error: EventError) -> Diagnostic {
    Diagnostic { error_type: "EventError".to_owned(), error_message: error.to_string() }
}
