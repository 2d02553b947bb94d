//! Numbers in a byte each: places on a short ruler that is laid anew when one does not fit.

use serde::{Deserialize, Serialize};

/// The finest ruler that is laid, and the finest and the coarsest there can be, as powers of two of a step.
const FINEST: i16 = -4;
const LOG2: std::ops::RangeInclusive<i16> = -60..=100;

/// A new ruler has the numbers in so many of its 256 places, and so many more below them.
const SPAN: f64 = 200.0;
const BELOW: f64 = 16.0;

/// A ruler is laid anew when one so many times as fine, as a power of two, would do.
const COARSE: i16 = 1;

/// No number is farther from 0.
pub(super) const FAR: f64 = (1u64 << 60) as f64;

/// Numbers within plus and minus [`FAR`], each known to a hundredth of what lies between them, or better.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Codes {
    origin: f32,
    /// The unit is 2 to the power of it.
    log2: i16,
    codes: Vec<u8>,
}

impl Codes {
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The ruler: where it begins, and how fine it is.
    pub(super) fn ruler(&self) -> (f32, i16) {
        (self.origin, self.log2)
    }

    /// Their places on the ruler.
    pub(super) fn places(&self) -> &[u8] {
        &self.codes
    }

    pub(super) fn get(&self, i: usize) -> Option<f64> {
        self.codes.get(i).map(|&code| self.number(code))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.codes.iter().map(|&code| self.number(code))
    }

    pub(super) fn push(&mut self, number: f64) {
        let number = number.clamp(-FAR, FAR);
        self.codes.push(0);
        self.set_last(number);
        let (low, high) = self.range(None);
        if log2_for(low, high) + COARSE <= self.log2 {
            self.lay(low, high);
        }
    }

    /// The last one becomes `number` if that is more.
    pub(super) fn raise_last(&mut self, number: f64) {
        let number = number.clamp(-FAR, FAR);
        if self.codes.last().is_some_and(|&last| number > self.number(last)) {
            self.set_last(number);
        }
    }

    pub(super) fn remove_first(&mut self) {
        self.codes.remove(0);
    }

    /// Two become one; a last one without another stays only if `keeps_odd`.
    pub(super) fn merge(&mut self, keeps_odd: bool, merged: impl Fn(u8, u8) -> u8) {
        let two = |two: &[u8]| match *two {
            [one, other] => Some(merged(one, other)),
            [odd] if keeps_odd => Some(odd),
            _ => None,
        };
        self.codes = self.codes.chunks(2).filter_map(two).collect();
    }

    /// All are multiplied by 2 to the power of `log2`.
    pub(super) fn scale_by_power(&mut self, log2: i32) {
        self.origin = (self.origin * 2f32.powi(log2)).clamp(-2.0 * FAR as f32, 2.0 * FAR as f32);
        self.log2 = self.log2.saturating_add(log2 as i16).clamp(*LOG2.start(), *LOG2.end());
    }

    pub(super) fn is_sound(&self, most: usize) -> bool {
        self.codes.len() <= most && f64::from(self.origin.abs()) <= 2.0 * FAR && LOG2.contains(&self.log2)
    }

    fn number(&self, code: u8) -> f64 {
        f64::from(self.origin) + f64::from(code) * self.unit()
    }

    /// How far apart two places are.
    pub(super) fn unit(&self) -> f64 {
        2f64.powi(self.log2.into())
    }

    fn place(&self, number: f64) -> f64 {
        ((number - f64::from(self.origin)) / self.unit()).round()
    }

    fn set_last(&mut self, number: f64) {
        let Some(last) = self.codes.len().checked_sub(1) else { return };
        if last == 0 || !(0.0..=255.0).contains(&self.place(number)) {
            let (low, high) = self.range(Some(number));
            self.lay(low, high);
        }
        self.codes[last] = self.place(number) as u8;
    }

    /// From where to where they lie, if the last one is `last`.
    fn range(&self, last: Option<f64>) -> (f64, f64) {
        let known = self.codes.len() - usize::from(last.is_some());
        let all = self.codes[..known].iter().map(|&code| self.number(code)).chain(last);
        all.fold(None, |range: Option<(f64, f64)>, number| {
            let (low, high) = range.unwrap_or((number, number));
            Some((low.min(number), high.max(number)))
        })
        .unwrap_or_default()
    }

    /// A new ruler, on which all from `low` to `high` have a place.
    fn lay(&mut self, low: f64, high: f64) {
        let numbers: Vec<f64> = self.values().collect();
        self.log2 = log2_for(low, high);
        self.origin = (low - BELOW * self.unit()) as f32;
        self.codes = numbers.iter().map(|&number| self.place(number).clamp(0.0, 255.0) as u8).collect();
    }
}

fn log2_for(low: f64, high: f64) -> i16 {
    let mut log2 = FINEST;
    while high - low > SPAN * 2f64.powi(log2.into()) && log2 < *LOG2.end() {
        log2 += 1;
    }
    log2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back_to_a_hundredth_of_their_range() {
        for (unit, offset) in [(1.0, 0.0), (1e3, 0.0), (7.0, 1e6), (1e9, -3e10)] {
            let mut codes = Codes::default();
            let numbers: Vec<f64> = (0..60_u32).map(|n| offset + unit * f64::from(n * n % 97)).collect();
            numbers.iter().for_each(|&number| codes.push(number));
            for (number, kept) in numbers.iter().zip(codes.values()) {
                assert!((number - kept).abs() <= unit * 0.97 + 0.1, "{number} {kept}");
            }
            assert!(codes.is_sound(60));
        }
    }

    #[test]
    fn a_ruler_gets_finer_again_and_scales_exactly() {
        let mut codes = Codes::default();
        codes.push(1e9);
        for n in 0..30_u32 {
            codes.push(f64::from(n));
        }
        let coarse: Vec<f64> = codes.values().collect();
        assert!(coarse[0] > 9e8);
        codes.remove_first();
        for n in 0..30_u32 {
            codes.push(f64::from(n));
            codes.remove_first();
        }
        let before: Vec<f64> = codes.values().collect();
        assert!(before.iter().zip(0..).all(|(kept, n)| (kept - f64::from(n)).abs() < 1.0), "{before:?}");
        codes.scale_by_power(10);
        assert!(codes.values().zip(before).all(|(after, before)| after == 1024.0 * before));
        codes.raise_last(1e12);
        codes.raise_last(5.0);
        assert!((codes.values().last().unwrap() / 1e12 - 1.0).abs() < 0.01);
        for number in [FAR, -FAR, 0.0, f64::MAX] {
            codes.push(number);
            assert!(codes.values().all(f64::is_finite) && codes.is_sound(99));
        }
    }
}
