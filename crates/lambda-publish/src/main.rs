//! Wiring: logs, configuration, ports, run.

use anomaly_aws::clock;
use anomaly_aws::config::PublishConfig;
use anomaly_aws::connect::Connector;
use anomaly_aws::dynamodb::DynamoOutbox;
use anomaly_aws::event::EventError;
use anomaly_aws::sns::SnsPublisher;
use anomaly_aws::telemetry;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let lookup = |name: &str| std::env::var(name).ok();
    telemetry::init(lookup);
    let PublishConfig { connection, outbox_table, topic_arn } = PublishConfig::from_env(lookup)?;
    let connector = Connector::new(&connection);
    let outbox = DynamoOutbox::new(&connector, &outbox_table);
    let publisher = SnsPublisher::new(&connector, &topic_arn);

    let (outbox, publisher) = (&outbox, &publisher);
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let lease_until = clock::surely_gone(event.context.deadline());
        lambda_publish::handle(outbox, publisher, event.payload.get(), clock::now(), lease_until)
            .await
            .map_err(diagnostic)
    }))
    .await
}

/// What Lambda shows and counts as the function's error.
fn diagnostic(error: EventError) -> Diagnostic {
    Diagnostic { error_type: "EventError".to_owned(), error_message: error.to_string() }
}
