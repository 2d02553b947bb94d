use std::collections::BTreeSet;
use std::time::Duration;

use anomaly_aws::dynamodb::{DynamoJournal, DynamoOutbox, DynamoRejects, DynamoStates, DynamoWindows};
use anomaly_core::alert::Transition;
use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::config::{Config, EventTime, MOfN, Method, On, Rule};
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use anomaly_core::window::Window;
use anomaly_core::wire::{self, RejectV1, TransitionV1};
use anomaly_pipeline::fault::{Fault, FaultKind};
use anomaly_pipeline::ports::{Claim, Outbox, Rejects, Saved, States, TransitionKey, Windows};
use serde_json::{Value, json};

use crate::server::{Reply, Request, Server, error, ok};

const DYNAMODB: &str = include_str!("../../../../events/dynamodb.json");

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms).expect("in range")
}

fn series(name: &str) -> SeriesId {
    SeriesId::new(name).expect("a name")
}

/// The transition of the event file, as step `number`.
fn transition(number: u32) -> Transition {
    let event: Value = serde_json::from_str(DYNAMODB).expect("JSON");
    let body = event["Records"][0]["dynamodb"]["NewImage"]["body"]["S"].as_str().expect("a body");
    Transition { number, ..wire::read::<TransitionV1>(body).expect("its own message").transition }
}

fn cancelled(codes: &[&str]) -> Reply {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let message = format!("cancelled [{}]", codes.join(", "));
    (
        400,
        json!({
            "__type": "TransactionCanceledException", "message": message, "CancellationReasons": reasons,
        })
        .to_string(),
    )
}

mod states {
    use super::*;

    fn states(server: &Server) -> DynamoStates {
        DynamoStates::new(&server.connector(), "states", "outbox")
    }

    /// A stored row: the state's bytes in Base64 stand as DynamoDB writes them.
    fn row(name: &str, revision: u64) -> Value {
        let bytes = SeriesState::default().encode();
        let state = base64_simd::STANDARD.encode_to_string(bytes);
        json!({ "series": { "S": name }, "revision": { "N": revision.to_string() }, "state": { "B": state } })
    }

    fn keys(request: &Request) -> BTreeSet<String> {
        let request = request.json();
        let table = &request["RequestItems"]["states"];
        assert_eq!(table["ConsistentRead"], true);
        let keys = table["Keys"].as_array().expect("keys");
        keys.iter().map(|key| key["series"]["S"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[tokio::test]
    async fn load_asks_again_for_what_was_left_and_keeps_the_order() {
        let server = Server::start(|number, _| match number {
            0 => ok(json!({
                "Responses": { "states": [row("c", 3)] },
                "UnprocessedKeys": { "states": { "Keys": [{ "series": { "S": "a" } }] } },
            })),
            _ => ok(json!({ "Responses": { "states": [row("a", 1)] }, "UnprocessedKeys": {} })),
        })
        .await;
        let loaded = states(&server).load(&[series("a"), series("b"), series("c")]).await.expect("states");
        let revisions: Vec<_> = loaded.iter().map(|stored| stored.as_ref().map(|s| s.revision)).collect();
        assert_eq!(revisions, [Some(1), None, Some(3)]);
        let [first, second] = &server.requests()[..] else { panic!("two requests") };
        assert_eq!(keys(first), BTreeSet::from(["a", "b", "c"].map(str::to_owned)));
        assert_eq!(keys(second), BTreeSet::from(["a".to_owned()]));
    }

    /// Has an alert fire in `state`.
    fn open_alert(state: &mut SeriesState) {
        let rule = Rule {
            method: Method::Static { threshold: 1.0 },
            on: On::Value,
            hold: MOfN::new(1, 1).expect("one of one"),
            ..Rule::default()
        };
        let policy = Policy::new(&Config { rules: vec![rule], ..Config::default() }, &["v".to_owned()]);
        let position =
            Position { partition: "p".into(), sequence: Sequence::from(1), sub: 0, arrived: at(1) };
        let (series, features, filled) = (series("a"), vec![9.0], Vec::new());
        let reading = Reading { series, at: at(1), features, filled, position };
        classify(&policy, state, &Scored { reading, score: None }, "m");
    }

    #[tokio::test]
    async fn a_damaged_state_is_somebodys_task() {
        let server = Server::start(|_, _| {
            let damaged =
                json!({ "series": { "S": "a" }, "revision": { "N": "1" }, "state": { "B": "AAAA" } });
            ok(json!({ "Responses": { "states": [damaged] } }))
        })
        .await;
        let fault = states(&server).load(&[series("a")]).await.expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(fault.to_string(), "read the state of a: the state is damaged");
    }

    async fn try_save(
        server: &Server,
        revision: Option<u64>,
        transitions: &[Transition],
    ) -> Result<Saved, Fault> {
        states(server).save(&series("a"), &SeriesState::default(), revision, transitions, at(7)).await
    }

    async fn save(server: &Server, revision: Option<u64>, transitions: &[Transition]) -> Saved {
        try_save(server, revision, transitions).await.expect("no fault")
    }

    #[tokio::test]
    async fn a_state_alone_is_a_conditional_put() {
        let server = Server::start(|_, _| ok("{}")).await;
        assert_eq!(save(&server, None, &[]).await, Saved::Written);
        assert_eq!(save(&server, Some(4), &[]).await, Saved::Written);
        let [new, old] = &server.requests()[..] else { panic!("two requests") };
        assert_eq!((new.operation(), old.operation()), ("PutItem", "PutItem"));
        let (new, old) = (new.json(), old.json());
        assert_eq!(new["ConditionExpression"], "attribute_not_exists(#series)");
        assert_eq!(
            (&new["Item"]["revision"], &old["Item"]["revision"]),
            (&json!({ "N": "1" }), &json!({ "N": "5" }))
        );
        assert_eq!(old["ConditionExpression"], "#revision = :revision");
        assert_eq!(old["ExpressionAttributeValues"], json!({ ":revision": { "N": "4" } }));
    }

    /// A state in which a reading of millisecond `ms` waits.
    fn waiting(ms: i64) -> SeriesState {
        let position =
            Position { partition: "p".into(), sequence: Sequence::from(1), sub: 0, arrived: at(ms) };
        let (series, features, filled) = (series("a"), vec![1.0], Vec::new());
        let reading = Reading { series, at: at(ms), features, filled, position };
        let policy = EventTime { out_of_order: Duration::from_secs(5), ..EventTime::default() };
        let mut state = SeriesState::default();
        state.admit(&policy, Scored { reading, score: None }, "m");
        state
    }

    #[tokio::test]
    async fn open_alerts_are_found_on_every_page() {
        let state = |name: &str, opens: bool| {
            let mut state = SeriesState::default();
            if opens {
                open_alert(&mut state);
            }
            let state = base64_simd::STANDARD.encode_to_string(state.encode());
            json!({ "series": { "S": name }, "revision": { "N": "1" }, "state": { "B": state } })
        };
        let late = series("b").late();
        let (late_name, last) = (late.clone(), json!({ "series": { "S": "a" } }));
        let server = Server::start(move |number, _| match number {
            0 => ok(json!({ "Items": [state("a", false), state("c", true)], "LastEvaluatedKey": last })),
            _ => ok(json!({ "Items": [state(late_name.as_str(), true)] })),
        })
        .await;
        let open = states(&server).open().await.expect("no fault");
        assert_eq!(open.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [series("c"), late]);
        let second = server.requests()[1].json();
        assert_eq!(second["ExclusiveStartKey"], json!({ "series": { "S": "a" } }));
    }

    #[tokio::test]
    async fn only_a_state_in_which_readings_wait_is_in_the_index() {
        let server = Server::start(|_, _| ok("{}")).await;
        let mut state = waiting(12_345);
        assert_eq!(states(&server).save(&series("a"), &state, None, &[], at(7)).await, Ok(Saved::Written));
        state.flush(&series("a"), at(20_000));
        assert_eq!(states(&server).save(&series("a"), &state, Some(1), &[], at(7)).await, Ok(Saved::Written));
        let items: Vec<Value> = server.requests().iter().map(|r| r.json()["Item"].clone()).collect();
        assert_eq!((&items[0]["held"]["S"], &items[0]["held_at_ms"]["N"]), (&json!("1"), &json!("20000")));
        assert_eq!((items[1].get("held"), items[1].get("held_at_ms")), (None, None));
    }

    #[tokio::test]
    async fn what_is_due_is_asked_of_every_part_of_the_index() {
        let server = Server::start(|number, _| match number {
            1 => ok(json!({ "Items": [{ "series": { "S": "a" } }, { "series": { "S": "b" } }] })),
            7 => ok(json!({ "Items": [{ "series": { "S": "g" } }] })),
            _ => ok(json!({ "Items": [] })),
        })
        .await;
        let due = states(&server).due(at(5_000), 20).await.expect("no fault");
        assert_eq!(due, ["a", "b", "g"].map(series));
        let requests: Vec<Value> = server.requests().iter().map(Request::json).collect();
        let shards: Vec<_> =
            requests.iter().map(|r| r["ExpressionAttributeValues"][":shard"]["S"].clone()).collect();
        assert_eq!(shards, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(
            (&requests[0]["IndexName"], &requests[0]["Limit"], &requests[0]["KeyConditionExpression"]),
            (&json!("held"), &json!(3), &json!("#held = :shard AND #at <= :until"))
        );
        assert_eq!(requests[0]["ExpressionAttributeValues"][":until"]["N"], "5000");
    }

    #[tokio::test]
    async fn a_state_that_somebody_else_wrote_is_a_conflict() {
        let server = Server::start(|_, _| error(400, "ConditionalCheckFailedException")).await;
        assert_eq!(save(&server, Some(4), &[]).await, Saved::Conflict);
        let server = Server::start(|_, _| cancelled(&["ConditionalCheckFailed", "None"])).await;
        assert_eq!(save(&server, Some(4), &[transition(1)]).await, Saved::Conflict);
    }

    fn items(request: &Request) -> Vec<Value> {
        assert_eq!(request.operation(), "TransactWriteItems");
        request.json()["TransactItems"].as_array().expect("items").clone()
    }

    #[tokio::test]
    async fn a_transition_and_the_state_are_one_transaction() {
        let server = Server::start(|_, _| ok("{}")).await;
        assert_eq!(save(&server, None, &[transition(1)]).await, Saved::Written);
        let [state, row] = &items(&server.requests()[0])[..] else { panic!("two items") };
        assert_eq!(state["Put"]["TableName"], "states");
        assert_eq!(state["Put"]["ConditionExpression"], "attribute_not_exists(#series)");
        let put = &row["Put"];
        assert_eq!(
            (&put["TableName"], &put["ConditionExpression"]),
            (&json!("outbox"), &json!("attribute_not_exists(#alert)"))
        );
        let item = &put["Item"];
        assert_eq!(item["alert"]["S"], "f7ac214017d816f9");
        assert_eq!(
            (&item["transition"]["N"], &item["pending"]["S"], &item["created_ms"]["N"]),
            (&json!("1"), &json!("1"), &json!("7"))
        );
        let body = item["body"]["S"].as_str().expect("a body");
        assert_eq!(wire::read::<TransitionV1>(body).map(|row| row.transition), Ok(transition(1)));
    }

    #[tokio::test]
    async fn a_transition_that_is_there_stays_and_the_rest_is_written() {
        let server = Server::start(|number, _| match number {
            0 => cancelled(&["None", "None", "ConditionalCheckFailed", "None"]),
            _ => ok("{}"),
        })
        .await;
        assert_eq!(save(&server, None, &[1, 2, 3].map(transition)).await, Saved::Written);
        let [_, second] = &server.requests()[..] else { panic!("two requests") };
        let rows: Vec<_> =
            items(second)[1..].iter().map(|row| row["Put"]["Item"]["transition"]["N"].clone()).collect();
        assert_eq!(rows, ["1", "3"]);
    }

    #[tokio::test]
    async fn others_at_the_same_rows_are_waited_for() {
        let server = Server::start(|number, _| match number {
            0 => cancelled(&["TransactionConflict", "None"]),
            _ => ok("{}"),
        })
        .await;
        assert_eq!(save(&server, None, &[transition(1)]).await, Saved::Written);
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn a_transaction_that_will_not_do_is_somebodys_task() {
        let server = Server::start(|_, _| cancelled(&["ValidationError", "None"])).await;
        let fault = try_save(&server, None, &[transition(1)]).await.expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(
            fault.to_string(),
            "write the state of a: TransactionCanceledException: cancelled [ValidationError, None]"
        );
    }

    #[tokio::test]
    async fn more_than_a_transaction_holds_is_written_in_lots_the_state_last() {
        let many: Vec<Transition> = (1..=150).map(transition).collect();
        let server = Server::start(|_, _| ok("{}")).await;
        assert_eq!(save(&server, Some(4), &many).await, Saved::Written);
        let [first, last] = &server.requests()[..] else { panic!("two requests") };
        let (first, last) = (items(first), items(last));
        assert_eq!((first.len(), last.len()), (100, 52));
        assert_eq!(first[0]["ConditionCheck"]["ConditionExpression"], "#revision = :revision");
        assert_eq!(last[0]["Put"]["Item"]["revision"]["N"], "5");

        let server = Server::start(|_, _| cancelled(&["ConditionalCheckFailed"])).await;
        assert_eq!(save(&server, Some(4), &many).await, Saved::Conflict);
        assert_eq!(server.requests().len(), 1, "nothing more is tried");
    }
}

mod outbox {
    use super::*;

    fn outbox(server: &Server) -> DynamoOutbox {
        DynamoOutbox::new(&server.connector(), "outbox")
    }

    fn key() -> TransitionKey {
        TransitionKey::of(&transition(1))
    }

    async fn claim(reply: Reply) -> (Claim, Value) {
        let server = Server::start(move |_, _| reply.clone()).await;
        let claim = outbox(&server).claim(&key(), at(5), at(9)).await.expect("no fault");
        (claim, server.requests()[0].json())
    }

    fn held(item: Value) -> Reply {
        (400, json!({ "__type": "ConditionalCheckFailedException", "Item": item }).to_string())
    }

    #[tokio::test]
    async fn a_claim_takes_what_nobody_holds() {
        let body = wire::write(&TransitionV1::new(transition(1)));
        let (taken, request) = claim(ok(json!({ "Attributes": { "body": { "S": body } } }))).await;
        assert_eq!(taken, Claim::Taken(Box::new(transition(1))));
        assert_eq!(
            request["Key"],
            json!({ "alert": { "S": "f7ac214017d816f9" }, "transition": { "N": "1" } })
        );
        assert_eq!(
            request["ConditionExpression"],
            "attribute_exists(#pending) AND (attribute_not_exists(#lease) OR #lease < :now)"
        );
        assert_eq!(request["ExpressionAttributeNames"]["#lease"], "lease_until_ms");
        assert_eq!(
            request["ExpressionAttributeValues"],
            json!({ ":now": { "N": "5" }, ":until": { "N": "9" } })
        );
    }

    #[tokio::test]
    async fn a_claim_tells_held_from_sent() {
        assert_eq!(claim(held(json!({ "pending": { "S": "1" } }))).await.0, Claim::Held);
        assert_eq!(claim(held(json!({ "sent_ms": { "N": "4" } }))).await.0, Claim::Sent);
        assert_eq!(claim(held(Value::Null)).await.0, Claim::Sent, "the row has expired");
    }

    #[tokio::test]
    async fn a_row_of_a_later_release_waits() {
        let reply = ok(json!({ "Attributes": { "body": { "S": "{\"v\":2}" } } }));
        let server = Server::start(move |_, _| reply.clone()).await;
        let fault = outbox(&server).claim(&key(), at(5), at(9)).await.expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert!(
            fault.to_string().starts_with("claim alert f7ac214017d816f9 transition 1: message version 2"),
            "{fault}"
        );
    }

    #[tokio::test]
    async fn a_mark_ends_what_is_pending_and_a_second_one_changes_nothing() {
        let server = Server::start(|number, _| match number {
            0 => ok("{}"),
            _ => error(400, "ConditionalCheckFailedException"),
        })
        .await;
        for _ in 0..2 {
            assert_eq!(outbox(&server).mark_sent(&key(), "m-1", at(5_000)).await, Ok(()));
        }
        let request = server.requests()[0].json();
        assert_eq!(request["ConditionExpression"], "attribute_exists(#pending)");
        assert!(
            request["UpdateExpression"]
                .as_str()
                .is_some_and(|e| e.starts_with("REMOVE #pending, #lease SET "))
        );
        assert_eq!(
            request["ExpressionAttributeValues"],
            json!({ ":now": { "N": "5000" }, ":message": { "S": "m-1" }, ":expires": { "N": "2592005" } })
        );
    }

    #[tokio::test]
    async fn a_release_gives_up_our_own_lease_only() {
        let server = Server::start(|number, _| match number {
            0 => ok("{}"),
            _ => error(400, "ConditionalCheckFailedException"),
        })
        .await;
        for _ in 0..2 {
            assert_eq!(outbox(&server).release(&key(), at(9)).await, Ok(()));
        }
        let request = server.requests()[0].json();
        assert_eq!(request["UpdateExpression"], "REMOVE #lease");
        assert_eq!(request["ConditionExpression"], "attribute_exists(#pending) AND #lease = :until");
        assert_eq!(request["ExpressionAttributeValues"], json!({ ":until": { "N": "9" } }));
    }

    #[tokio::test]
    async fn all_steps_are_read_page_by_page_and_those_of_a_later_release_counted() {
        let row = |step: &Transition| {
            let body = wire::write(&TransitionV1::new(step.clone()));
            json!({ "body": { "S": body } })
        };
        let (one, two) = (transition(1), transition(2));
        let items = [row(&one), json!({ "body": { "S": r#"{"v":9}"# } })];
        let rows =
            (json!({ "Items": items, "LastEvaluatedKey": last_key() }), json!({ "Items": [row(&two)] }));
        let server =
            Server::start(move |number, _| ok(if number % 2 == 0 { &rows.0 } else { &rows.1 })).await;
        let all = outbox(&server).steps().await.expect("no fault");
        assert_eq!(all, (vec![one.clone(), two.clone()], 1));
        let named = outbox(&server).steps_of(one.alert.as_str()).await.expect("no fault");
        assert_eq!(named, all);
        let requests = server.requests();
        let operations: Vec<_> = requests.iter().map(Request::operation).collect();
        assert_eq!(operations, ["Scan", "Scan", "Query", "Query"]);
        let (scan, query) = (requests[1].json(), requests[3].json());
        assert_eq!(
            (&scan["ProjectionExpression"], &scan["ExclusiveStartKey"]),
            (&json!("#body"), &last_key())
        );
        assert_eq!((&query["ConsistentRead"], &query["ExclusiveStartKey"]), (&json!(true), &last_key()));
        assert_eq!(query["ExpressionAttributeValues"], json!({ ":alert": { "S": one.alert.as_str() } }));
    }

    fn last_key() -> Value {
        json!({ "alert": { "S": "x" }, "transition": { "N": "1" } })
    }

    #[tokio::test]
    async fn pending_follows_pages_and_puts_steps_in_order() {
        let row = |alert: &str, number: u32, created: u32| {
            let (number, created) = (number.to_string(), created.to_string());
            json!({ "alert": { "S": alert }, "transition": { "N": number }, "created_ms": { "N": created } })
        };
        let server = Server::start(move |number, _| match number {
            0 => ok(json!({ "Items": [row("b", 2, 1), row("b", 1, 1)], "LastEvaluatedKey": { "alert": { "S": "b" } } })),
            _ => ok(json!({ "Items": [row("a", 10, 2), row("a", 9, 2)] })),
        })
        .await;
        let pending = outbox(&server).pending(at(3), 10).await.expect("no fault");
        let shown: Vec<_> = pending.iter().map(|key| (key.alert.as_str(), key.number)).collect();
        assert_eq!(shown, [("b", 1), ("b", 2), ("a", 9), ("a", 10)]);
        let [first, second] = &server.requests()[..] else { panic!("two pages") };
        let (first, second) = (first.json(), second.json());
        assert_eq!((&first["IndexName"], &first["Limit"]), (&json!("pending"), &json!(10)));
        assert_eq!((&second["ExclusiveStartKey"]["alert"]["S"], &second["Limit"]), (&json!("b"), &json!(8)));
    }
}

mod rejects {
    use super::*;

    fn reject(number: u64) -> RejectV1 {
        let sequence = Sequence::from(number);
        let position = Position { partition: "s/0".into(), sequence, sub: 0, arrived: at(0) };
        RejectV1::new(Reject::Base64, &position, b"*")
    }

    fn rows(request: &Request) -> Vec<Value> {
        request.json()["RequestItems"]["rejects"].as_array().expect("rows").clone()
    }

    #[tokio::test]
    async fn rejects_are_kept_in_lots_and_once_each() {
        let server = Server::start(|_, _| ok("{}")).await;
        let twice: Vec<RejectV1> = (0..26).chain(0..26).map(reject).collect();
        let rejects = DynamoRejects::new(&server.connector(), "rejects");
        assert_eq!(rejects.at(at(5_000)).keep(&twice).await, Ok(()));
        let requests = server.requests();
        assert_eq!(requests.iter().map(|request| rows(request).len()).collect::<Vec<_>>(), [25, 1]);
        let item = &rows(&requests[0])[0]["PutRequest"]["Item"];
        assert_eq!((&item["partition"]["S"], &item["position"]["S"]), (&json!("s/0"), &json!("0.0")));
        assert_eq!(item["expires_s"]["N"], "2592005");
        let kept = wire::read::<RejectV1>(item["reject"]["S"].as_str().expect("JSON"));
        assert_eq!(kept, Ok(reject(0)));
    }

    #[tokio::test]
    async fn what_was_left_is_written_again() {
        let server = Server::start(|number, request| match number {
            0 => ok(json!({ "UnprocessedItems": { "rejects": rows(request)[1..] } })),
            _ => ok("{}"),
        })
        .await;
        let rejects = DynamoRejects::new(&server.connector(), "rejects");
        assert_eq!(rejects.at(at(0)).keep(&[reject(1), reject(2)]).await, Ok(()));
        let requests = server.requests();
        assert_eq!(requests.iter().map(|request| rows(request).len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[tokio::test]
    async fn they_are_listed_page_by_page_in_order_and_forgotten_by_name() {
        let row = |number: u64| json!({ "reject": { "S": wire::write(&reject(number)) } });
        let server = Server::start(move |_, request| match request.operation() {
            "Scan" if request.json().get("ExclusiveStartKey").is_none() => ok(json!({
                "Items": [row(10), { "reject": { "S": "{\"v\":9}" } }],
                "LastEvaluatedKey": { "partition": { "S": "p" } },
            })),
            "Scan" => ok(json!({ "Items": [row(9)] })),
            _ => ok(json!({})),
        })
        .await;
        let rejects = DynamoRejects::new(&server.connector(), "rejects");
        assert_eq!(rejects.list().await, Ok((vec![reject(9), reject(10)], 1)));
        assert_eq!(rejects.forget(&reject(9)).await, Ok(()));
        let request = server.requests().pop().expect("a request");
        assert_eq!(request.operation(), "DeleteItem");
        assert_eq!(request.json()["Key"]["position"]["S"], "9.0");
    }
}

mod journal {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use anomaly_core::position::{Place, Runs};
    use anomaly_fakes::conformance;
    use anomaly_pipeline::ports::Journal;

    use super::*;

    /// Rows by their two keys.
    type Rows = BTreeMap<(String, String), Value>;

    /// A table that puts and queries as DynamoDB does, two rows a page.
    fn table(rows: &Mutex<Rows>, request: &Request) -> Reply {
        let text = |value: &Value| value["S"].as_str().expect("a string").to_owned();
        let asked = request.json();
        let mut rows = rows.lock().expect("no test panics with it");
        match request.operation() {
            "PutItem" => {
                let item = &asked["Item"];
                rows.insert((text(&item["strand"]), text(&item["last"])), item.clone());
                ok("{}")
            }
            "Query" => {
                assert_eq!(asked["KeyConditionExpression"], "#strand = :strand AND #last >= :first");
                assert_eq!(asked["ConsistentRead"], true);
                let values = &asked["ExpressionAttributeValues"];
                let (strand, first) = (text(&values[":strand"]), text(&values[":first"]));
                let start = asked.get("ExclusiveStartKey").map(|key| text(&key["last"]));
                let is_asked = |(other, last): &(String, String)| {
                    *other == strand && *last >= first && start.as_ref().is_none_or(|start| last > start)
                };
                let found: Vec<_> = rows.iter().filter(|(key, _)| is_asked(key)).take(3).collect();
                let page: Vec<&Value> = found.iter().take(2).map(|(_, row)| *row).collect();
                let mut answer = json!({ "Items": page });
                if found.len() > 2 {
                    answer["LastEvaluatedKey"] =
                        json!({ "strand": page[1]["strand"], "last": page[1]["last"] });
                }
                ok(answer)
            }
            "BatchGetItem" => {
                let asked = &asked["RequestItems"]["journal"];
                assert_eq!(asked["ConsistentRead"], true);
                let keys = asked["Keys"].as_array().expect("keys");
                assert!(keys.len() <= 100, "what DynamoDB takes");
                let key = |key: &Value| (text(&key["strand"]), text(&key["last"]));
                // Any order will do.
                let found = keys.iter().rev().filter_map(|asked| rows.get(&key(asked)));
                ok(json!({ "Responses": { "journal": found.collect::<Vec<_>>() } }))
            }
            other => panic!("the journal does not {other}"),
        }
    }

    #[tokio::test]
    async fn it_is_a_journal() {
        let rows = Mutex::new(Rows::new());
        let server = Server::start(move |_, request| table(&rows, request)).await;
        let journal = DynamoJournal::new(&server.connector(), "journal");
        conformance::journal(&journal).await.expect("no fault");
    }

    fn runs() -> Runs {
        let place = |number: u64| Place { sequence: Sequence::from(number), sub: 0 };
        let mut runs = Runs::default();
        runs.push(place(7), place(12));
        runs
    }

    #[tokio::test]
    async fn a_note_is_a_row_that_expires() {
        let server = Server::start(|_, _| ok("{}")).await;
        let journal = DynamoJournal::new(&server.connector(), "journal");
        assert_eq!(journal.note("0-of-1/s/0", &Runs::default(), at(5_000)).await, Ok(()));
        assert_eq!(journal.note("0-of-1/s/0", &runs(), at(5_000)).await, Ok(()));
        let [request] = &server.requests()[..] else { panic!("nothing is not written") };
        let row = json!({
            "strand": { "S": "0-of-1/s/0" },
            "last": { "S": "00002:12.0000000000" },
            "runs": { "S": r#"[["7.0","12.0"]]"# },
            "expires_s": { "N": "2592005" },
        });
        let request = request.json();
        assert_eq!((&request["TableName"], &request["Item"]), (&json!("journal"), &row));
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_somebodys_task() {
        let server = Server::start(|_, _| ok(json!({ "Items": [{ "runs": { "S": "[" } }] }))).await;
        let journal = DynamoJournal::new(&server.connector(), "journal");
        let place = Place { sequence: Sequence::from(1), sub: 0 };
        let fault = journal.find("s", &place, None).await.expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(fault.to_string(), "find what was judged of s: a row has no runs");
    }
}

mod windows {
    use super::*;

    fn windows(server: &Server) -> DynamoWindows {
        DynamoWindows::new(&server.connector(), "windows")
    }

    /// The window of a series that has seen one reading.
    fn window() -> Window {
        let position =
            Position { partition: "p".into(), sequence: Sequence::from(1), sub: 0, arrived: at(0) };
        let reading =
            Reading { series: series("a"), at: at(0), features: vec![1.5], filled: Vec::new(), position };
        let mut window = Window::default();
        window.take_in(&[&reading], 2);
        window
    }

    #[tokio::test]
    async fn many_are_loaded_in_lots_and_come_back_in_order() {
        let bytes = base64_simd::STANDARD.encode_to_string(window().encode());
        let server = Server::start(move |_, request| {
            let keys = request.json()["RequestItems"]["windows"]["Keys"].as_array().expect("keys").clone();
            assert!(keys.len() <= 100);
            let row = |key: &Value| {
                json!({ "series": key["series"], "revision": { "N": "3" }, "window": { "B": bytes } })
            };
            // The last one first, and one that is not there.
            let rows: Vec<Value> = keys.iter().rev().filter(|key| key["series"]["S"] != "s7").map(row).collect();
            ok(json!({ "Responses": { "windows": rows } }))
        })
        .await;
        let names: Vec<SeriesId> = (0..130).map(|i| series(&format!("s{i}"))).collect();
        let loaded = windows(&server).load(&names).await.expect("windows");
        assert_eq!(server.requests().len(), 2);
        assert_eq!(loaded.len(), 130);
        for (i, stored) in loaded.into_iter().enumerate() {
            let stored = stored.map(|stored| (stored.window, stored.revision));
            assert_eq!(stored, (i != 7).then(|| (window(), 3)));
        }
    }

    #[tokio::test]
    async fn a_window_is_written_only_over_the_one_that_was_read() {
        let conflict = |_: usize, _: &Request| error(400, "ConditionalCheckFailedException");
        let server = Server::start(conflict).await;
        assert_eq!(windows(&server).save(&series("a"), &window(), Some(3)).await, Ok(Saved::Conflict));
        let request = server.requests()[0].json();
        assert_eq!(request["ConditionExpression"], "#revision = :revision");
        assert_eq!(request["ExpressionAttributeValues"][":revision"]["N"], "3");
        assert_eq!(request["Item"]["revision"]["N"], "4");
        let server = Server::start(|_, _| ok("{}")).await;
        assert_eq!(windows(&server).save(&series("a"), &window(), None).await, Ok(Saved::Written));
        assert_eq!(server.requests()[0].json()["ConditionExpression"], "attribute_not_exists(#series)");
    }

    #[tokio::test]
    async fn a_damaged_window_is_somebodys_task() {
        let damaged = json!({ "series": { "S": "a" }, "revision": { "N": "1" }, "window": { "B": "AAAA" } });
        let server = Server::start(move |_, _| ok(json!({ "Responses": { "windows": [damaged] } }))).await;
        let fault = windows(&server).load(&[series("a")]).await.expect_err("a fault");
        assert_eq!((fault.kind, fault.operation.as_str()), (FaultKind::Permanent, "read the window of a"));
    }
}
