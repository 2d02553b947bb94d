//! The rows of a batch as requests, some of them at a time, their answers in order.

use std::ops::Range;

use futures_util::{StreamExt, stream};

use crate::fault::{Fault, FaultKind};
use crate::ports::{Scorer, Timer};

use super::breaker::Admission;
use super::driver::Turn;
use super::split::Part;

impl<S: Scorer, T: Timer, W> Turn<'_, S, T, W> {
    /// The outcomes of the first rows, and why there are not more. Asks nothing while the breaker is open.
    pub(super) async fn score(&self, scorer: &S, rows: &[&[f64]]) -> Part {
        if rows.is_empty() {
            return Part::default();
        }
        let (in_flight, once) = match self.driver.admit() {
            Admission::Pass => (self.driver.limits.in_flight_max.max(1), false),
            Admission::Probe => (1, true),
            Admission::Wait(wait) => {
                let detail = format!(
                    "not asked: the last batches failed; asked again in {} s",
                    wait.as_secs_f64().ceil()
                );
                return Part::failed(Fault::transient(format!("ask {}", scorer.model()), detail));
            }
        };
        let part = self.in_flight(scorer, rows, in_flight, once).await;
        self.driver.tell_breaker(part.fault.is_some());
        part
    }

    /// Stops at the first request that fails: what is under way behind it is dropped, for its rows come again.
    async fn in_flight(&self, scorer: &S, rows: &[&[f64]], at_once: usize, once: bool) -> Part {
        let requests = requests(rows, self.driver.limits.rows_max, |rows| scorer.fit(rows));
        let asked = requests.into_iter().map(|range| self.request(scorer, &rows[range], once));
        let mut parts = stream::iter(asked).buffered(at_once);
        let mut whole = Part { outcomes: Vec::with_capacity(rows.len()), fault: None };
        while let Some(part) = parts.next().await {
            whole.outcomes.extend(part.outcomes);
            if part.fault.is_some() {
                whole.fault = part.fault;
                break;
            }
        }
        whole
    }

    async fn request(&self, scorer: &S, rows: &[&[f64]], once: bool) -> Part {
        match self.ask(scorer, rows, once).await {
            Ok(answer) => Part::of(answer),
            Err(fault) if fault.kind == FaultKind::Refused => self.split(scorer, rows, fault, once).await,
            Err(fault) => Part::failed(fault),
        }
    }
}

/// `rows` cut into requests of at most `rows_max` rows, and of no more than `fit` says that one takes.
fn requests(rows: &[&[f64]], rows_max: usize, fit: impl Fn(&[&[f64]]) -> usize) -> Vec<Range<usize>> {
    let mut requests = Vec::new();
    let mut first = 0;
    while first < rows.len() {
        let most = rows.len().min(first + rows_max.max(1));
        let candidates = &rows[first..most];
        let end = first + fit(candidates).clamp(1, candidates.len());
        requests.push(first..end);
        first = end;
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_hold_both_limits_and_every_row() {
        let row: &[f64] = &[1.0];
        let rows = vec![row; 7];
        assert_eq!(requests(&rows, 3, |rows| rows.len()), [0..3, 3..6, 6..7]);
        assert_eq!(requests(&rows, 0, |rows| rows.len()).len(), 7, "no limit makes a request of nothing");
        assert_eq!(requests(&rows, 5, |rows| rows.len().min(2)), [0..2, 2..4, 4..6, 6..7]);
        assert_eq!(requests(&rows, 5, |_| 0).len(), 7, "a row that fits nowhere goes alone");
        assert_eq!(requests(&[], 5, |rows| rows.len()), []);
    }
}
