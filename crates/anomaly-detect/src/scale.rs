//! Where a feature lies and how far it usually strays, so that features of different units can share a forest.
//!
//! A random cut falls on a feature in proportion to the range of its values: bytes beside per cent would take
//! every cut. Each feature is therefore measured in its own spreads before it reaches the trees.

use serde::{Deserialize, Serialize};

/// The farthest a value can lie from the centre, in spreads.
///
/// Far enough that nothing ordinary reaches it, near enough that 32-bit floats still tell a hundredth of a spread
/// apart beside it, and that no sum of ranges can overflow.
pub(crate) const REACH: f32 = 10_000.0;

/// The share of the readings that strayed most and do not count for the spread: what happens now and then must not make
/// everything else look alike. The first is taken that leaves a spread above 0, because a feature may rest for
/// most of the time.
///
/// A hundredth alone was not enough: on a web server's readings a fault of a minute made the usual latencies look
/// alike for the ten minutes it stayed among the recent readings, and the next fault went by unseen.
const TRIMMED: [f64; 4] = [0.25, 0.1, 0.01, 0.0];

/// The spread of a feature that has never moved, as a share of its value: a step of a hundredth is then as large as an
/// ordinary move of another feature, and memory that creeps up by a thousandth is nothing.
const STILL: f64 = 1e-2;

/// The spread of a feature that has always been 0: its first step is strange whatever its unit.
const STILL_AT_ZERO: f64 = 1e-6;

/// No spread is smaller than this share of the centre: beyond it there is only rounding.
const ROUNDING: f64 = 1e-9;

/// The centre and spread of one feature, both finite, in the feature's unit; the spread is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    pub(crate) center: f64,
    pub(crate) spread: f64,
}

impl Scale {
    /// Fits to finite values, in any order: the median, and the root mean square of the distances from it without the
    /// largest of them (see [`TRIMMED`]).
    ///
    /// Not mean and standard deviation, because the readings it is fitted to are not known to be normal ones; not
    /// the median of the distances, because that is 0 for a feature that rests more than half of the time.
    pub(crate) fn fit(values: &mut [f64]) -> Scale {
        values.sort_unstable_by(f64::total_cmp);
        let center = values.get(values.len() / 2).copied().unwrap_or(0.0);
        for value in values.iter_mut() {
            // Two finite values can lie farther apart than the largest finite number.
            *value = (*value - center).abs().min(f64::MAX);
        }
        values.sort_unstable_by(f64::total_cmp);
        let kept = |trimmed: f64| values.len() - (values.len() as f64 * trimmed).ceil() as usize;
        let spread = TRIMMED
            .iter()
            .map(|&trimmed| root_mean_square(&values[..kept(trimmed)]))
            .find(|&spread| spread > 0.0)
            .unwrap_or(0.0);
        let spread = match (spread, center) {
            (0.0, 0.0) => STILL_AT_ZERO,
            (0.0, _) => (center.abs() * STILL).max(f64::MIN_POSITIVE),
            _ => spread.max(center.abs() * ROUNDING).max(f64::MIN_POSITIVE),
        };
        Scale { center, spread }
    }

    /// `value` (finite) in spreads from the centre: finite, within plus and minus [`REACH`].
    pub(crate) fn apply(self, value: f64) -> f32 {
        let spreads = (value - self.center) / self.spread;
        // -0.0 and 0.0 are one place, but not one bit pattern: adding 0.0 makes them one.
        (spreads as f32).clamp(-REACH, REACH) + 0.0
    }

    /// The value that lies so many spreads from the centre; finite.
    pub(crate) fn value(self, spreads: f32) -> f64 {
        (self.center + f64::from(spreads) * self.spread).clamp(f64::MIN, f64::MAX)
    }
}

/// Ascending, non-negative, finite values; dividing by the largest keeps the squares finite.
fn root_mean_square(ascending: &[f64]) -> f64 {
    match ascending.last() {
        None | Some(0.0) => 0.0,
        Some(&largest) => {
            let squares: f64 = ascending.iter().map(|v| (v / largest) * (v / largest)).sum();
            largest * (squares / ascending.len() as f64).sqrt()
        }
    }
}

/// Fits every feature of `rows` (row after row, each of `width` values).
pub(crate) fn fit_all<'a>(rows: impl Iterator<Item = &'a [f64]> + Clone, width: usize) -> Vec<Scale> {
    (0..width)
        .map(|feature_idx| Scale::fit(&mut rows.clone().map(|row| row[feature_idx]).collect::<Vec<_>>()))
        .collect()
}

/// One reading, or several one after the other, each feature in its own spreads.
pub(crate) fn apply_all(scales: &[Scale], features: &[f64]) -> Vec<f32> {
    scales.iter().cycle().zip(features).map(|(scale, &value)| scale.apply(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spread_is_found_beside_a_freak_value() {
        let mut values: Vec<f64> = (0..200).map(|n| f64::from(n % 10)).collect();
        values.push(1e300);
        let scale = Scale::fit(&mut values);
        assert_eq!(scale.center, 5.0);
        assert!((1.0..4.0).contains(&scale.spread), "{scale:?}");
        assert_eq!(scale.apply(1e300), REACH);
        assert_eq!(scale.apply(-1e300), -REACH);
    }

    #[test]
    fn a_feature_that_rests_has_a_spread() {
        assert_eq!(Scale::fit(&mut [0.0; 50]).spread, STILL_AT_ZERO);
        assert_eq!(Scale::fit(&mut [-20.0; 50]).spread, 0.2);
        // Rests nine tenths of the time.
        let mut values: Vec<f64> = (0..100).map(|n| if n % 10 == 0 { 5.0 } else { 0.0 }).collect();
        assert!(Scale::fit(&mut values).spread > 1.0);
        // A fault of a fifth of the time does not count.
        let mut values: Vec<f64> = (0..100).map(|n| if n < 20 { 2000.0 } else { f64::from(n % 5) }).collect();
        assert!(Scale::fit(&mut values).spread < 3.0);
        // Moved once.
        let mut values = [0.0; 100];
        values[30] = 7.0;
        assert!(Scale::fit(&mut values).spread > 0.5);
    }

    #[test]
    fn extremes_stay_finite() {
        for mut values in
            [vec![f64::MAX, f64::MIN], vec![f64::MIN_POSITIVE; 3], vec![1e308, -1e308, 0.0], vec![]]
        {
            let scale = Scale::fit(&mut values);
            assert!(scale.center.is_finite() && scale.spread.is_finite() && scale.spread > 0.0, "{scale:?}");
            for value in [f64::MAX, f64::MIN, 0.0, -0.0, 1e-320] {
                assert!(scale.apply(value).is_finite());
            }
        }
    }
}
