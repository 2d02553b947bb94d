//! Series in which nothing happens, or the same again and again: how often the default detector raises an alarm.

use std::f64::consts::TAU;

use anomaly_detect::{Detector, Streaming};
use anyhow::Result;

use crate::dice::Dice;

/// Series of each kind, and readings of each.
const SERIES: u64 = 10;
const READINGS: usize = 40_000;

/// Readings in a day, at one a minute.
const DAY: usize = 1_440;

/// What a series is made of.
#[derive(Clone, Copy)]
enum Kind {
    Normal,
    Even,
    Exponential,
    Autoregressive,
    Walk,
    Wave,
    Counts(f64),
    Lognormal,
    Student,
    Cauchy,
    Nightly,
    Spikes,
    Bursts,
    Moves,
}

/// The kinds, each with its name.
const KINDS: [(&str, Kind); 15] = [
    ("normal", Kind::Normal),
    ("even", Kind::Even),
    ("exponential", Kind::Exponential),
    ("autoregressive, 0.9", Kind::Autoregressive),
    ("random walk", Kind::Walk),
    ("a day's wave and noise", Kind::Wave),
    ("counts, 2 a reading", Kind::Counts(2.0)),
    ("lognormal", Kind::Lognormal),
    ("Student's t, 3", Kind::Student),
    ("Cauchy", Kind::Cauchy),
    ("counts, 1 in 100 readings", Kind::Counts(0.01)),
    ("noise, and five minutes of a job within an hour every night", Kind::Nightly),
    ("noise, and a spike in one of 2,000 readings", Kind::Spikes),
    ("noise, and 20 readings of load from one of 2,000 on", Kind::Bursts),
    ("noise, and another level from one of 3,000 readings on", Kind::Moves),
];

/// A row for each kind: alarms in 1,000 readings, of all and of the second half.
pub(crate) fn measure() -> Result<String> {
    let mut text = "| readings | alarms/1000 | in the second half |\n|---|---|---|\n".to_owned();
    for (name, kind) in KINDS {
        let (mut all, mut late) = (0_u32, 0_u32);
        for seed in 0..SERIES {
            let mut detector = Streaming::default();
            let mut was_alarm = false;
            for (n, value) in series(kind, seed).into_iter().enumerate() {
                let is_alarm = detector.onset(&[value])? >= Some(0.5);
                let begins = u32::from(is_alarm && !was_alarm);
                all += begins;
                late += if n >= READINGS / 2 { begins } else { 0 };
                was_alarm = is_alarm;
                detector.learn(&[value])?;
            }
        }
        let thousands = SERIES as f64 * READINGS as f64 / 1000.0;
        let (all, late) = (f64::from(all) / thousands, 2.0 * f64::from(late) / thousands);
        text.push_str(&format!("| {name} | {all:.2} | {late:.2} |\n"));
    }
    Ok(text)
}

fn series(kind: Kind, seed: u64) -> Vec<f64> {
    // Far apart: SplitMix64 adds a constant to its seed, and multiples of that would be one series, moved.
    let mut dice = Dice::new(seed << 40);
    // What goes on from one reading to the next: a level, or until when a job or a load lasts.
    let (mut level, mut until) = (0.0, 0);
    (0..READINGS)
        .map(|n| match kind {
            Kind::Normal => dice.normal(),
            Kind::Even => dice.even(),
            Kind::Exponential => -dice.even().ln(),
            Kind::Autoregressive => {
                level = 0.9 * level + dice.normal();
                level
            }
            Kind::Walk => {
                level += dice.normal();
                level
            }
            Kind::Wave => 10.0 * (n as f64 * TAU / DAY as f64).sin() + dice.normal(),
            Kind::Counts(mean) => count(&mut dice, mean),
            Kind::Lognormal => dice.normal().exp(),
            Kind::Student => {
                dice.normal() / ((0..3).map(|_| dice.normal().powi(2)).sum::<f64>() / 3.0).sqrt()
            }
            Kind::Cauchy => dice.normal() / dice.normal(),
            Kind::Nightly => {
                if n % DAY == 0 {
                    until = n + 5 + (60.0 * dice.even()) as usize;
                }
                let is_at_work = n < until && n + 5 >= until;
                dice.normal() + if is_at_work { 20.0 + 3.0 * dice.normal() } else { 0.0 }
            }
            Kind::Spikes => {
                dice.normal() + if dice.even() < 1.0 / 2_000.0 { 20.0 + 5.0 * dice.normal() } else { 0.0 }
            }
            Kind::Bursts => {
                if n >= until && dice.even() < 1.0 / 2_000.0 {
                    until = n + 20;
                }
                dice.normal() + if n < until { 15.0 } else { 0.0 }
            }
            Kind::Moves => {
                if dice.even() < 1.0 / 3_000.0 {
                    level = 20.0 * dice.normal();
                }
                level + dice.normal()
            }
        })
        .collect()
}

/// How many events come in a reading, `mean` on average: by Knuth (1969), "The Art of Computer Programming", volume 2.
fn count(dice: &mut Dice, mean: f64) -> f64 {
    let (mut events, mut chance) = (0.0, dice.even());
    while chance > (-mean).exp() {
        chance *= dice.even();
        events += 1.0;
    }
    events
}
