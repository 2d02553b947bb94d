//! Wiring: logs, configuration, ports, run.

use anomaly_aws::clock;
use anomaly_aws::config::ClassifyConfig;
use anomaly_aws::connect::Connector;
use anomaly_aws::dynamodb::{DynamoJournal, DynamoRejects, DynamoStates};
use anomaly_aws::event::EventError;
use anomaly_aws::telemetry;
use anomaly_pipeline::classify::Tables;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let lookup = |name: &str| std::env::var(name).ok();
    telemetry::init(lookup);
    let ClassifyConfig { connection, policy, states_table, outbox_table, rejects_table, journal_table } =
        ClassifyConfig::from_env(lookup)?;
    let connector = Connector::new(&connection);
    let states = DynamoStates::new(&connector, &states_table, &outbox_table);
    let rejects = DynamoRejects::new(&connector, &rejects_table);
    let journal = DynamoJournal::new(&connector, &journal_table);

    let (states, rejects, journal, policy) = (&states, &rejects, &journal, &policy);
    run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let now = clock::now();
        let rejects = rejects.at(now);
        let tables = Tables::new(states, &rejects, journal);
        lambda_classify::handle(tables, policy, event.payload.get(), now).await.map_err(diagnostic)
    }))
    .await
}

/// What Lambda shows and counts as the function's error.
fn diagnostic(error: EventError) -> Diagnostic {
    Diagnostic { error_type: "EventError".to_owned(), error_message: error.to_string() }
}
