//! Readings a second of each detector, learned and scored, on one core.

use anomaly_detect::{Detector, Forest, ForestOptions, Streaming, StreamingOptions};
use anyhow::{Context, Result};
use krcf::{RandomCutForest, RandomCutForestOptions};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Each detector is measured so many times, in turn, ahead of whatever else the machine does; the quickest are
/// printed.
const ROUNDS: usize = 3;
/// Features of the series of several.
const SEVERAL: usize = 4;

/// The daily wave with noise that they all get, as often as needed.
fn reading(n: u64) -> f64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let noise = ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
    10.0 + (n as f64 * std::f64::consts::TAU / 288.0).sin() + 0.3 * noise
}

/// The table's figures.
pub(crate) fn measure() -> Result<Value> {
    let (mut streaming_rates, mut forest_rates, mut krcf_rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut several_rates, mut bytes) = (Vec::new(), (0, 0, 0));
    for _ in 0..ROUNDS {
        let mut streaming = Streaming::new(StreamingOptions::default());
        streaming_rates.push(rate(20_000, 200_000, |value| detect(&mut streaming, value))?);
        let mut several = Streaming::default();
        several_rates.push(rate(5_000, 20_000, |value| {
            let row: [f64; SEVERAL] = std::array::from_fn(|feature| value * (feature + 1) as f64);
            let score = several.score(&row)?;
            several.learn(&row)?;
            Ok(score.unwrap_or(0.0))
        })?);
        let mut forest = Forest::new(ForestOptions { shingle: 8, ..ForestOptions::default() })?;
        forest_rates.push(rate(3_000, 10_000, |value| detect(&mut forest, value))?);
        let mut krcf = krcf()?;
        krcf_rates.push(rate(3_000, 10_000, |value| {
            let score = krcf.score(&[value as f32])?;
            krcf.update(&[value as f32])?;
            Ok(score)
        })?);
        bytes = (streaming.save().len(), several.save().len(), forest.save().len());
    }
    Ok(json!({
        "streaming": quickest(streaming_rates)?, "streaming_bytes": bytes.0,
        "four": quickest(several_rates)? * SEVERAL as f64, "four_bytes": bytes.1,
        "forest": quickest(forest_rates)?, "forest_bytes": bytes.2,
        "krcf": quickest(krcf_rates)?,
    }))
}

fn detect(detector: &mut dyn Detector, value: f64) -> Result<f64> {
    let score = detector.score(&[value])?;
    detector.learn(&[value])?;
    Ok(score.unwrap_or(0.0))
}

/// At its own defaults but for the shingle: 50 trees of 256.
fn krcf() -> Result<RandomCutForest> {
    let options = RandomCutForestOptions {
        dimensions: 1,
        shingle_size: 8,
        random_seed: Some(1),
        ..RandomCutForestOptions::default()
    };
    Ok(RandomCutForest::new(options)?)
}

/// Readings a second of processor time, after `before` that are not counted.
fn rate(before: u64, counted: u64, mut detect: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let mut scores = 0.0;
    for n in 0..before {
        scores += detect(reading(n))?;
    }
    let begun = processor_seconds();
    for n in before..before + counted {
        scores += detect(reading(n))?;
    }
    let seconds = processor_seconds() - begun;
    std::hint::black_box(scores);
    Ok(counted as f64 / seconds)
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn quickest(rates: Vec<f64>) -> Result<f64> {
    rates.into_iter().max_by(f64::total_cmp).context("nothing was measured")
}
