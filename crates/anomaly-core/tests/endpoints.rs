//! The examples of `docs/endpoints.md`, asked and answered as it says.

use anomaly_core::config::Config;
use anomaly_core::exchange::{Encoder, Reader, recordio};

const GUIDE: &str = include_str!("../../../docs/endpoints.md");

/// The body of a request for `rows`, and the scores of the `answer` to it.
fn exchange(example: &str, rows: &[&[f64]], answer: &[u8]) -> (Vec<u8>, Vec<f64>) {
    let config = Config::from_toml(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    let encoder = Encoder::new(&config.model, &["cpu".to_owned(), "memory".to_owned()]).expect("checked");
    let reader = Reader::new(&config.model).expect("checked");
    let body = encoder.encode(rows).expect("finite rows");
    (body, reader.read(None, answer, rows.len()).expect("scores"))
}

#[test]
fn the_guides_examples_hold() {
    let examples: Vec<&str> =
        GUIDE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [calibration, fallback, isolation_forest, tensorflow, random_cut_forest, one_by_one] = examples[..]
    else {
        panic!("{} examples", examples.len())
    };
    let config = Config::from_toml(calibration).expect("valid");
    let calibration = config.model.calibration.expect("it gives one");
    assert!(calibration.is_of("my-endpoint/AllTraffic@1f0c6e2b7a94") && !calibration.is_of("my-endpoint"));

    let config = Config::from_toml(fallback).expect("valid");
    assert!(config.model.is_streaming());
    let mistaken = fallback.replace("\"endpoint\"", "\"none\"").replace("endpoint = \"my-endpoint\"\n", "");
    let error = Config::from_toml(&mistaken).expect_err("nothing to fall back from").to_string();
    assert!(error.contains("model.fallback"), "{error}");

    let two: [&[f64]; 2] = [&[1.5, 16.0], &[-2.0, 9.2]];

    let (body, scores) = exchange(isolation_forest, &two, b"[0.12, -0.03]");
    assert_eq!(body, br#"{"inputs": [[1.5,16.0],[-2.0,9.2]]}"#);
    assert_eq!(scores, [-0.12, 0.03]);

    let (body, scores) = exchange(tensorflow, &two, br#"{"predictions": [[0.75], [0.25]]}"#);
    let expected = r#"{"signature_name": "serving_default", "instances": [{"cpu": 1.5, "memory": 16.0},{"cpu": -2.0, "memory": 9.2}]}"#;
    assert_eq!(String::from_utf8_lossy(&body), expected);
    assert_eq!(scores, [0.25, 0.75]);

    let mut answer = Vec::new();
    [0.5, 0.25].iter().for_each(|score| recordio::write_score(*score, &mut answer));
    let (body, scores) = exchange(random_cut_forest, &two, &answer);
    assert_eq!(recordio::rows(&body), Ok(two.map(<[f64]>::to_vec).to_vec()));
    assert_eq!(scores, [0.5, 0.25]);

    let (body, scores) = exchange(one_by_one, &two[..1], b"0.5\n");
    assert_eq!(body, br#"{"cpu": 1.5, "memory": 16.0}"#);
    assert_eq!(scores, [0.5]);
}
