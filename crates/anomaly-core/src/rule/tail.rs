//! What a stream passes once in many numbers, from the peaks it has had: SPOT.
//!
//! Source: Siffer, Fouque, Termier, Largouët, "Anomaly detection in streams with extreme value theory", KDD 2017:
//! the distribution of what passes a high threshold is a generalized Pareto one (§3.1), fitted by likelihood with
//! Grimshaw's trick (§3.2), from which follows the number that is passed with a given probability (equation 1).
//!
//! In two ways this is not algorithm 2. Only the last peaks are kept, so that a state stays small. And a peak that is
//! an anomaly is learned too, as one half as far again as the limit: the paper leaves it out, which cuts the tail
//! off where the limit is, which lowers the limit, and so on. On 200,000 exponential numbers with a risk of 0.001
//! that called 2,951 anomalous where 199 were to be expected, and this 248; and a lasting change is still
//! accepted in the end.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Below so many peaks there is no fit worth the name, and what is beyond is learned too: a series that never moved
/// before finds out how it moves.
const PEAKS_MIN: usize = 8;

/// The upper tail of the numbers so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// How many numbers there were.
    count: u32,
    /// How many passed `from`.
    passed: u32,
    /// From where on a number is a peak.
    from: f64,
    /// By how much the last peaks passed it, oldest first; while warming up the highest numbers.
    peaks: VecDeque<f32>,
    /// What is passed with the probability asked for.
    limit: f64,
}

/// How a tail is learned.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The probability of passing the limit.
    pub risk: f64,
    /// The share of numbers below the tail.
    pub level: f64,
    /// How many numbers to learn from before the first verdict.
    pub warmup: u32,
    /// How many peaks are kept.
    pub peaks: u32,
}

impl Tail {
    /// How many numbers there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Where the tail begins, and what is passed with the probability asked for; `None` while warming up.
    pub fn limits(&self, settings: &Settings) -> Option<(f64, f64)> {
        (self.count >= settings.warmup).then_some((self.from, self.limit))
    }

    /// Takes in `number`; one that passes the limit counts as one just beyond it.
    pub fn learn(&mut self, number: f64, settings: &Settings) {
        if self.count < settings.warmup {
            self.warm_up(number, settings);
            return;
        }
        let number = if self.peaks.len() < PEAKS_MIN { number } else { number.min(self.cut()) };
        self.count = self.count.saturating_add(1);
        if number > self.from {
            self.passed = self.passed.saturating_add(1);
            if self.peaks.len() >= settings.peaks as usize {
                self.peaks.pop_front();
            }
            self.peaks.push_back(single(number - self.from));
            self.limit = self.passed_with(settings.risk);
        }
    }

    /// As far as a number is learned: half as far again from the tail's beginning as the limit is.
    fn cut(&self) -> f64 {
        self.limit + (self.limit - self.from) / 2.0
    }

    /// Keeps the highest numbers, one more than will be peaks: it is where the tail begins.
    fn warm_up(&mut self, number: f64, settings: &Settings) {
        self.count += 1;
        let kept = ((1.0 - settings.level) * f64::from(settings.warmup)).ceil() as usize + 1;
        let number = single(number);
        let place = self.peaks.partition_point(|v| *v > number);
        if place < kept {
            self.peaks.insert(place, number);
            self.peaks.truncate(kept);
        }
        if self.count == settings.warmup {
            let from = self.peaks.back().copied().unwrap_or_default();
            self.from = f64::from(from);
            self.peaks.retain(|v| *v > from);
            self.peaks.iter_mut().for_each(|v| *v = single(f64::from(*v) - f64::from(from)));
            self.passed = u32::try_from(self.peaks.len()).unwrap_or(u32::MAX);
            self.limit = self.passed_with(settings.risk);
        }
    }

    fn passed_with(&self, risk: f64) -> f64 {
        let Some(Pareto { shape, scale }) = Pareto::fit(self.peaks.iter().map(|v| f64::from(*v))) else {
            return self.from;
        };
        let ratio = risk * f64::from(self.count) / f64::from(self.passed);
        let above = match shape.abs() < 1e-9 {
            true => -scale * ratio.ln(),
            false => scale / shape * (ratio.powf(-shape) - 1.0),
        };
        self.from + if above.is_finite() { above.max(0.0) } else { 0.0 }
    }
}

fn single(number: f64) -> f32 {
    (number as f32).clamp(f32::MIN, f32::MAX)
}

/// A generalized Pareto distribution that begins at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pareto {
    /// γ: above 0 the tail is heavy, at 0 exponential, below 0 it ends.
    pub shape: f64,
    /// σ, above 0.
    pub scale: f64,
}

/// Where roots are looked for: so many points on either side of 0.
const POINTS: u32 = 16;
/// Halvings of the interval that a root is in.
const HALVINGS: u32 = 40;

impl Pareto {
    /// The likeliest one for `excesses`, all above 0; `None` for none of them.
    ///
    /// Source: Grimshaw, "Computing maximum likelihood estimates for the generalized Pareto distribution",
    /// Technometrics 35 (2), 1993: with θ = γ/σ there is one equation left, whose roots are the candidates; the
    /// exponential distribution is another.
    pub fn fit(excesses: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let (count, sum) = excesses.clone().fold((0.0, 0.0), |(n, sum), y| (n + 1.0, sum + y));
        let mean: f64 = sum / count;
        if count == 0.0 || !mean.is_normal() {
            return None;
        }
        // In units of the mean, so that the search needs no scale.
        let scaled = excesses.map(|y| y / mean);
        let highest = scaled.clone().fold(0.0, f64::max);
        let candidates = Self::roots(&scaled, count, highest);
        let exponential = (Pareto { shape: 0.0, scale: 1.0 }, -count);
        let best = candidates.fold(exponential, |best, next| if next.1 > best.1 { next } else { best });
        Some(Pareto { scale: best.0.scale * mean, ..best.0 })
    }

    /// The stationary points of the likelihood, with its logarithm there.
    fn roots(
        scaled: &(impl Iterator<Item = f64> + Clone),
        count: f64,
        highest: f64,
    ) -> impl Iterator<Item = (Pareto, f64)> {
        // θ = 0 is always a root, and no candidate; towards −1/highest the likelihood has no bound.
        let fraction = |i: u32| f64::from(i) / f64::from(POINTS);
        let negative = move |i: u32| -1.0 / highest * 10_f64.powf(-6.0 * fraction(i)) * (1.0 - 1e-6);
        let positive = move |i: u32| 1e-6 * 10_f64.powf(9.0 * fraction(i));
        let equation = |theta: f64| {
            let (inverse, log) = means(scaled, count, theta);
            inverse * (1.0 + log) - 1.0
        };
        let search = |point: &dyn Fn(u32) -> f64| {
            let values: Vec<(f64, f64)> = (0..=POINTS).map(|i| (point(i), equation(point(i)))).collect();
            let changes = values.windows(2).filter(|pair| pair[0].1 * pair[1].1 < 0.0);
            changes.map(|pair| bisect(&equation, pair[0].0, pair[1].0)).collect::<Vec<f64>>()
        };
        let thetas: Vec<f64> = search(&negative).into_iter().chain(search(&positive)).collect();
        let candidates: Vec<(Pareto, f64)> = thetas
            .into_iter()
            .map(|theta| {
                let shape = means(scaled, count, theta).1;
                let scale = shape / theta;
                (Pareto { shape, scale }, -count * (scale.ln() + shape + 1.0))
            })
            .filter(|(pareto, log)| pareto.scale > 0.0 && log.is_finite())
            .collect();
        candidates.into_iter()
    }
}

/// The means of 1/(1 + θy) and of ln(1 + θy).
fn means(scaled: &(impl Iterator<Item = f64> + Clone), count: f64, theta: f64) -> (f64, f64) {
    let add = |(inverse, log): (f64, f64), y: f64| {
        let one = 1.0 + theta * y;
        (inverse + 1.0 / one, log + one.ln())
    };
    let (inverse, log) = scaled.clone().fold((0.0, 0.0), add);
    (inverse / count, log / count)
}

fn bisect(equation: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let at_low = equation(low);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if equation(middle) * at_low > 0.0 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between 0 and 1, the same each time.
    fn uniform(mut seed: u64) -> impl FnMut() -> f64 {
        move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn the_parameters_that_numbers_were_made_with_are_found_again() {
        for (shape, scale) in [(0.4, 2.0), (0.15, 1e-6), (0.0, 3.0), (-0.2, 5e8)] {
            let mut next = uniform(7);
            let inverse = |u: f64| match shape == 0.0 {
                true => -scale * u.ln(),
                false => scale / shape * (u.powf(-shape) - 1.0),
            };
            let excesses: Vec<f64> = (0..4_000).map(|_| inverse(next())).collect();
            let fit = Pareto::fit(excesses.iter().copied()).expect("a fit");
            assert!((fit.shape - shape).abs() < 0.05, "{fit:?} of {shape}");
            assert!((fit.scale / scale - 1.0).abs() < 0.08, "{fit:?} of {scale}");
        }
        assert_eq!(Pareto::fit(std::iter::empty()), None);
        assert_eq!(Pareto::fit([0.0, 0.0].into_iter()), None);
        assert!(Pareto::fit(std::iter::repeat_n(2.0, 30)).is_some_and(|fit| fit.scale > 0.0));
    }

    /// The likelihood at the fit is as high as anywhere near.
    #[test]
    fn no_neighbour_is_likelier() {
        let mut next = uniform(3);
        let excesses: Vec<f64> = (0..60).map(|_| 1.5 / 0.3 * (next().powf(-0.3) - 1.0)).collect();
        let log = |Pareto { shape, scale }: Pareto| {
            let sum: f64 = excesses.iter().map(|y| (1.0 + shape / scale * y).ln()).sum();
            -(excesses.len() as f64) * scale.ln() - (1.0 + 1.0 / shape) * sum
        };
        let fit = Pareto::fit(excesses.iter().copied()).expect("a fit");
        for (shape, scale) in [(0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.0, -0.02), (0.01, -0.01)] {
            let near = Pareto { shape: fit.shape + shape, scale: fit.scale * (1.0 + scale) };
            assert!(log(near) <= log(fit), "{near:?} beside {fit:?}");
        }
    }

    #[test]
    fn a_risk_is_kept() {
        let risk = 1e-3;
        let settings = Settings { risk, level: 0.98, warmup: 1_000, peaks: 200 };
        let mut next = uniform(11);
        let (mut tail, mut beyond) = (Tail::default(), 0);
        for _ in 0..80_000 {
            let number = -next().ln();
            beyond += usize::from(tail.limits(&settings).is_some_and(|(_, limit)| number > limit));
            tail.learn(number, &settings);
        }
        let expected = 79_000.0 * risk;
        assert!((0.5..2.0).contains(&(beyond as f64 / expected)), "{beyond} of {expected}");
        let (from, limit) = tail.limits(&settings).expect("warm");
        assert!((from - 3.9).abs() < 0.5 && (limit + risk.ln()).abs() < 1.0, "{from} {limit}");
        assert!(tail.peaks.len() == 200, "as many as are kept");
    }

    #[test]
    fn a_series_that_never_moved_learns_to() {
        let settings = Settings { risk: 1e-4, level: 0.98, warmup: 500, peaks: 50 };
        let mut tail = Tail::default();
        (0..500).for_each(|_| tail.learn(5.0, &settings));
        assert_eq!(tail.limits(&settings), Some((5.0, 5.0)));
        (0..20).for_each(|i| tail.learn(5.0 + f64::from(i % 4), &settings));
        let (_, limit) = tail.limits(&settings).expect("warm");
        assert!(limit > 7.0, "{limit}");
    }
}
