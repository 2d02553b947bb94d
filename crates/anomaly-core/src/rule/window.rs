//! The last numbers of a series, in the order they came and in the order of their size.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// A window of numbers, 4 bytes each: singles are exact enough for what is usual.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// Oldest first.
    values: VecDeque<f32>,
    /// The same by size; made when it is first wanted.
    #[serde(skip)]
    sorted: Vec<f32>,
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Window {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes in `number`; only the last `length`, at least one, are kept. What is too large for a single is cut.
    pub fn push(&mut self, number: f64, length: u32) {
        self.sort();
        while self.values.len() >= length.max(1) as usize {
            let oldest = self.values.pop_front().unwrap_or_default();
            self.sorted.remove(self.place(oldest).min(self.sorted.len() - 1));
        }
        let single = (number as f32).clamp(f32::MIN, f32::MAX);
        self.sorted.insert(self.place(single), single);
        self.values.push_back(single);
    }

    /// The mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.values.iter().map(|v| f64::from(*v)).sum::<f64>() / self.values.len().max(1) as f64
    }

    /// The median; of an even number the mean of the middle two; 0 of nothing.
    pub fn median(&mut self) -> f64 {
        self.sort();
        let [.., low, high] = self.middle();
        (low + high) / 2.0
    }

    /// How far numbers lie from `median`, as large as the standard deviation where they are normally distributed:
    /// 1.4826 × the median of the distances, or, where more than half of the numbers are equal, 1.2533 × the mean
    /// of the distances; 0 if all are equal.
    ///
    /// Source: Iglewicz and Hoaglin, "How to detect and handle outliers", 1993, chapter 3 (1.4826 = 1 / 0.6745);
    /// IBM SPSS Statistics algorithms, "Modified z score", for the second (1.2533 = √(π/2)).
    pub fn deviation(&mut self, median: f64) -> f64 {
        self.sort();
        let of_middle = 1.4826 * self.middle_distance(median);
        if of_middle > 0.0 {
            return of_middle;
        }
        let distances = self.values.iter().map(|v| (f64::from(*v) - median).abs());
        1.2533 * distances.sum::<f64>() / self.values.len().max(1) as f64
    }

    fn middle(&self) -> [f64; 2] {
        let count = self.sorted.len();
        let at = |index: usize| self.sorted.get(index).map_or(0.0, |v| f64::from(*v));
        [at(count.saturating_sub(1) / 2), at(count / 2)]
    }

    /// The median of the distances from `median`: those above it and those below are each in order, so the middle
    /// is met by going outwards.
    fn middle_distance(&self, median: f64) -> f64 {
        let count = self.sorted.len();
        let mut above = self.sorted.partition_point(|v| f64::from(*v) < median);
        let mut below = above;
        let distance = |index: usize| (f64::from(self.sorted[index]) - median).abs();
        let (mut last, mut before) = (0.0, 0.0);
        for _ in 0..=count / 2 {
            before = last;
            let up = (above < count).then(|| distance(above));
            let down = (below > 0).then(|| distance(below - 1));
            match (up, down) {
                (Some(up), Some(down)) if up > down => (last, below) = (down, below - 1),
                (Some(up), _) => (last, above) = (up, above + 1),
                (None, Some(down)) => (last, below) = (down, below - 1),
                (None, None) => return 0.0,
            }
        }
        if count.is_multiple_of(2) { (last + before) / 2.0 } else { last }
    }

    fn place(&self, value: f32) -> usize {
        self.sorted.partition_point(|v| *v < value)
    }

    fn sort(&mut self) {
        if self.sorted.len() != self.values.len() {
            self.sorted.clear();
            self.sorted.extend(&self.values);
            self.sorted.sort_unstable_by(f32::total_cmp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        (values[(count - 1) / 2] + values[count / 2]) / 2.0
    }

    #[test]
    fn equal_numbers_have_a_deviation_as_soon_as_one_differs() {
        let mut window = Window::default();
        assert_eq!((window.median(), window.deviation(0.0), window.mean()), (0.0, 0.0, 0.0));
        (0..9).for_each(|_| window.push(5.0, 10));
        assert_eq!((window.median(), window.deviation(5.0)), (5.0, 0.0));
        window.push(15.0, 10);
        assert_eq!((window.median(), window.deviation(5.0), window.mean()), (5.0, 1.2533, 6.0));
    }

    proptest! {
        #[test]
        fn median_and_deviation_are_those_of_the_last(
            values in proptest::collection::vec(-50..50i32, 1..60),
            length in 1..20u32,
            again in 0..60usize,
        ) {
            let mut window = Window::default();
            for (i, value) in values.iter().enumerate() {
                if i == again {
                    window = postcard::from_bytes(&postcard::to_extend(&window, Vec::new()).expect("bytes")).expect("its own");
                }
                window.push(f64::from(*value), length);
                let last: Vec<f64> =
                    values[..=i].iter().rev().take(length as usize).map(|v| f64::from(*v)).collect();
                let expected = median(last.clone());
                prop_assert_eq!(window.median(), expected);
                let of_middle = 1.4826 * median(last.iter().map(|v| (v - expected).abs()).collect());
                if of_middle > 0.0 {
                    prop_assert_eq!(window.deviation(expected), of_middle);
                }
            }
        }
    }
}
