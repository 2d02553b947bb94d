use super::*;
use anomaly_core::config::{Fill, Input};
use anomaly_core::decode::Decoder;
use anomaly_core::position::{Position, Sequence};

#[test]
fn a_previous_value_is_filled_in_before_the_detector_sees_it() {
    let input = Input {
        series: "s".to_owned(),
        features: vec!["/a".to_owned(), "/b".to_owned()],
        null: Fill::Previous,
        ..Input::default()
    };
    let decoder = Decoder::new(&input).expect("a valid input");
    let config = Config { input, ..Config::default() };
    let features = decoder.feature_names().to_vec();
    let policy = Policy::new(&config, &features);
    let terms = Arc::new(Terms { policy, features, keeps_findings: false });
    let mut engine = Engine::new(Scoring::Forest(ForestOptions::small()), &config, Means::PLAIN);
    let mut judge = |number: u64, record: &str| {
        let sequence = Sequence::from(number);
        let position = Position { partition: "f".into(), sequence, sub: 0, arrived: Timestamp::default() };
        let reading = decoder.json(record.as_bytes(), position).expect("a reading");
        engine.hand_out(&terms, vec![Some(reading)]).expect("its features");
        let outcome = engine.take_back().expect("at hand").expect("a lot").remove(0);
        let ready = outcome.taken?.ready;
        Ok(ready.and_then(|ready| ready.outcome.expect("judged").score))
    };
    let unknown = Reject::Missing { field: "b".to_owned() };
    assert_eq!(judge(1, r#"{"a":1,"b":null}"#), Err(unknown), "there is no value before the first");
    for number in 2..200 {
        judge(number, &format!("{{\"a\":1,\"b\":{}}}", 5 + number % 2)).expect("a whole reading");
    }
    let filled = judge(200, r#"{"a":1,"b":null}"#).expect("filled in").expect("a score");
    let zero = judge(201, r#"{"a":1,"b":0}"#).expect("a whole reading").expect("a score");
    assert!(filled < zero, "{filled} is usual, {zero} is not");
}
