//! Our side.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anomaly_core::classify::{Judge, Judgement, Policy, SeriesState};
use anomaly_core::config::Config;
use anomaly_core::reading::Scored;
use anomaly_core::rule::{Basis, Margin};
use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::readings;

const MODEL: &str = "random-cut-forest";

/// How many readings are judged at a time: what a chunk of the queue may well hold.
const CHUNK_READINGS: usize = 500;

/// Judges the readings so many times; and once more for the hashes.
pub(crate) fn measure(readings: &Path, rules: &Path, samples: usize) -> Result<Value> {
    let [text, rules] =
        [readings, rules].map(|file| fs::read_to_string(file).with_context(|| file.display().to_string()));
    let (text, rules) = (text?, serde_json::from_str(&rules?)?);
    let policy = Policy::new(&Config { rules, ..Config::default() }, &["value".to_owned()]);
    let lines: Vec<&str> = text.lines().collect();
    let rate = || {
        let (took, _) = judge_all(&policy, &lines, |_| {})?;
        ensure!(!took.is_zero(), "nothing was judged");
        Ok(lines.len() as f64 / took.as_secs_f64())
    };
    let rates = (0..samples).map(|_| rate()).collect::<Result<Vec<_>>>()?;
    let quickest = rates.into_iter().max_by(f64::total_cmp).context("SAMPLES must be 1 or more")?;
    let Told { findings, transitions, steps } = tell(&policy, &lines)?;
    Ok(json!({"rate": quickest, "findings": hex(findings), "transitions": hex(transitions), "steps": steps}))
}

/// Judges all readings, a chunk at a time as they come from the queue. Gives back the processor time, in which
/// reading them does not count, and the number of steps that alerts took.
fn judge_all(policy: &Policy, lines: &[&str], mut told: impl FnMut(&Judgement)) -> Result<(Duration, usize)> {
    let (mut places, mut states) = (HashMap::new(), Vec::new());
    let (mut took, mut steps) = (Duration::ZERO, 0);
    for chunk in lines.chunks(CHUNK_READINGS) {
        let mut readings = Vec::with_capacity(chunk.len());
        for line in chunk {
            let scored = readings::parse(line)?;
            let place = *places.entry(scored.reading.series.as_str().to_owned()).or_insert(states.len());
            states.resize_with(states.len().max(place + 1), SeriesState::default);
            readings.push((place, scored));
        }
        let before = processor_time()?;
        steps += judge(policy, &mut states, &readings, &mut told);
        took += processor_time()?.saturating_sub(before);
    }
    Ok((took, steps))
}

/// Judges the readings that were not seen, each by the state at its place; says how many steps alerts took.
fn judge(
    policy: &Policy,
    states: &mut [SeriesState],
    readings: &[(usize, Scored)],
    told: &mut impl FnMut(&Judgement),
) -> usize {
    let (judge, mut judgement, mut steps) = (Judge::new(policy, MODEL), Judgement::default(), 0);
    for (place, scored) in readings {
        let state = &mut states[*place];
        if !state.see(&scored.reading.position) {
            continue;
        }
        judge.classify(state, scored, &mut judgement);
        steps += judgement.transitions.len();
        told(black_box(&judgement));
    }
    steps
}

/// Hashes of all that was found, to the bit.
struct Told {
    findings: Sha256,
    transitions: Sha256,
    steps: usize,
}

fn tell(policy: &Policy, lines: &[&str]) -> Result<Told> {
    let (mut findings, mut transitions) = (Sha256::new(), Sha256::new());
    let (_, steps) = judge_all(policy, lines, |judgement| {
        for found in &judgement.findings {
            findings.update(found.finding.as_str());
            found.finding.margin().iter().for_each(|margin| findings.update(packed(margin)));
        }
        for step in &judgement.transitions {
            transitions.update(format!(
                "{} {} {} {} {} {} {} {} {} {} {}\n",
                step.alert,
                step.number,
                step.step.as_str(),
                step.severity,
                step.series,
                step.rule,
                step.at.as_ms(),
                step.since.as_ms(),
                step.peak_at.as_ms(),
                step.anomalous,
                step.features[0].recent.len(),
            ));
            transitions.update(packed(&step.peak));
        }
    })?;
    Ok(Told { findings, transitions, steps })
}

fn packed(margin: &Margin) -> Vec<u8> {
    let mut numbers = vec![margin.judged, margin.threshold, margin.excess];
    if let Basis::Sigma { mean, deviation, k } = margin.basis {
        numbers.extend([mean, deviation, k]);
    }
    numbers.into_iter().flat_map(f64::to_le_bytes).collect()
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of this thread: what others do on the machine does not count.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

#[cfg(test)]
mod tests {
    use anomaly_core::config::Rule;

    #[test]
    fn the_default_rule_is_written_out() {
        let rules: Vec<Rule> = serde_json::from_str(include_str!("../rules/default.json")).expect("rules");
        assert_eq!(rules, [Rule::default()]);
    }
}
