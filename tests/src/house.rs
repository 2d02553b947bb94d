//! The whole house: our template on the cloud of this machine, with our functions in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::{Value, json};

use crate::binaries;
use crate::cloud::{Cloud, REGION};
use crate::command;
use crate::inbox::Inbox;
use crate::ministack::MiniStack;
use crate::poll;
use crate::process;
use crate::rig::Rig;
use crate::stack::Stack;

/// The stack's name; the functions are named after it.
const STACK: &str = "house";
/// The output that a source with a queue of its own has.
const RECORD_QUEUE: &str = "RecordQueueUrl";
/// Where the functions' archives lie.
const BUCKET: &str = "code";
/// The most records Kinesis takes in a call (Kinesis API reference, `PutRecords`).
const RECORDS_MAX: usize = 500;
/// The most messages SQS takes in a call (SQS API reference, `SendMessageBatch`).
const MESSAGES_MAX: usize = 10;
/// How long the house may take over all it was given.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);
/// How long it may take until a process is there, and has work.
const CRASH_LIMIT: Duration = Duration::from_secs(30);
/// How long a frozen process works at a time.
const STEP: Duration = Duration::from_millis(3);
/// How far [`House::age_what_is_pending`] turns the clock back: past lease and age of any row.
const AGE_MS: u128 = 3_600_000;

/// A deployed house with somebody listening.
#[derive(Debug)]
pub struct House {
    /// The cloud it stands in.
    pub cloud: Cloud,
    ministack: MiniStack,
    stack: Stack,
    inbox: Inbox,
    /// How many records were put on the stream.
    put: usize,
    /// How often the stream is read from its beginning to its end.
    readers: usize,
}

/// The three functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Stream to endpoint.
    Invoke,
    /// Scores to alerts.
    Classify,
    /// Alerts to people.
    Publish,
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// With the event in its hands, before it did anything.
    BeforeAnything,
    /// As soon as something of its work can be seen, and the rest is not done.
    InTheMiddle,
}

impl Stage {
    /// The functions in the order of the chain.
    pub const ALL: [Stage; 3] = [Stage::Invoke, Stage::Classify, Stage::Publish];

    fn program(self) -> &'static str {
        match self {
            Stage::Invoke => "invoke",
            Stage::Classify => "classify",
            Stage::Publish => "publish",
        }
    }

    fn function(self) -> String {
        format!("{STACK}-{}", self.program())
    }
}

impl House {
    /// Deploys `template`, with the endpoint that scores at `scoring_url`, and subscribes an inbox.
    ///
    /// # Errors
    /// When anything on the way is refused.
    pub async fn deploy(rig: &Rig, template: &str, scoring_url: &str) -> Result<Self> {
        let ministack = MiniStack::start(rig, scoring_url).await?;
        let cloud = Cloud::of(&ministack)?;
        cloud.make_bucket(BUCKET).await?;
        for stage in Stage::ALL {
            let path = format!("{BUCKET}/{}.zip", stage.program());
            cloud.put_object(&path, binaries::archive(stage.program())?).await?;
        }
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let parameters = [("CodeBucket", BUCKET), ("CodePrefix", ""), ("Architecture", architecture)];
        let stack = Stack::deploy(&cloud, STACK, template, &parameters).await?;
        let inbox = Inbox::subscribed_to(&cloud, stack.output("TopicArn")?).await?;
        let house = House { cloud, ministack, stack, inbox, put: 0, readers: 1 };
        house.shorten_visibility("QueueUrl").await?;
        if house.stack.output(RECORD_QUEUE).is_ok() {
            house.shorten_visibility(RECORD_QUEUE).await?;
        }
        Ok(house)
    }

    /// Runs the command `anomaly` with `arguments`, as somebody with the account's keys would, and gives back what it
    /// wrote: stdout and stderr.
    ///
    /// # Errors
    /// When it fails.
    pub fn anomaly(&self, arguments: &[&str]) -> Result<[String; 2]> {
        let certificate = tempfile::NamedTempFile::new()?;
        std::fs::write(certificate.path(), self.ministack.certificate())?;
        let mut command = command::anomaly()?;
        command
            .args(arguments)
            .args(["--stack", STACK])
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL", self.ministack.url())
            .env("SSL_CERT_FILE", certificate.path());
        let output = command.output().context("anomaly")?;
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        ensure!(output.status.success(), "{arguments:?} failed:\n{out}{err}");
        Ok([out, err])
    }

    /// Puts `records` on the stream, in order.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn put(&mut self, records: &[String]) -> Result<()> {
        for batch in records.chunks(RECORDS_MAX) {
            let entries: Vec<_> = batch.iter().map(|record| entry(record)).collect::<Result<_>>()?;
            let stream = self.stack.output("StreamName")?;
            let request = self.cloud.kinesis.put_records().stream_name(stream).set_records(Some(entries));
            let answer = request.send().await.context("put records")?;
            ensure!(answer.failed_record_count().unwrap_or(0) == 0, "records were refused");
        }
        self.put += records.len();
        Ok(())
    }

    /// Sends `records` to the source's FIFO queue, in order, as one group.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn send(&self, records: &[String]) -> Result<()> {
        let numbered: Vec<_> = records.iter().enumerate().collect();
        for batch in numbered.chunks(MESSAGES_MAX) {
            let entries =
                batch.iter().map(|(number, record)| message(*number, record)).collect::<Result<_>>()?;
            let request = self.cloud.sqs.send_message_batch().queue_url(self.stack.output(RECORD_QUEUE)?);
            let answer = request.set_entries(Some(entries)).send().await.context("send records")?;
            ensure!(answer.failed().is_empty(), "records were refused");
        }
        Ok(())
    }

    /// Waits until a function has logged `word`.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn logged(&self, word: &str) -> Result<()> {
        poll::until(&format!("{word:?} in the log"), SETTLE_LIMIT, || async {
            Ok(self.ministack.log().contains(word).then_some(()))
        })
        .await
    }

    /// Has the stream read once more from its beginning, in batches of another size: every record is
    /// delivered again, cut differently.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn read_again(&mut self, batch: usize) -> Result<()> {
        let mapping = json!({
            "FunctionName": Stage::Invoke.function(),
            "EventSourceArn": self.stack.output("StreamArn")?,
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": batch,
        });
        self.cloud.map_event_source(&mapping).await?;
        self.readers += 1;
        Ok(())
    }

    /// Waits until every record has gone all the way, and returns the messages that have arrived.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn settle(&self) -> Result<Vec<Value>> {
        poll::until("all records to be worked off", SETTLE_LIMIT, || async {
            let settled = self.is_read().await? && self.is_classified().await? && self.is_published().await?;
            Ok(settled.then_some(()))
        })
        .await?;
        self.messages().await
    }

    /// As [`House::settle`], and sweeps meanwhile, as the schedule does: what a crash left claimed is sent.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn settle_sweeping(&self) -> Result<Vec<Value>> {
        poll::until("all records to be worked off", SETTLE_LIMIT, || async {
            if !(self.is_read().await? && self.is_classified().await?) {
                return Ok(None);
            }
            if self.is_published().await? {
                return Ok(Some(()));
            }
            self.age_what_is_pending().await?;
            self.cloud.invoke(&Stage::Publish.function(), &json!({ "sweep": true })).await?;
            Ok(None)
        })
        .await?;
        self.messages().await
    }

    /// Calls `classify` as its schedule does until the outbox has `count` transitions: silences are told by then.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn flush_until(&self, count: usize) -> Result<()> {
        poll::until("a silence to be told", SETTLE_LIMIT, || async {
            self.cloud.invoke(&Stage::Classify.function(), &json!({ "flush": true })).await?;
            Ok((self.transitions().await? >= count).then_some(()))
        })
        .await
    }

    /// Puts `records` on the stream and lets the process of `stage` die with work in its hands.
    ///
    /// # Errors
    /// When no process of it runs, or no work reaches it.
    pub async fn put_and_crash(&mut self, records: &[String], stage: Stage, crash: Crash) -> Result<()> {
        let processes = poll::until("a process to crash", CRASH_LIMIT, || async {
            let running = self.ministack.processes_of(&stage.function());
            Ok((!running.is_empty()).then_some(running))
        })
        .await?;
        processes.iter().for_each(|&id| process::freeze(id));
        self.put(records).await?;
        poll::until("work for a frozen process", CRASH_LIMIT, || async {
            Ok((!self.is_done(stage).await?).then_some(()))
        })
        .await?;
        if crash == Crash::InTheMiddle {
            self.step_until_seen(stage, &processes).await?;
        }
        processes.into_iter().for_each(process::kill);
        Ok(())
    }

    /// Lets frozen processes of `stage` work for a moment at a time, until the world has changed.
    async fn step_until_seen(&self, stage: Stage, processes: &[u32]) -> Result<()> {
        let before = self.traces(stage).await?;
        poll::until("a step of a frozen process", CRASH_LIMIT, || async {
            processes.iter().for_each(|&id| process::thaw(id));
            tokio::time::sleep(STEP).await;
            processes.iter().for_each(|&id| process::freeze(id));
            let seen = self.traces(stage).await? != before || self.is_done(stage).await?;
            Ok(seen.then_some(()))
        })
        .await
    }

    /// What changes in the world when `stage` works.
    async fn traces(&self, stage: Stage) -> Result<usize> {
        match stage {
            Stage::Invoke => self.waiting("QueueUrl").await,
            Stage::Classify => self.transitions().await,
            Stage::Publish => Ok(self.pending().await?.len()),
        }
    }

    async fn is_done(&self, stage: Stage) -> Result<bool> {
        match stage {
            Stage::Invoke => self.is_read().await,
            Stage::Classify => self.is_classified().await,
            Stage::Publish => self.is_published().await,
        }
    }

    /// How many records have left the stream.
    pub fn records_read(&self) -> usize {
        let read = format!("Lambda {} processed ", Stage::Invoke.function());
        let log = self.ministack.log();
        let counts = log.lines().filter_map(|line| line.split_once(&read)?.1.split_once(" Kinesis records"));
        counts.filter_map(|(count, _)| count.parse::<usize>().ok()).sum()
    }

    /// Waits until the cloud has refused a function the action `action`.
    ///
    /// # Errors
    /// When it refuses nothing of the kind.
    pub async fn refused(&self, action: &str) -> Result<()> {
        poll::until(&format!("{action} to be refused"), SETTLE_LIMIT, || async {
            let log = self.ministack.log().to_ascii_lowercase();
            let refused = log
                .lines()
                .any(|line| line.contains("not authorized") && line.contains(&action.to_ascii_lowercase()));
            Ok(refused.then_some(()))
        })
        .await
    }

    /// The rows of the table of rejects.
    ///
    /// # Errors
    /// When the table refuses.
    pub async fn rejects(&self) -> Result<usize> {
        self.count_rows("RejectsTable").await
    }

    /// The rows of the outbox, sent or not.
    ///
    /// # Errors
    /// When the table refuses.
    pub async fn transitions(&self) -> Result<usize> {
        self.count_rows("OutboxTable").await
    }

    /// What arrived and was not taken yet.
    ///
    /// # Errors
    /// When the queue refuses, or a message is no JSON.
    pub async fn messages(&self) -> Result<Vec<Value>> {
        let mut bodies = Vec::new();
        loop {
            let taken = self.inbox.take(&self.cloud, Duration::from_secs(1)).await?;
            if taken.is_empty() {
                return Ok(bodies);
            }
            for message in taken {
                bodies.push(serde_json::from_str(message.body().unwrap_or_default())?);
            }
        }
    }

    async fn is_read(&self) -> Result<bool> {
        match self.stack.output(RECORD_QUEUE) {
            Ok(_) => Ok(self.waiting(RECORD_QUEUE).await? == 0),
            Err(_) => Ok(self.records_read() >= self.put * self.readers),
        }
    }

    async fn is_classified(&self) -> Result<bool> {
        Ok(self.waiting("QueueUrl").await? == 0)
    }

    /// How many messages wait in the queue of the output `queue`, or are in a function's hands.
    async fn waiting(&self, queue: &str) -> Result<usize> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let ask = self.cloud.sqs.get_queue_attributes().queue_url(self.stack.output(queue)?);
        let answer = ask.set_attribute_names(Some(names.to_vec())).send().await?;
        let counts = answer.attributes().context("a queue has attributes")?;
        let count = |name| counts.get(name).and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(names.iter().map(count).sum())
    }

    async fn is_published(&self) -> Result<bool> {
        Ok(self.pending().await?.is_empty())
    }

    async fn pending(&self) -> Result<Vec<Row>> {
        let query = self.cloud.dynamodb.query().table_name(self.stack.output("OutboxTable")?);
        let query = query.index_name("pending").key_condition_expression("pending = :pending");
        let found =
            query.expression_attribute_values(":pending", AttributeValue::S("1".into())).send().await?;
        Ok(found.items.unwrap_or_default())
    }

    /// Makes the pending rows an hour older, and their leases with them, instead of waiting for it.
    async fn age_what_is_pending(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let earlier = AttributeValue::N((now - AGE_MS).to_string());
        for row in self.pending().await? {
            let update = self.cloud.dynamodb.update_item().table_name(self.stack.output("OutboxTable")?);
            let [alert, transition] = ["alert", "transition"].map(|key| row.get(key).cloned());
            let update = update
                .set_key(Some(
                    [("alert", alert), ("transition", transition)].map(named).into_iter().collect(),
                ))
                .update_expression("SET created_ms = :earlier, lease_until_ms = :earlier")
                .condition_expression("attribute_exists(pending)")
                .expression_attribute_values(":earlier", earlier.clone());
            // It may have been sent meanwhile; then there is nothing to age.
            let _ = update.send().await;
        }
        Ok(())
    }

    async fn count_rows(&self, output: &str) -> Result<usize> {
        let scan = self.cloud.dynamodb.scan().table_name(self.stack.output(output)?);
        Ok(scan.send().await?.items().len())
    }

    /// What a function did not do comes again after this; the template's minutes are for people.
    async fn shorten_visibility(&self, queue: &str) -> Result<()> {
        let set = self.cloud.sqs.set_queue_attributes().queue_url(self.stack.output(queue)?);
        set.attributes(QueueAttributeName::VisibilityTimeout, "2").send().await?;
        Ok(())
    }
}

fn message(number: usize, record: &str) -> Result<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(record);
    Ok(entry.message_group_id("one").message_deduplication_id(number.to_string()).build()?)
}

type Row = std::collections::HashMap<String, AttributeValue>;

fn named((name, value): (&str, Option<AttributeValue>)) -> (String, AttributeValue) {
    (name.to_owned(), value.unwrap_or(AttributeValue::Null(true)))
}

fn entry(record: &str) -> Result<PutRecordsRequestEntry> {
    let entry = PutRecordsRequestEntry::builder().partition_key("one").data(Blob::new(record));
    Ok(entry.build()?)
}
