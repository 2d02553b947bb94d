//! The rule against the numbers of others: Microsoft's documentation, and the table derived for the seed.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use super::*;

fn policy(late_s: u64, out_of_order_s: u64) -> EventTime {
    let [late, out_of_order] = [late_s, out_of_order_s].map(Duration::from_secs);
    EventTime { late, out_of_order, ..EventTime::default() }
}

/// `12:07` or `00:10:42`, of some day.
fn time(text: &str) -> Timestamp {
    let numbers: Vec<i64> = text.split(':').map(|part| part.parse().expect("a number")).collect();
    let seconds = numbers.iter().fold(0, |sum, n| sum * 60 + n);
    Timestamp::from_ms(seconds * if numbers.len() == 2 { 60_000 } else { 1000 }).expect("in range")
}

/// A reading: its series, its time, its arrival.
struct Came<'t>(&'t str, &'t str, &'t str);

/// When each reading counts, as its series' clock has it; `None` if it is dropped.
fn placed(policy: &EventTime, readings: &[Came<'_>]) -> Vec<Option<Timestamp>> {
    let mut clocks: HashMap<&str, Clock> = HashMap::new();
    let mut all = Vec::new();
    for Came(series, event, arrived) in readings {
        let clock = clocks.entry(series).or_default();
        all.push(match place(policy, clock, time(event), time(arrived)) {
            Placement::Placed { at, .. } => {
                clock.advance(at);
                Some(at)
            }
            Placement::Dropped(_) => None,
        });
    }
    all
}

const SEED: [Came<'_>; 5] = [
    Came("s", "00:10:00", "00:10:40"),
    Came("s", "00:10:30", "00:10:41"),
    Came("s", "00:10:42", "00:10:42"),
    Came("s", "00:10:38", "00:10:43"),
    Came("s", "00:10:35", "00:10:45"),
];

/// Late 16 s, out of order 5 s, adjust: the table of the documentation, worked out for the seed's settings.
#[test]
fn the_seeds_table() {
    let expected = ["00:10:24", "00:10:30", "00:10:42", "00:10:38", "00:10:37"];
    assert_eq!(placed(&policy(16, 5), &SEED), expected.map(|t| Some(time(t))));
}

#[test]
fn with_drop_the_same_ones_go() {
    let drop = EventTime { policy: Untimely::Drop, ..policy(16, 5) };
    let expected = [None, Some("00:10:30"), Some("00:10:42"), Some("00:10:38"), None];
    assert_eq!(placed(&drop, &SEED), expected.map(|t| t.map(time)));
}

/// As one word: what a reading of second `event`, arrived at `arrived`, is told by a clock at 100 s.
fn word(policy: &EventTime, event: i64, arrived: i64) -> String {
    let second = |s: i64| Timestamp::from_ms(s * 1000).expect("in range");
    let mut clock = Clock::default();
    clock.advance(second(100));
    match place(policy, &clock, second(event), second(arrived)) {
        Placement::Placed { at, late, out_of_order } => {
            let at = at.as_ms() / 1000;
            format!(
                "{at}{}{}",
                if late { " late" } else { "" },
                if out_of_order { " disordered" } else { "" }
            )
        }
        Placement::Dropped(reject) => format!("{}: {reject}", reject.as_str()),
    }
}

#[test]
fn exactly_the_tolerance_is_in_time_and_in_order() {
    let adjust = policy(16, 5);
    assert_eq!(word(&adjust, 100, 116), "100");
    assert_eq!(word(&adjust, 100, 117), "101 late");
    assert_eq!(word(&adjust, 95, 100), "95");
    assert_eq!(word(&adjust, 94, 100), "95 disordered");
    assert_eq!(word(&adjust, 70, 100), "95 late disordered", "moved to 84, and from there to 95");
    assert_eq!(word(&adjust, 400, 100), "400");
    assert_eq!(
        word(&adjust, 401, 100),
        "early-input-event: 301 s ahead of its arrival, and 300 s are allowed"
    );
    let drop = EventTime { policy: Untimely::Drop, ..adjust };
    assert_eq!(word(&drop, 100, 117), "late-input-event: 17 s behind its arrival, and 16 s are allowed");
    assert_eq!(
        word(&drop, 94, 100),
        "out-of-order-event: 6 s behind the newest of its series, and 5 s are allowed"
    );
    assert!(word(&drop, 401, 100).starts_with("early-input-event"));
}

/// What was released must not be overtaken from behind; but a flush of ours drops nothing.
#[test]
fn a_flush_moves_and_never_drops() {
    let drop = EventTime { policy: Untimely::Drop, ..policy(16, 5) };
    let mut clock = Clock::default();
    clock.advance(time("00:10:42"));
    clock.raise_floor(time("00:10:41"));
    let at = |event| place(&drop, &clock, time(event), time("00:10:43"));
    let moved = Placement::Placed { at: time("00:10:41"), late: false, out_of_order: true };
    assert_eq!(at("00:10:38"), moved);
    let in_order = Placement::Placed { at: time("00:10:42"), late: false, out_of_order: false };
    assert_eq!(at("00:10:42"), in_order);
}

#[test]
fn counts_what_was_moved_and_what_was_dropped() {
    let mut counts = Untimeliness::default();
    let placed = |late, out_of_order| Placement::Placed { at: Timestamp::default(), late, out_of_order };
    let dropped = [
        Reject::EarlyInputEvent { ahead_ms: 2, limit_ms: 1 },
        Reject::LateInputEvent { behind_ms: 2, limit_ms: 1 },
        Reject::OutOfOrderEvent { behind_ms: 2, limit_ms: 1 },
    ];
    let all = [placed(false, false), placed(true, true)];
    all.iter().chain(&dropped.map(Placement::Dropped)).for_each(|placement| counts.count(placement));
    assert_eq!(counts, Untimeliness { early: 1, late: 2, out_of_order: 2 });
}

/// The documentation's numbers, which lie beside the project and are not part of it.
fn golden() -> Option<Value> {
    let file = "shared/golden/azure/fetched/asa-docs-event-ordering.json";
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    let text = above.map(|folder| folder.join(file)).find_map(|path| std::fs::read_to_string(path).ok());
    text.map(|text| serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn every_number_of_the_documentation() {
    let Some(golden) = golden() else {
        let _ = writeln!(std::io::stderr(), "skipped: the documentation's numbers are not there");
        return;
    };
    let cases = golden["cases"].as_array().expect("cases");
    let case = |name: &str| {
        let found = cases.iter().find(|case| case["name"].as_str().is_some_and(|n| n.starts_with(name)));
        found.unwrap_or_else(|| panic!("no case {name}"))
    };
    check_table(case("event-ordering.md table"), 2);
    check_table(case("time-handling.md first"), 3);

    // The second and the third have the rows of the first: without an early policy, and by device.
    let rows = &case("time-handling.md first")["rows"];
    let mut second = case("time-handling.md second").clone();
    second["rows"] = rows.clone();
    second["early_s"] = 1_814_399.into();
    let got = places(&second, None);
    assert_eq!(got[2..4], [Some(time("12:17")), Some(time("12:15"))]);

    let mut third = case("time-handling.md third").clone();
    third["rows"] = rows.clone();
    let stated = third["derived_system_timestamps"].as_array().expect("a list").clone();
    let stated: Vec<_> = stated.iter().map(|t| t.as_str().map(time)).collect();
    assert_eq!(places(&third, Some(2)), stated);
}

/// The places of a case's rows; `series` is the column that tells series apart.
fn places(case: &Value, series: Option<usize>) -> Vec<Option<Timestamp>> {
    let seconds = |key: &str| case[key].as_u64();
    let mut policy = policy(seconds("late_s").expect("late"), seconds("out_of_order_s").expect("tolerance"));
    assert_eq!(case["policy"], "Adjust");
    policy.early = seconds("early_s").map_or(policy.early, Duration::from_secs);
    let rows = case["rows"].as_array().expect("rows");
    let cell = |row: &'_ Value, index: usize| row[index].as_str().expect("text").to_owned();
    let rows: Vec<[String; 3]> = rows
        .iter()
        .map(|row| [series.map_or_else(String::new, |column| cell(row, column)), cell(row, 0), cell(row, 1)])
        .collect();
    let readings: Vec<Came<'_>> = rows.iter().map(|[s, event, arrived]| Came(s, event, arrived)).collect();
    placed(&policy, &readings)
}

/// `stated` is the column with what the documentation says.
fn check_table(case: &Value, stated: usize) {
    let rows = case["rows"].as_array().expect("rows");
    let stated: Vec<_> = rows.iter().map(|row| row[stated].as_str().map(time)).collect();
    assert!(stated.len() >= 5);
    assert_eq!(places(case, None), stated, "{}", case["name"]);
}
