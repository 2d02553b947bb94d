//! The last readings of a feature, and what is looked at in them.

use serde::{Deserialize, Serialize};

use super::grid::STEPS_MAX;

/// Readings kept: two windows of the longest look.
const KEPT: usize = 96;

/// The short and the long window of which a level is compared with the one before, in readings.
const SHORT: usize = 12;
const LONG: usize = 48;

/// The window of the spread, and of what is compared with the season, in readings.
pub(super) const WINDOW: usize = 24;

/// Older readings of one of several features are kept as sums of so many.
const GROUP: usize = 6;

/// Groups kept: two long windows, less the readings that are kept singly.
const GROUPS: usize = (2 * LONG - WINDOW) / GROUP;

/// The last readings, oldest first, in steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Recent {
    /// Of the only feature of a series: all that any look needs.
    Long(Vec<f32>),
    /// Of one of several: the last window singly, with up to a group that is not full, and those before in groups.
    /// A long look is then at 46 to 52 readings.
    Short {
        /// Singly.
        near: Vec<f32>,
        /// Sums of groups.
        far: Vec<f32>,
    },
}

/// What the readings look like with one more; `None` where there are too few.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    /// The reading itself.
    pub(super) value: f64,
    /// From the last reading.
    pub(super) jump: Option<f64>,
    /// From the mean of the 12 before to the mean of the last 12.
    pub(super) short_step: Option<f64>,
    /// The same of 48.
    pub(super) long_step: Option<f64>,
    /// The standard deviation of the last 24.
    pub(super) spread: Option<f64>,
    /// The mean of the last 24, or of as many as there are.
    pub(super) mean: f64,
}

impl Recent {
    pub(super) fn long() -> Recent {
        Recent::Long(Vec::new())
    }

    pub(super) fn short() -> Recent {
        Recent::Short { near: Vec::new(), far: Vec::new() }
    }

    /// What the readings look like with `value` as the next one.
    pub(super) fn look(&self, value: f64) -> Look {
        let near = self.near();
        let last = &near[near.len().saturating_sub(WINDOW - 1)..];
        let mean = (sum(last) + value) / (last.len() + 1) as f64;
        Look {
            value,
            jump: near.last().map(|&last| value - f64::from(last)),
            short_step: step(near, SHORT, value),
            long_step: match self {
                Recent::Long(steps) => step(steps, LONG, value),
                Recent::Short { near, far } => step_by_groups(near, far, value),
            },
            spread: (last.len() == WINDOW - 1).then(|| deviation(last, value, mean)),
            mean,
        }
    }

    pub(super) fn learn(&mut self, value: f64) {
        match self {
            Recent::Long(steps) => {
                if steps.len() == KEPT - 1 {
                    steps.remove(0);
                }
                steps.push(value as f32);
            }
            Recent::Short { near, far } => {
                near.push(value as f32);
                if near.len() == WINDOW - 1 + GROUP {
                    if far.len() == GROUPS {
                        far.remove(0);
                    }
                    far.push(near.drain(..GROUP).sum());
                }
            }
        }
    }

    /// The farthest from the anchor.
    pub(super) fn reach(&self) -> f64 {
        let farthest = |steps: &[f32]| steps.iter().map(|s| f64::from(s.abs())).fold(0.0, f64::max);
        match self {
            Recent::Long(steps) => farthest(steps),
            Recent::Short { near, far } => farthest(near).max(farthest(far) / GROUP as f64),
        }
    }

    pub(super) fn scale(&mut self, factor: f32) {
        let scale = |steps: &mut Vec<f32>| steps.iter_mut().for_each(|steps| *steps *= factor);
        match self {
            Recent::Long(steps) => scale(steps),
            Recent::Short { near, far } => [near, far].into_iter().for_each(scale),
        }
    }

    /// The mean of the last short window, 0 without readings.
    pub(super) fn level(&self) -> f64 {
        let near = self.near();
        let last = &near[near.len().saturating_sub(SHORT)..];
        sum(last) / last.len().max(1) as f64
    }

    pub(super) fn is_sound(&self) -> bool {
        let within = |steps: &[f32], most: f64| steps.iter().all(|steps| f64::from(steps.abs()) <= most);
        match self {
            Recent::Long(steps) => steps.len() < KEPT && within(steps, STEPS_MAX),
            Recent::Short { near, far } => {
                near.len() < WINDOW - 1 + GROUP
                    && (near.len() >= WINDOW - 1 || far.is_empty())
                    && far.len() <= GROUPS
                    && within(near, STEPS_MAX)
                    && within(far, STEPS_MAX * GROUP as f64)
            }
        }
    }

    /// Those that are kept singly.
    fn near(&self) -> &[f32] {
        match self {
            Recent::Long(steps) => steps,
            Recent::Short { near, .. } => near,
        }
    }
}

/// From the mean of `window` readings to that of the `window` that end with `value`.
fn step(steps: &[f32], window: usize, value: f64) -> Option<f64> {
    let kept = &steps[steps.len().checked_sub(2 * window - 1)?..];
    let (before, last) = kept.split_at(window);
    Some((sum(last) + value - sum(before)) / window as f64)
}

/// The same of [`LONG`] readings, as near to it as groups come.
fn step_by_groups(near: &[f32], far: &[f32], value: f64) -> Option<f64> {
    let single = near.len() + 1;
    let groups = (LONG.saturating_sub(single) + GROUP / 2) / GROUP;
    let (before, last) = far.split_at(far.len().checked_sub(groups)?);
    let before = &before[before.len().checked_sub(LONG / GROUP)?..];
    let mean = (sum(near) + value + sum(last)) / (single + groups * GROUP) as f64;
    Some(mean - sum(before) / LONG as f64)
}

fn sum(steps: &[f32]) -> f64 {
    steps.iter().map(|&steps| f64::from(steps)).sum()
}

fn deviation(last: &[f32], value: f64, mean: f64) -> f64 {
    let squares: f64 = last.iter().map(|&steps| (f64::from(steps) - mean).powi(2)).sum();
    ((squares + (value - mean).powi(2)) / (last.len() + 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_knows_level_step_and_spread() {
        let mut recent = Recent::long();
        for n in 0..200 {
            recent.learn(if n < 152 { 10.0 } else { 30.0 });
        }
        let look = recent.look(30.0);
        assert_eq!((look.jump, look.short_step, look.spread), (Some(0.0), Some(0.0), Some(0.0)));
        // 49 readings at the new level: the last 48 against 47 at the old one and 1 at the new.
        assert!((look.long_step.unwrap() - 20.0 * 47.0 / 48.0).abs() < 1e-9, "{look:?}");
        assert_eq!((look.mean, recent.level()), (30.0, 30.0));
        assert_eq!(recent.look(31.0).jump, Some(1.0));
    }

    #[test]
    fn in_groups_a_long_look_is_nearly_the_same() {
        let (mut long, mut short) = (Recent::long(), Recent::short());
        for n in 0..600_u32 {
            let value = f64::from(n / 100 * 50 + n * 37 % 11);
            let (one, other) = (long.look(value), short.look(value));
            assert_eq!(Look { long_step: None, ..one }, Look { long_step: None, ..other });
            if let (Some(one), Some(other)) = (one.long_step, other.long_step) {
                assert!((one - other).abs() <= 50.0 * 6.0 / 48.0 + 3.0, "{n}: {one} {other}");
            }
            assert_eq!(one.long_step.is_none(), n < 95);
            assert!(n < 103 || other.long_step.is_some(), "{n}");
            [&mut long, &mut short].into_iter().for_each(|recent| recent.learn(value));
            assert!(long.is_sound() && short.is_sound());
        }
    }

    #[test]
    fn too_few_readings_tell_nothing() {
        let look = Recent::short().look(7.0);
        assert_eq!((look.jump, look.short_step, look.long_step, look.spread), (None, None, None, None));
        assert_eq!(look.mean, 7.0);
    }
}
