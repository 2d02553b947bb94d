//! What every detector that learns as it goes has to hold, whatever is inside; a new one is added to `detectors`.
//!
//! Alerts are those of the product: each kind's scores judged by the rule that holds for them where none is written.

use std::error::Error;

use anomaly_core::classify::{Policy, SeriesState, classify};
use anomaly_core::config::Config;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::{Reading, Scored, SeriesId};
use anomaly_core::time::Timestamp;
use anomaly_detect::{
    Boxes, Detector, Forest, ForestOptions, InputError, Period, StateError, Streaming, StreamingOptions,
};
use proptest::prelude::*;

type Outcome = Result<(), Box<dyn Error>>;

type Loaded = Result<Box<dyn Detector>, StateError>;

/// A detector of any kind, and how one of its kind is loaded.
struct Subject {
    name: &'static str,
    detector: Box<dyn Detector>,
    load: fn(&[u8]) -> Loaded,
    /// Its `[model]`.
    kind: &'static str,
    /// How many alerts it may make in 1,000 readings of white noise.
    false_per_1000: f64,
    /// By how much the shares of a spike may differ when features come in another order: cuts are dice.
    permuted: f64,
    /// Whether a single reading can be told: not by a tree of two readings, nor where it is one of 24 in a shingle.
    sighted: bool,
}

impl Subject {
    /// The same with nothing learned.
    fn twin(&self) -> Box<dyn Detector> {
        (self.load)(&self.detector.save()).expect("its own state")
    }
}

/// What every test runs over. The forests are small, so as to be quick, and to meet the end of their sample and of
/// their window early; the one at its defaults is for what depends on its size.
fn detectors() -> Result<Vec<Subject>, Box<dyn Error>> {
    let small = ForestOptions { trees: 10, sample_size: 32, warmup: 20, seed: 5, ..ForestOptions::default() };
    let forest = |name, options| -> Result<Subject, Box<dyn Error>> {
        let load = |bytes: &[u8]| -> Loaded { Ok(Box::new(Forest::load(bytes)?)) };
        let sighted = !["least", "long shingle"].contains(&name);
        let detector = Box::new(Forest::new(options)?);
        Ok(Subject { name, detector, load, kind: "forest", false_per_1000: 1.0, permuted: 0.05, sighted })
    };
    let streaming = |name, period| -> Subject {
        let load = |bytes: &[u8]| -> Loaded { Ok(Box::new(Streaming::load(bytes)?)) };
        let detector = Box::new(Streaming::new(StreamingOptions { period }));
        Subject {
            name,
            detector,
            load,
            kind: "embedded",
            false_per_1000: 0.2,
            permuted: 1e-12,
            sighted: true,
        }
    };
    Ok(vec![
        forest("small", small)?,
        forest("without boxes", ForestOptions { boxes: Boxes::Recomputed, ..small })?,
        forest("no shingle", ForestOptions { shingle: 1, ..small })?,
        forest("long shingle", ForestOptions { shingle: 24, ..small })?,
        forest("least", ForestOptions { trees: 1, sample_size: 2, shingle: 1, warmup: 0, ..small })?,
        streaming("streaming", None),
        streaming("streaming, a period given", Some(Period::readings(50)?)),
        streaming(
            "streaming, a period of time given",
            Some(Period::time(std::time::Duration::from_secs(3000))?),
        ),
    ])
}

/// A reading a minute.
fn minute(n: u64) -> Timestamp {
    Timestamp::from_ms(1_400_000_000_000 + n as i64 * 60_000).expect("in range")
}

/// The rows at which an alert fires, by the rule that holds for its scores where there is none.
fn alerts(
    subject: &mut Subject,
    rows: impl IntoIterator<Item = Vec<f64>>,
) -> Result<Vec<u64>, Box<dyn Error>> {
    let config =
        Config::from_toml(&format!("[model]\nkind = '{}'", subject.kind)).map_err(|e| e.to_string())?;
    let policy = Policy::new(&config, &["value".to_owned()]);
    let (mut state, mut fired) = (SeriesState::default(), Vec::new());
    let series = SeriesId::new("series").map_err(|reject| reject.to_string())?;
    for (n, features) in (0..).zip(rows) {
        subject.detector.pass(minute(n));
        let score = subject.detector.score(&features)?;
        subject.detector.learn(&features)?;
        let (at, sequence) = (minute(n), Sequence::from(n));
        let position = Position { partition: "p".into(), sequence, sub: 0, arrived: at };
        let reading = Reading { series: series.clone(), at, features, filled: Vec::new(), position };
        let judgement = classify(&policy, &mut state, &Scored { reading, score }, subject.kind);
        fired.extend(judgement.transitions.iter().filter(|step| step.number == 1).map(|_| n));
    }
    Ok(fired)
}

/// A normal deviate, by Box and Muller (1958).
fn normal(n: u64) -> f64 {
    (-2.0 * (1.0 - noise(2 * n)).ln()).sqrt() * (std::f64::consts::TAU * noise(2 * n + 1)).cos()
}

/// A number that looks random, the same for the same `n`: 0 (inclusive) to 1.
fn noise(n: u64) -> f64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A daily wave with noise, in `width` features of very different units.
fn reading(n: u64, width: usize) -> Vec<f64> {
    (0..width)
        .map(|feature| {
            let unit = 1000f64.powi(feature as i32);
            unit * (10.0 + (n as f64 / 8.0).sin() + 0.3 * noise(n * 31 + feature as u64))
        })
        .collect()
}

fn bits(score: Option<f64>) -> Option<u64> {
    score.map(f64::to_bits)
}

#[test]
fn scoring_does_not_learn() -> Outcome {
    for Subject { name, mut detector, .. } in detectors()? {
        for n in 0..150 {
            detector.learn(&reading(n, 2))?;
            let before = detector.save();
            let first = detector.score(&[1e9, -3.0])?;
            assert_eq!(bits(detector.score(&[1e9, -3.0])?), bits(first), "{name}");
            assert!(detector.save() == before, "{name} changed by scoring after {n}");
        }
    }
    Ok(())
}

#[test]
fn saved_and_resumed_at_any_reading_goes_on_the_same() -> Outcome {
    for Subject { name, detector: mut kept, load, .. } in detectors()? {
        let mut resumed = load(&kept.save())?;
        // Whole numbers, so that equal points and the maps that count them are in the state.
        let rows = (0..200).map(|n| [reading(n, 1)[0].round(), (n % 3) as f64]);
        for (n, row) in rows.enumerate() {
            // Now and then some never come.
            let at = minute(n as u64 + n as u64 / 60 * 7);
            [&mut kept, &mut resumed].into_iter().for_each(|detector| detector.pass(at));
            assert_eq!(bits(resumed.score(&row)?), bits(kept.score(&row)?), "{name}, reading {n}");
            kept.learn(&row)?;
            resumed.learn(&row)?;
            assert!(resumed.save() == kept.save(), "{name}, reading {n}");
            resumed = load(&resumed.save())?;
        }
    }
    Ok(())
}

#[test]
fn the_first_scores_come_after_the_warm_up() -> Outcome {
    let mut forest = Forest::new(ForestOptions { warmup: 40, shingle: 8, ..ForestOptions::default() })?;
    for n in 0..60 {
        assert_eq!(forest.score(&reading(n, 1))?.is_some(), n >= 40, "reading {n}");
        forest.learn(&reading(n, 1))?;
    }
    assert_eq!(forest.readings_learned(), 60);
    Ok(())
}

#[test]
fn a_refused_reading_changes_nothing() -> Outcome {
    for Subject { name, mut detector, .. } in detectors()? {
        assert_eq!(detector.learn(&[]), Err(InputError::Empty), "{name}");
        assert!(matches!(detector.learn(&vec![1.0; 10_001]), Err(InputError::TooWide { .. })), "{name}");
        for n in 0..100 {
            detector.learn(&reading(n, 2))?;
        }
        let before = detector.save();
        for bad in [&[1.0][..], &[1.0, 2.0, 3.0], &[], &[f64::NAN, 1.0], &[1.0, f64::INFINITY]] {
            assert!(detector.learn(bad).is_err() && detector.score(bad).is_err(), "{name}: {bad:?}");
        }
        assert_eq!(detector.score(&[1.0]), Err(InputError::Width { expected: 2, found: 1 }), "{name}");
        let infinite = InputError::NotFinite { feature_idx: 1, value: f64::NEG_INFINITY };
        assert_eq!(detector.score(&[1.0, f64::NEG_INFINITY]), Err(infinite), "{name}");
        assert!(detector.save() == before, "{name}");
    }
    Ok(())
}

#[test]
fn what_is_said_of_a_reading_is_finite_and_adds_up() -> Outcome {
    for Subject { name, mut detector, .. } in detectors()? {
        for n in 0..200 {
            let row = reading(n, 3);
            let attribution = detector.attribution(&row)?;
            assert!(attribution.is_none() || detector.score(&row)?.is_some(), "{name}");
            if let Some(shares) = attribution {
                assert!(
                    shares.len() == 3 && shares.iter().all(|s| (0.0..=1.0).contains(s)),
                    "{name}: {shares:?}"
                );
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{name}: {shares:?}");
            }
            if let Some(expected) = detector.expected() {
                assert!(
                    expected.len() == 3 && expected.iter().all(|v| v.is_finite()),
                    "{name}: {expected:?}"
                );
            }
            detector.learn(&row)?;
        }
    }
    Ok(())
}

/// A spike's score comes from the feature it is in, and what was expected is what it has always been like.
#[test]
fn a_spike_is_its_features_fault() -> Outcome {
    for feature in 0..3 {
        for Subject { name, mut detector, .. } in detectors()?.into_iter().filter(|subject| subject.sighted) {
            for n in 0..400 {
                detector.learn(&reading(n, 3))?;
            }
            let unit = 1000f64.powi(feature as i32);
            let mut spike = reading(400, 3);
            spike[feature] += 30.0 * unit;
            let why = detector.why(&spike);
            assert!(why.shares[feature] > 0.5, "{name}, feature {feature}: {:?}", why.shares);
            if let Some(expected) = why.expected.get(feature) {
                assert!((expected / unit - 10.0).abs() < 2.0, "{name}, feature {feature}: {expected}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_same_readings_make_the_same_scores() -> Outcome {
    for (one, other) in detectors()?.into_iter().zip(detectors()?) {
        let (mut one, mut other, name) = (one.detector, other.detector, one.name);
        for n in 0..300 {
            let row = reading(n, 2);
            assert_eq!(bits(one.score(&row)?), bits(other.score(&row)?), "{name}, reading {n}");
            one.learn(&row)?;
            other.learn(&row)?;
        }
        assert!(one.save() == other.save(), "{name}");
    }
    Ok(())
}

#[test]
fn what_never_moves_never_alerts() -> Outcome {
    for value in [0.0, 17.0, -1e300, 1e-300] {
        for mut subject in detectors()? {
            let fired = alerts(&mut subject, (0..1500).map(|_| vec![value]))?;
            assert_eq!(fired, [0; 0], "{}: {value}", subject.name);
        }
    }
    Ok(())
}

#[test]
fn white_noise_makes_no_more_alerts_than_are_stated() -> Outcome {
    for mut subject in detectors()? {
        // A forest takes its time.
        let readings = if subject.kind == "embedded" { 100_000 } else { 5_000 };
        let fired = alerts(&mut subject, (0..readings).map(|n| vec![normal(n)]))?;
        let per_1000 = fired.len() as f64 * 1000.0 / readings as f64;
        assert!(per_1000 <= subject.false_per_1000, "{}: {per_1000} in 1,000", subject.name);
    }
    Ok(())
}

#[test]
fn a_spike_of_ten_deviations_outranks_all_noise_at_any_scale() -> Outcome {
    for scale in [1.0, 1e-300, 1e300] {
        for Subject { name, mut detector, .. } in detectors()?.into_iter().filter(|subject| subject.sighted) {
            let mut largest = 0.0_f64;
            for n in 0..1200 {
                let score = detector.score(&[scale * normal(n)])?;
                assert!(score.is_none_or(f64::is_finite), "{name}, {scale}: {score:?}");
                largest = largest.max(score.filter(|_| n >= 300).unwrap_or(0.0));
                detector.learn(&[scale * normal(n)])?;
            }
            let spike = detector.score(&[10.0 * scale])?.ok_or("warm")?;
            assert!(spike > largest, "{name}, {scale}: {spike} and {largest}");
        }
    }
    Ok(())
}

#[test]
fn features_in_another_order_have_their_shares_in_that_order() -> Outcome {
    let permuted = |row: &[f64]| vec![row[2], row[0], row[1]];
    for subject in detectors()?.into_iter().filter(|subject| subject.sighted) {
        let (mut twin, name) = (subject.twin(), subject.name);
        let mut detector = subject.detector;
        for n in 0..400 {
            detector.learn(&reading(n, 3))?;
            twin.learn(&permuted(&reading(n, 3)))?;
        }
        for feature in 0..3 {
            let mut spike = reading(400, 3);
            spike[feature] += 30.0 * 1000f64.powi(feature as i32);
            let shares = permuted(&detector.attribution(&spike)?.ok_or("warm")?);
            let others = twin.attribution(&permuted(&spike))?.ok_or("warm")?;
            let apart = shares.iter().zip(&others).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart <= subject.permuted, "{name}, feature {feature}: {shares:?} {others:?}");
        }
    }
    Ok(())
}

/// Who is told the time of readings that come regularly says what he would say without it, and gaps, jumps back and the
/// same time again do no harm.
#[test]
fn missing_readings_are_missed_and_nothing_else() -> Outcome {
    for subject in detectors()?.into_iter().filter(|subject| !subject.name.contains("of time")) {
        let (mut told, name) = (subject.twin(), subject.name);
        let (mut untold, mut gaps) = (subject.twin(), subject.detector);
        for n in 0..400 {
            let row = reading(n, 2);
            told.pass(minute(n));
            gaps.pass(minute(match n {
                0..150 => n,
                150..250 => n + 1_000,
                250 => 3,
                251 => 1_000_000_000,
                _ => n + n / 10 * 10,
            }));
            assert_eq!(bits(told.score(&row)?), bits(untold.score(&row)?), "{name}, reading {n}");
            assert!(gaps.score(&row)?.is_none_or(f64::is_finite), "{name}, reading {n}");
            assert!(gaps.expected().is_none_or(|expected| expected.iter().all(|v| v.is_finite())), "{name}");
            [&mut told, &mut untold, &mut gaps].into_iter().try_for_each(|detector| detector.learn(&row))?;
        }
    }
    Ok(())
}

#[test]
fn what_is_kept_does_not_grow_for_ever() -> Outcome {
    // Ten million readings of the streaming detector have a test of their own.
    for Subject { name, mut detector, .. } in detectors()? {
        let mut most = [0, 0];
        for n in 0..16_000 {
            detector.learn(&[noise(n) + (n as f64 / 50.0).sin()])?;
            if n % 500 == 0 {
                let half = usize::from(n >= 12_000);
                most[half] = most[half].max(detector.save().len());
            }
        }
        assert!(most[1] as f64 <= 1.02 * most[0] as f64, "{name}: {most:?} bytes");
    }
    Ok(())
}

#[test]
fn the_seed_decides() -> Outcome {
    let scores = |seed| -> Result<Vec<Option<u64>>, Box<dyn Error>> {
        let mut forest =
            Forest::new(ForestOptions { trees: 5, sample_size: 32, seed, ..ForestOptions::default() })?;
        (0..200)
            .map(|n| {
                let score = forest.score(&reading(n, 2))?;
                forest.learn(&reading(n, 2))?;
                Ok(bits(score))
            })
            .collect()
    };
    assert_eq!(scores(1)?, scores(1)?);
    assert_ne!(scores(1)?, scores(2)?);
    Ok(())
}

#[test]
fn what_never_moves_is_harmless_and_its_first_move_is_strange() -> Outcome {
    for value in [0.0, 17.0, -1e300] {
        let mut forest = Forest::new(ForestOptions::default())?;
        for _ in 0..600 {
            forest.learn(&[value])?;
            assert!(forest.score(&[value])?.is_none_or(f64::is_finite));
        }
        let (same, moved) = (forest.score(&[value])?, forest.score(&[value + value.abs().max(1.0)])?);
        assert!(moved > same, "{value}: {same:?}, {moved:?}");
    }
    Ok(())
}

#[test]
fn a_spike_outranks_the_noise_in_every_feature_whatever_its_unit() -> Outcome {
    let width = 4;
    for feature in 0..width {
        let mut forest = Forest::new(ForestOptions { seed: 9, ..ForestOptions::default() })?;
        let mut usual = Vec::new();
        for n in 0..1500 {
            let row = reading(n, width);
            if n > 500 {
                usual.extend(forest.score(&row)?);
            }
            forest.learn(&row)?;
        }
        let mut spike = reading(1500, width);
        spike[feature] *= 1.6;
        let spike = forest.score(&spike)?.ok_or("warm")?;
        usual.sort_by(f64::total_cmp);
        let rank = usual.partition_point(|&score| score < spike);
        assert!(rank >= usual.len() - 1, "feature {feature}: {spike} has rank {rank} of {}", usual.len());
    }
    Ok(())
}

#[test]
fn a_change_of_scale_is_followed() -> Outcome {
    // Feature 0 starts to vary a thousandfold; spikes in feature 1 must become visible again.
    let mut forest = Forest::new(ForestOptions::default())?;
    let row = |n: u64| match n {
        0..2000 => vec![noise(n), noise(n + 7)],
        _ => vec![1000.0 * noise(n), noise(n + 7)],
    };
    let mut usual = Vec::new();
    for n in 0..4000 {
        if n > 3500 {
            usual.extend(forest.score(&row(n))?);
        }
        forest.learn(&row(n))?;
    }
    let largest = usual.iter().copied().fold(0.0, f64::max);
    assert!(forest.score(&[500.0, 6.0])?.ok_or("warm")? > largest);
    Ok(())
}

#[test]
fn a_steep_ramp_never_leaves_the_forest_blind() -> Outcome {
    let mut forest = Forest::new(ForestOptions { shingle: 1, ..ForestOptions::default() })?;
    for n in 0..3000u32 {
        let value = if n < 500 { noise(u64::from(n)) } else { f64::from(n - 500) * 1000.0 };
        forest.learn(&[value])?;
    }
    let (inside, above) = (forest.score(&[2.4e6])?, forest.score(&[9e6])?);
    assert!(above > inside, "{inside:?} {above:?}");
    Ok(())
}

#[test]
fn options_are_checked_all_at_once() {
    let options = ForestOptions { trees: 0, sample_size: 1, shingle: 1000, ..ForestOptions::default() };
    let problems = Forest::new(options).err().map(|e| e.problems().len());
    assert_eq!(problems, Some(3));
}

#[test]
fn damaged_state_is_an_error() -> Outcome {
    let mut forest =
        Forest::new(ForestOptions { trees: 3, sample_size: 8, warmup: 8, ..ForestOptions::default() })?;
    for n in 0..40 {
        forest.learn(&reading(n, 1))?;
    }
    let good = forest.save();
    assert_eq!(Forest::load(&[]).err(), Some(StateError::Empty));
    let newer = [&[2], &good[1..]].concat();
    assert_eq!(Forest::load(&newer).err(), Some(StateError::Newer { found: 2, known: 1 }));
    for cut in 1..good.len() {
        assert!(matches!(Forest::load(&good[..cut]), Err(StateError::Damaged { .. })), "cut at {cut}");
    }
    for at in 1..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1 << (at % 8);
        assert!(matches!(Forest::load(&altered), Err(StateError::Damaged { .. })), "altered at {at}");
    }
    assert!(Forest::load(&[&good[..], &[0]].concat()).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_finite_values_make_finite_scores(
        rows in prop::collection::vec(prop::array::uniform2(prop_oneof![
            any::<f64>().prop_filter("finite", |v| v.is_finite()),
            Just(1e300), Just(-1e300), Just(f64::MAX), Just(f64::MIN), Just(0.0), Just(5e-324), -1.0..1.0,
        ]), 1..200),
    ) {
        let fail = |e: &dyn std::fmt::Display| TestCaseError::fail(e.to_string());
        for Subject { name, mut detector, .. } in detectors().map_err(|e| fail(&e))? {
            for row in &rows {
                let score = detector.score(row).map_err(|e| fail(&e))?;
                prop_assert!(score.is_none_or(|s| s.is_finite() && s >= 0.0), "{}: {:?}", name, score);
                detector.learn(row).map_err(|e| fail(&e))?;
            }
        }
    }

    #[test]
    fn any_bytes_are_loaded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Forest::load(&bytes).is_err());
    }
}
