//! DynamoDB, as the cloud on this machine has it, keeps the contracts of the ports: the suites that the tables in
//! memory and the embedded store pass.

use anomaly_aws::config::{Connection, EndpointUrls};
use anomaly_aws::connect::Connector;
use anomaly_aws::dynamodb::{DynamoJournal, DynamoOutbox, DynamoRejects, DynamoStates, DynamoWindows};
use anomaly_core::time::Timestamp;
use anomaly_core::wire::RejectV1;
use anomaly_fakes::conformance::{self, AllTables, Bench};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Rejects;
use anomaly_tests::cloud::REGION;
use anomaly_tests::http::Http;
use anomaly_tests::ministack::MiniStack;
use anomaly_tests::rig::Rig;
use anomaly_tests::template::{EVENT_TIME, Template, pipeline};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What of a template's table `CreateTable` takes too.
const PROPERTIES: [&str; 4] = ["BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"];

/// Tables of our own template, a set for each that asks.
struct Cloud {
    ministack: MiniStack,
    template: Template,
    sets: u32,
}

struct Opened {
    set: u32,
    states: DynamoStates,
    outbox: DynamoOutbox,
    journal: DynamoJournal,
    rejects: Rejected,
}

struct Rejected(DynamoRejects);

impl Rejects for Rejected {
    async fn keep(&self, rejects: &[RejectV1]) -> Result<(), Fault> {
        self.0.at(Timestamp::default()).keep(rejects).await
    }
}

impl Cloud {
    async fn start(test: &str) -> Result<Option<Self>> {
        let Some(rig) = Rig::find(test)? else { return Ok(None) };
        let ministack = MiniStack::plain(&rig).await?;
        Ok(Some(Cloud { ministack, template: Template::read(&pipeline(EVENT_TIME)?)?, sets: 0 }))
    }

    /// New connections each time, as a new process has.
    fn connector(&self) -> Connector {
        let endpoint_urls = EndpointUrls { dynamodb: Some(self.ministack.url()), ..EndpointUrls::default() };
        Connector::new(&Connection {
            region: REGION.to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
            endpoint_urls,
        })
    }

    async fn make(&self, logical: &str, name: &str) -> Result<()> {
        let properties = serde_json::to_value(self.template.properties(logical))?;
        let mut request = serde_json::json!({ "TableName": name });
        for property in PROPERTIES {
            if let Some(value) = properties.get(property) {
                request[property] = value.clone();
            }
        }
        self.ask("DynamoDB_20120810.CreateTable", &request).await
    }

    async fn ask(&self, target: &str, request: &Value) -> Result<()> {
        let answer = Http::plain().ask(&self.ministack.url(), target, serde_json::to_vec(request)?).await?;
        ensure!(answer.status == 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }

    async fn new_set(&mut self) -> Result<Opened> {
        self.sets += 1;
        for logical in ["States", "Outbox", "Journal", "Rejects"] {
            self.make(logical, &format!("{logical}-{}", self.sets))
                .await
                .with_context(|| logical.to_owned())?;
        }
        Ok(self.open(self.sets))
    }

    fn open(&self, set: u32) -> Opened {
        let connector = self.connector();
        let name = |logical: &str| format!("{logical}-{set}");
        Opened {
            set,
            states: DynamoStates::new(&connector, &name("States"), &name("Outbox")),
            outbox: DynamoOutbox::new(&connector, &name("Outbox")),
            journal: DynamoJournal::new(&connector, &name("Journal")),
            rejects: Rejected(DynamoRejects::new(&connector, &name("Rejects"))),
        }
    }
}

impl Bench for Cloud {
    type Tables = Opened;

    async fn fresh(&mut self) -> Opened {
        self.new_set().await.expect("tables")
    }

    async fn after_a_crash(&mut self, tables: Opened) -> Opened {
        self.open(tables.set)
    }
}

impl AllTables for Opened {
    type States = DynamoStates;
    type Outbox = DynamoOutbox;
    type Journal = DynamoJournal;
    type Rejects = Rejected;

    fn states(&self) -> &DynamoStates {
        &self.states
    }

    fn outbox(&self) -> &DynamoOutbox {
        &self.outbox
    }

    fn journal(&self) -> &DynamoJournal {
        &self.journal
    }

    fn rejects(&self) -> &Rejected {
        &self.rejects
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_keeps_states_and_outbox() -> Result<()> {
    let Some(mut cloud) = Cloud::start("dynamodb_keeps_states_and_outbox").await? else { return Ok(()) };
    conformance::states(&mut cloud).await?;
    conformance::outbox(&mut cloud).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_keeps_journal_and_windows() -> Result<()> {
    let Some(mut cloud) = Cloud::start("dynamodb_keeps_journal_and_windows").await? else { return Ok(()) };
    conformance::journal(&cloud.new_set().await?.journal).await?;
    // A window's row has the key of a state's.
    cloud.make("States", "Windows").await?;
    conformance::windows(&DynamoWindows::new(&cloud.connector(), "Windows")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_survives_a_crash_between_any_two_calls() -> Result<()> {
    let test = "dynamodb_survives_a_crash_between_any_two_calls";
    let Some(mut cloud) = Cloud::start(test).await? else { return Ok(()) };
    conformance::crashes(&mut cloud).await?;
    Ok(())
}
