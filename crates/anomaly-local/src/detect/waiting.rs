//! Rows whose verdict is not known yet, and the rows behind them: scores stand in the order of the rows, whatever
//! the order in which they are judged.

use std::collections::VecDeque;

use anomaly_core::reading::SeriesId;
use serde::{Deserialize, Serialize};

/// Rows of one input, in order, from the first one whose verdict is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    rows: VecDeque<Line>,
}

/// A row, as the file of scores will have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    number: u64,
    pub(crate) timestamp: String,
    pub(crate) value: String,
    /// Whose reading it is; that of a row that is none nobody knows.
    pub(crate) series: Option<SeriesId>,
    verdict: Option<Verdict>,
}

/// What a row was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// On the scale for people; 0 where there is nothing to judge by.
    pub(crate) anomaly_score: f64,
    /// Whether people are told of it that something is wrong.
    pub(crate) told: bool,
    /// The detector's own score.
    pub(crate) score: Option<f64>,
}

impl Line {
    pub(crate) fn new(number: u64, timestamp: String, value: String, series: Option<SeriesId>) -> Self {
        Line { number, timestamp, value, series, verdict: None }
    }
}

impl Waiting {
    /// Adds the next row.
    pub(crate) fn push(&mut self, line: Line) {
        self.rows.push_back(line);
    }

    /// Notes the verdict of row `number`, if it is here.
    pub(crate) fn settle(&mut self, number: u64, verdict: Verdict) {
        let first = self.rows.front().map_or(0, |line| line.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(line) = index.and_then(|index| self.rows.get_mut(index)) {
            line.verdict = Some(verdict);
        }
    }

    /// The next row in order, if its verdict is known.
    pub(crate) fn next(&mut self) -> Option<(Line, Verdict)> {
        let verdict = self.rows.front()?.verdict?;
        self.rows.pop_front().map(|line| (line, verdict))
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The series for which the first row waits.
    pub(crate) fn holder(&self) -> Option<&SeriesId> {
        self.rows.front()?.series.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_leave_in_order_whatever_the_order_of_their_verdicts() {
        let mut waiting = Waiting::default();
        let mut left = Vec::new();
        for number in 7..12 {
            waiting.push(Line::new(number, String::new(), number.to_string(), None));
        }
        for number in [6, 8, 9, 7, 11, 12, 10] {
            waiting.settle(number, Verdict { score: Some(number as f64), ..Verdict::default() });
            left.push(std::iter::from_fn(|| waiting.next()).map(|(line, _)| line.value).collect::<String>());
        }
        assert_eq!(left, ["", "", "", "789", "", "", "1011"]);
        assert!(waiting.is_empty());
    }
}
