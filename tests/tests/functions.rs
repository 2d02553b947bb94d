//! The three functions' own binaries, each handed events by a Runtime API of ours and answered by a stand-in
//! for AWS: what they say to Lambda when something goes wrong, word for word.
//!
//! The environment is the template's, so that a renamed variable is found here.

use anomaly_tests::events::{self, message_id, sequence_number};
use anomaly_tests::rig::{Rig, skip};
use anomaly_tests::runtime_api::{Emulated, Function, Outcome};
use anomaly_tests::stand_in::{Call, Reply, StandIn};
use anomaly_tests::template::{self, ENDPOINT, NO_MODEL, Template};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// Two rows a call, so that a batch of five takes three.
const SMALL_CALLS: &str = r#"
[input]
series = "/series"
features = ["/value"]
[model]
kind = "endpoint"
endpoint = "scorer"
rows_max = 2
"#;

mod invoke {
    use super::*;

    #[tokio::test]
    async fn all_is_well() -> Result<()> {
        let aws = StandIn::start(|call| score_all(call, &[])).await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        let answer = function.invoke(&events::kinesis(&FIVE)).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}\n{}", function.output());
        let chunk = only_chunk(&aws)?;
        let scores: Vec<f64> = rows(&chunk).iter().filter_map(|row| row["score"].as_f64()).collect();
        ensure!(scores == [10.0, 11.0, 12.0, 13.0, 14.0], "each row has its own score: {chunk}");
        Ok(())
    }

    #[tokio::test]
    async fn an_endpoint_that_fails_in_the_middle_is_asked_again_from_there() -> Result<()> {
        // The second call of three is refused for good.
        let aws = StandIn::start(|call| match first_value(call) {
            Some(2) => Reply::error(400, "ValidationError"),
            _ => score_all(call, &[]),
        })
        .await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        let answer = function.invoke(&events::kinesis(&FIVE)).await?.answered()?;
        ensure!(failures(&answer) == [sequence_number(2)], "{answer}\n{}", function.output());
        ensure!(rows(&only_chunk(&aws)?).len() == 2, "what came before it was handed on");

        // Once it is well again the rest goes through, and nothing twice.
        let mut rest = events::kinesis(&FIVE);
        if let Some(records) = rest["Records"].as_array_mut() {
            records.drain(..2);
        }
        let well = StandIn::start(|call| score_all(call, &[])).await?;
        let mut function = start("invoke", SMALL_CALLS, &well).await?;
        let answer = function.invoke(&rest).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}");
        ensure!(rows(&only_chunk(&well)?).len() == 3, "the other three");
        Ok(())
    }

    #[tokio::test]
    async fn a_throttled_endpoint_is_asked_again_at_once() -> Result<()> {
        let throttled = std::sync::atomic::AtomicBool::new(true);
        let aws = StandIn::start(move |call| match call.action.as_str() {
            "InvokeEndpoint" if throttled.swap(false, std::sync::atomic::Ordering::Relaxed) => {
                Reply::error(400, "ThrottlingException")
            }
            _ => score_all(call, &[]),
        })
        .await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        let answer = function.invoke(&events::kinesis(&FIVE)).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}\n{}", function.output());
        ensure!(aws.calls("InvokeEndpoint").len() == 4, "one call more than without");
        Ok(())
    }

    #[tokio::test]
    async fn a_score_too_few_stands_beside_no_row() -> Result<()> {
        let aws = StandIn::start(|call| match call.action.as_str() {
            "InvokeEndpoint" => Reply::ok(json!({ "scores": [{ "score": 1.0 }] })),
            _ => score_all(call, &[]),
        })
        .await?;
        let mut function = start("invoke", ENDPOINT, &aws).await?;
        let answer = function.invoke(&events::kinesis(&TIMED)).await?.answered()?;
        ensure!(failures(&answer) == [sequence_number(0)], "{answer}\n{}", function.output());
        ensure!(aws.calls("SendMessage").is_empty(), "nothing may be handed on");
        Ok(())
    }

    #[tokio::test]
    async fn records_at_fault_travel_on_with_their_reason() -> Result<()> {
        let aws = StandIn::start(|call| score_all(call, &[])).await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        let records =
            [r#"{"series":"a","value":0}"#, "no json", r#"{"series":"a","value":"NaN"}"#, "{}", FIVE[1]];
        let answer = function.invoke(&events::kinesis(&records)).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "data never fails a batch: {answer}");
        let chunk = only_chunk(&aws)?;
        let rejects = chunk["rejects"].as_array().context("rejects")?;
        ensure!(rows(&chunk).len() == 2 && rejects.len() == 3, "{chunk}");
        ensure!(rejects[0]["data"]["text"] == "no json", "the bytes are kept: {chunk}");
        ensure!(!function.output().contains("no json"), "the log must not hold what records say");
        Ok(())
    }

    #[tokio::test]
    async fn a_queue_that_refuses_keeps_the_whole_batch() -> Result<()> {
        let aws = StandIn::start(|call| score_all(call, &["SendMessage"])).await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        let answer = function.invoke(&events::kinesis(&FIVE)).await?.answered()?;
        ensure!(failures(&answer) == [sequence_number(0)], "{answer}\n{}", function.output());
        Ok(())
    }

    #[tokio::test]
    async fn an_event_of_something_else_is_a_failure() -> Result<()> {
        let aws = StandIn::start(|call| score_all(call, &[])).await?;
        let mut function = start("invoke", SMALL_CALLS, &aws).await?;
        match function.invoke(&json!({ "sweep": true })).await? {
            Outcome::Failed(_) => Ok(()),
            Outcome::Answered(answer) => bail!("a sweep was answered with {answer}"),
        }
    }
}

mod classify {
    use super::*;

    #[tokio::test]
    async fn a_table_that_refuses_leaves_the_chunk_and_its_followers_in_the_queue() -> Result<()> {
        let aws = StandIn::start(|call| tables(call, Some("AccessDeniedException"))).await?;
        let mut function = start("classify", NO_MODEL, &aws).await?;
        let chunks = [chunk("a", 1.0), chunk("a", 2.0)];
        let answer = function.invoke(&events::sqs(&chunks)).await?.answered()?;
        let expected = [message_id(0), message_id(1)];
        ensure!(failures(&answer) == expected, "{answer}\n{}", function.output());
        Ok(())
    }

    #[tokio::test]
    async fn a_chunk_of_a_later_release_waits_in_the_queue() -> Result<()> {
        let aws = StandIn::start(|call| tables(call, None)).await?;
        let mut function = start("classify", NO_MODEL, &aws).await?;
        let answer = function.invoke(&events::sqs(&[r#"{"v":99}"#.to_owned()])).await?.answered()?;
        ensure!(failures(&answer) == [message_id(0)], "{answer}");
        Ok(())
    }

    #[tokio::test]
    async fn an_alert_and_the_state_behind_it_are_one_transaction() -> Result<()> {
        let aws = StandIn::start(|call| tables(call, None)).await?;
        let mut function = start("classify", NO_MODEL, &aws).await?;
        let answer = function.invoke(&events::sqs(&[chunk("a", 9.0)])).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}\n{}", function.output());
        let transactions = aws.calls("TransactWriteItems");
        ensure!(transactions.len() == 1, "{} transactions", transactions.len());
        let items = transactions[0].json()["TransactItems"].as_array().cloned().unwrap_or_default();
        ensure!(items.len() == 2, "state and transition: {items:?}");
        ensure!(aws.calls("UpdateItem").is_empty(), "nothing beside the transaction");
        Ok(())
    }
}

mod publish {
    use super::*;

    #[tokio::test]
    async fn a_topic_that_refuses_is_asked_again_from_there() -> Result<()> {
        let row = outbox_row().await?;
        let item = row.clone();
        let aws = StandIn::start(move |call| match call.action.as_str() {
            "Publish" => Reply { status: 403, body: sns_error("AuthorizationError") },
            _ => claimed(&item),
        })
        .await?;
        let mut function = start("publish", NO_MODEL, &aws).await?;
        let answer = function.invoke(&events::outbox(&[row.clone(), row])).await?.answered()?;
        ensure!(failures(&answer) == [sequence_number(0)], "{answer}\n{}", function.output());
        let updates = aws.calls("UpdateItem");
        ensure!(updates.len() == 2, "claimed and released, not marked as sent: {updates:?}");
        ensure!(updates[1].json()["UpdateExpression"] == "REMOVE #lease", "{}", updates[1].text());
        Ok(())
    }

    #[tokio::test]
    async fn what_classify_writes_is_what_people_are_told() -> Result<()> {
        let row = outbox_row().await?;
        let item = row.clone();
        let aws = StandIn::start(move |call| match call.action.as_str() {
            "Publish" => Reply::ok(sns_answer("m-1")),
            _ => claimed(&item),
        })
        .await?;
        let mut function = start("publish", NO_MODEL, &aws).await?;
        let answer = function.invoke(&events::outbox(std::slice::from_ref(&row))).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}\n{}", function.output());
        let told = aws.calls("Publish").first().context("nobody was told")?.text();
        let alert = row["alert"]["S"].as_str().context("an alert has an id")?;
        ensure!(told.contains(alert) && told.contains("too-high"), "{told}");
        let marked = aws.calls("UpdateItem");
        ensure!(marked.len() == 2 && marked[1].text().contains("m-1"), "claimed, then marked: {marked:?}");
        Ok(())
    }

    #[tokio::test]
    async fn what_somebody_else_is_sending_is_left_to_them() -> Result<()> {
        let row = outbox_row().await?;
        let aws = StandIn::start(|_| Reply::error(400, "ConditionalCheckFailedException")).await?;
        let mut function = start("publish", NO_MODEL, &aws).await?;
        let answer = function.invoke(&events::outbox(&[row])).await?.answered()?;
        ensure!(failures(&answer).is_empty(), "{answer}\n{}", function.output());
        ensure!(aws.calls("Publish").is_empty(), "told twice");
        Ok(())
    }

    #[tokio::test]
    async fn a_sweep_asks_for_what_is_pending() -> Result<()> {
        let aws =
            StandIn::start(|_| Reply::ok(json!({ "Items": [], "Count": 0, "ScannedCount": 0 }))).await?;
        let mut function = start("publish", NO_MODEL, &aws).await?;
        function.invoke(&json!({ "sweep": true })).await?.answered()?;
        let asked = aws.calls("Query").first().context("nothing was asked")?.json();
        ensure!(asked["IndexName"] == "pending", "{asked}");
        Ok(())
    }

    /// A row as classify itself wrote it.
    async fn outbox_row() -> Result<Value> {
        let aws = StandIn::start(|call| tables(call, None)).await?;
        let mut function = start("classify", NO_MODEL, &aws).await?;
        function.invoke(&events::sqs(&[chunk("a", 9.0)])).await?.answered()?;
        let written = aws.calls("TransactWriteItems").first().context("no transaction")?.json();
        let items = written["TransactItems"].as_array().into_iter().flatten();
        let mut puts = items.filter(|item| item["Put"]["Item"]["alert"].is_object());
        puts.next().map(|item| item["Put"]["Item"].clone()).context("no transition was written")
    }
}

/// A function that cannot start says everything that is wrong, and ends.
#[tokio::test]
async fn a_bare_environment_is_reported_whole() -> Result<()> {
    let needs = [
        ("invoke", ["ANOMALY_CONFIG", "QUEUE_URL"].as_slice()),
        ("classify", &["ANOMALY_CONFIG", "STATES_TABLE", "OUTBOX_TABLE", "REJECTS_TABLE", "JOURNAL_TABLE"]),
        ("publish", &["OUTBOX_TABLE", "TOPIC_ARN"]),
    ];
    for (name, variables) in needs {
        let mut function = Function::start(name, &[]).await?;
        let status = function.ended().await?;
        let said = function.output();
        ensure!(!status.success(), "{name} ended as if all were well");
        for variable in variables {
            ensure!(
                said.contains(&format!("{variable}: not set")),
                "{name} does not name {variable}:\n{said}"
            );
        }
    }
    Ok(())
}

/// The same under AWS's own emulator of the runtime, where it can be had.
#[tokio::test]
async fn the_functions_answer_under_the_emulator() -> Result<()> {
    const TEST: &str = "the_functions_answer_under_the_emulator";
    let Some(rig) = Rig::find(TEST)? else { return Ok(()) };
    let Some(emulator) = rig.runtime_interface_emulator() else {
        skip(TEST, "the emulator was not built for this machine");
        return Ok(());
    };
    let aws = StandIn::start(|call| match call.action.as_str() {
        "InvokeEndpoint" | "SendMessage" => score_all(call, &[]),
        "Publish" => Reply::ok(sns_answer("m-1")),
        _ => tables(call, None),
    })
    .await?;
    let batch = events::kinesis(&FIVE);
    let chunks = events::sqs(&[chunk("a", 9.0)]);
    let sweep = json!({ "sweep": true });
    let calls =
        [("invoke", SMALL_CALLS, batch), ("classify", NO_MODEL, chunks), ("publish", NO_MODEL, sweep)];
    for (name, toml, event) in calls {
        let environment = environment(name, toml, &aws)?;
        let environment: Vec<(&str, &str)> = environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let emulated = Emulated::start(&emulator, name, &environment).await?;
        let answer = emulated.invoke(&event).await?;
        ensure!(answer == json!({ "batchItemFailures": [] }), "{name}: {answer}");
    }
    Ok(())
}

const FIVE: [&str; 5] = [
    r#"{"series":"a","value":0}"#,
    r#"{"series":"a","value":1}"#,
    r#"{"series":"a","value":2}"#,
    r#"{"series":"a","value":3}"#,
    r#"{"series":"a","value":4}"#,
];

const TIMED: [&str; 2] = [
    r#"{"series":"a","timestamp":"2026-01-01T00:00:00Z","value":0}"#,
    r#"{"series":"a","timestamp":"2026-01-01T00:00:01Z","value":1}"#,
];

async fn start(name: &str, toml: &str, aws: &StandIn) -> Result<Function> {
    let environment = environment(name, toml, aws)?;
    let environment: Vec<(&str, &str)> = environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Function::start(name, &environment).await
}

/// What the template sets, with what CloudFormation would fill in, and where AWS is.
fn environment(name: &str, toml: &str, aws: &StandIn) -> Result<Vec<(&'static str, String)>> {
    let template = Template::read(&template::pipeline(toml)?)?;
    let function = match name {
        "invoke" => "InvokeFunction",
        "classify" => "ClassifyFunction",
        _ => "PublishFunction",
    };
    let variables = [
        ("ANOMALY_CONFIG", None),
        ("ENDPOINT_NAME", Some("scorer".to_owned())),
        ("QUEUE_URL", Some(format!("{}/000000000000/scored.fifo", aws.url()))),
        ("STATES_TABLE", Some("states".to_owned())),
        ("OUTBOX_TABLE", Some("outbox".to_owned())),
        ("REJECTS_TABLE", Some("rejects".to_owned())),
        ("JOURNAL_TABLE", Some("journal".to_owned())),
        ("TOPIC_ARN", Some("arn:aws:sns:us-east-1:000000000000:alerts".to_owned())),
    ];
    let set = variables.into_iter().filter_map(|(variable, filled_in)| {
        let written = template.variable(function, variable);
        (!written.is_empty()).then(|| (variable, filled_in.unwrap_or(written)))
    });
    Ok(set.chain([("AWS_ENDPOINT_URL", aws.url().to_owned())]).collect())
}

/// An endpoint whose score of a row is ten more than its value, and a queue; `refused` actions are refused.
fn score_all(call: &Call, refused: &[&str]) -> Reply {
    match call.action.as_str() {
        action if refused.contains(&action) => Reply::error(400, "AccessDenied"),
        "InvokeEndpoint" => {
            let score = |line: &str| json!({ "score": line.parse::<f64>().unwrap_or(f64::NAN) + 10.0 });
            Reply::ok(json!({ "scores": call.text().lines().map(score).collect::<Vec<_>>() }))
        }
        "SendMessage" => Reply::ok(json!({ "MessageId": "m", "SequenceNumber": "1" })),
        action => Reply::error(400, action),
    }
}

/// The value in the first row of a call to the endpoint.
fn first_value(call: &Call) -> Option<i64> {
    let is_endpoint = call.action == "InvokeEndpoint";
    let value = call.text().lines().next()?.parse::<f64>().ok()?;
    is_endpoint.then_some(value as i64)
}

/// Tables that know no series yet; writing is refused with `refused`.
fn tables(call: &Call, refused: Option<&str>) -> Reply {
    match (call.action.as_str(), refused) {
        ("BatchGetItem", _) => Reply::ok(json!({ "Responses": { "states": [] }, "UnprocessedKeys": {} })),
        (_, Some(code)) => Reply::error(400, code),
        _ => Reply::ok(json!({})),
    }
}

/// A table that grants the claim on `row`.
fn claimed(row: &Value) -> Reply {
    Reply::ok(json!({ "Attributes": row }))
}

fn sns_answer(message: &str) -> String {
    format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
         <MessageId>{message}</MessageId></PublishResult></PublishResponse>"
    )
}

fn sns_error(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>scripted</Message></Error></ErrorResponse>"
    )
}

/// A chunk of one row without a score.
fn chunk(series: &str, value: f64) -> String {
    let row = json!({
        "series": series,
        "at_ms": 1_795_231_793_000_i64,
        "arrived_ms": 1_795_231_793_831_i64,
        "sequence": sequence_number(0),
        "features": [value],
    });
    let partition = "records/shardId-000000000000";
    json!({ "v": 1, "partition": partition, "model": "none", "rows": [row], "rejects": [] }).to_string()
}

/// The identifiers that a function wants again.
fn failures(answer: &Value) -> Vec<String> {
    let listed = answer["batchItemFailures"].as_array().into_iter().flatten();
    listed.filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned)).collect()
}

/// The one chunk that was queued.
fn only_chunk(aws: &StandIn) -> Result<Value> {
    let sent = aws.calls("SendMessage");
    ensure!(sent.len() == 1, "{} chunks were queued", sent.len());
    let body = sent[0].json()["MessageBody"].as_str().map(str::to_owned).context("a message has a body")?;
    Ok(serde_json::from_str(&body)?)
}

/// The readings of `chunk`, without the share of rejects that goes along.
fn rows(chunk: &Value) -> Vec<Value> {
    let rows = chunk["rows"].as_array().cloned().unwrap_or_default();
    let is_share = |row: &Value| row["series"].as_str().is_some_and(|name| name.starts_with("rejects of "));
    rows.into_iter().filter(|row| !is_share(row)).collect()
}
