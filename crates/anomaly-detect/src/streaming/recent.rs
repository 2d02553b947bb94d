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

/// The last readings, oldest first, in steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    steps: Vec<f32>,
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
    /// What the readings look like with `value` as the next one.
    pub(super) fn look(&self, value: f64) -> Look {
        let kept = |count: usize| self.steps.len().checked_sub(count).map(|from| &self.steps[from..]);
        let step = |window: usize| {
            let (before, last) = kept(2 * window - 1)?.split_at(window);
            Some((sum(last) + value - sum(before)) / window as f64)
        };
        let last = kept((WINDOW - 1).min(self.steps.len())).unwrap_or_default();
        let mean = (sum(last) + value) / (last.len() + 1) as f64;
        Look {
            value,
            jump: self.steps.last().map(|&last| value - f64::from(last)),
            short_step: step(SHORT),
            long_step: step(LONG),
            spread: (last.len() == WINDOW - 1).then(|| deviation(last, value, mean)),
            mean,
        }
    }

    pub(super) fn learn(&mut self, value: f64) {
        if self.steps.len() == KEPT - 1 {
            self.steps.remove(0);
        }
        self.steps.push(value as f32);
    }

    /// The farthest from the anchor.
    pub(super) fn reach(&self) -> f64 {
        self.steps.iter().map(|steps| f64::from(steps.abs())).fold(0.0, f64::max)
    }

    pub(super) fn scale(&mut self, factor: f32) {
        self.steps.iter_mut().for_each(|steps| *steps *= factor);
    }

    /// The mean of the last short window, 0 without readings.
    pub(super) fn level(&self) -> f64 {
        let last = &self.steps[self.steps.len().saturating_sub(SHORT)..];
        sum(last) / last.len().max(1) as f64
    }

    pub(super) fn is_sound(&self) -> bool {
        self.steps.len() < KEPT && self.steps.iter().all(|steps| f64::from(steps.abs()) <= STEPS_MAX)
    }
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
        let mut recent = Recent::default();
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
    fn too_few_readings_tell_nothing() {
        let look = Recent::default().look(7.0);
        assert_eq!((look.jump, look.short_step, look.long_step, look.spread), (None, None, None, None));
        assert_eq!(look.mean, 7.0);
    }
}
