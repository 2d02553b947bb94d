//! Series of several features that go together, with faults made on purpose: what the default detector finds of them.

use anomaly_detect::{Detector, Streaming};
use anyhow::Result;

use crate::dice::Dice;

/// Series of each width, readings of each, and readings in a period of their season.
const SERIES: u64 = 40;
const READINGS: usize = 4_500;
const PERIOD: usize = 288;

/// The faults of a series, in this order: from where on, and for how many readings.
const FAULTS: [(&str, usize, usize); 4] = [
    ("a spike in one", 2_450, 1),
    ("a shift in all", 2_900, 36),
    ("one goes its own way", 3_450, 72),
    ("one stands still", 4_000, 72),
];

/// An alert this much after a fault's last reading is still of it.
const AFTER: usize = 12;
/// From where on alerts count.
const JUDGED_FROM: usize = 750;

/// One line for each of `widths`, as a row of a table: found of each kind, false alerts in 1,000 readings, and bytes.
pub(crate) fn measure(widths: &[usize]) -> Result<String> {
    let mut text =
        format!("| features | {} | false/1000 | state |\n", FAULTS.map(|fault| fault.0).join(" | "));
    text.push_str("|---|---|---|---|---|---|---|\n");
    for &width in widths {
        let (mut found, mut wrong, mut bytes) = ([0; FAULTS.len()], 0, 0);
        for seed in 0..SERIES {
            let mut detector = Streaming::default();
            let mut seen = [false; FAULTS.len()];
            for (n, row) in series(seed, width).iter().enumerate() {
                if detector.onset(row)? >= Some(0.5) && n >= JUDGED_FROM {
                    let of =
                        |&(_, from, length): &(_, usize, usize)| (from..from + length + AFTER).contains(&n);
                    match FAULTS.iter().position(of) {
                        Some(fault) => seen[fault] = true,
                        None => wrong += 1,
                    }
                }
                detector.learn(row)?;
            }
            found.iter_mut().zip(seen).for_each(|(found, seen)| *found += u32::from(seen));
            bytes = bytes.max(detector.save().len());
        }
        let judged = SERIES as usize * (READINGS - JUDGED_FROM);
        let shares =
            found.map(|found| format!("{:.0} %", f64::from(found) / SERIES as f64 * 100.0)).join(" | ");
        let rate = f64::from(wrong) * 1000.0 / judged as f64;
        text.push_str(&format!("| {width} | {shares} | {rate:.2} | {bytes} bytes |\n"));
    }
    Ok(text)
}

/// Features in units of their own that follow one load, a day's wave that wanders, and have noise of their own.
fn series(seed: u64, width: usize) -> Vec<Vec<f64>> {
    let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ width as u64);
    let wave = |n: f64| 4.0 * (n * std::f64::consts::TAU / PERIOD as f64).sin();
    let (mut wander, mut still) = (0.0, 0.0);
    let one = seed as usize % width;
    let mut rows = Vec::with_capacity(READINGS);
    for n in 0..READINGS {
        wander = 0.95 * wander + 0.3 * dice.normal();
        let is_in = |fault: usize| (FAULTS[fault].1..FAULTS[fault].1 + FAULTS[fault].2).contains(&n);
        let row = (0..width).map(|feature| {
            let is_other = feature == one && is_in(2);
            let load = wave(n as f64 + if is_other { PERIOD as f64 / 2.0 } else { 0.0 }) + wander;
            let mut value = load * (1.0 + 0.2 * feature as f64) + dice.normal();
            value += if feature == one && is_in(0) { 9.0 } else { 0.0 };
            value += if is_in(1) { 5.0 } else { 0.0 };
            value = if feature == one && is_in(3) { still } else { value };
            still = if feature == one { value } else { still };
            1000f64.powi(feature as i32 % 4 - 1) * (50.0 + value)
        });
        rows.push(row.collect());
    }
    rows
}
