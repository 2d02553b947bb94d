//! Wiring: logs, configuration, ports, run.

use anomaly_aws::clock::{self, Monotonic};
use anomaly_aws::config::InvokeConfig;
use anomaly_aws::connect::Connector;
use anomaly_aws::dynamodb::DynamoWindows;
use anomaly_aws::event::EventError;
use anomaly_aws::sagemaker::SageMakerScorer;
use anomaly_aws::sqs::SqsQueue;
use anomaly_aws::telemetry;
use anomaly_pipeline::invoke::Driver;
use lambda_invoke::payload::{self, Payload};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let lookup = |name: &str| std::env::var(name).ok();
    telemetry::init(lookup);
    let InvokeConfig { connection, intake, limits, endpoint, plan, windows_table, queue_url } =
        InvokeConfig::from_env(lookup)?;
    let connector = Connector::new(&connection);
    let scorer = endpoint.map(|endpoint| SageMakerScorer::new(&connector, endpoint));
    let queue = SqsQueue::new(&connector, &queue_url);
    let windows = windows_table.map(|table| DynamoWindows::new(&connector, &table));
    let driver = Driver::new(scorer, Monotonic::start(), limits, clock::seed()).with_windows(windows, plan);

    let (driver, queue, intake) = (&driver, &queue, &intake);
    let payload = &Payload::default();
    let handler = service_fn(move |event: LambdaEvent<()>| async move {
        let turn = driver.turn(clock::budget(event.context.deadline()));
        let event = payload.take();
        let event = payload::text(&event).map_err(diagnostic)?;
        lambda_invoke::handle(&turn, queue, intake, event, clock::now()).await.map_err(diagnostic)
    });
    Runtime::new(handler).layer(payload.clone()).layer(TracingLayer::new()).run().await
}

/// What Lambda shows and counts as the function's error.
fn diagnostic(error: EventError) -> Diagnostic {
    Diagnostic { error_type: "EventError".to_owned(), error_message: error.to_string() }
}
