//! Which rows a refusal is about: halves, and halves of those that are refused again.
//!
//! A container that refuses a request (HTTP 413, or 400 and its like) does not say for which row. Every level
//! asks for the halves of what was refused on the level above, so that `bad` guilty rows of `n` are found with
//! some `2 · bad · log2 n` requests, and all others have their scores on the way.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::fault::{Fault, FaultKind};
use crate::ports::{Answer, Scorer, Timer};

use super::driver::Turn;

/// The most rows of one request that are believed to be at fault. More of them, and it is the endpoint: what
/// comes behind them waits. If it refuses so many and scores none at all, no refusal is believed.
pub const REFUSED_MAX: usize = 16;

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Its score, and which of the endpoint's variants gave it.
    Scored(f64, Option<Arc<str>>),
    /// The model will not have it, in its own words.
    Refused(String),
}

/// What became of the first rows of a request, and why there are not more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) fault: Option<Fault>,
}

impl Part {
    /// All rows of an answer.
    pub(super) fn of(answer: Answer) -> Self {
        Part { outcomes: scored(answer).collect(), fault: None }
    }

    /// Nothing.
    pub(super) fn failed(fault: Fault) -> Self {
        Part { outcomes: Vec::new(), fault: Some(fault) }
    }
}

fn scored(Answer { scores, variant }: Answer) -> impl Iterator<Item = Outcome> {
    let variant: Option<Arc<str>> = variant.map(Arc::from);
    scores.into_iter().map(move |score| Outcome::Scored(score, variant.clone()))
}

impl<S: Scorer, T: Timer, W> Turn<'_, S, T, W> {
    /// Finds the rows that `refusal` of all `rows` is about, and scores the others.
    pub(super) async fn split(&self, scorer: &S, rows: &[&[f64]], refusal: Fault, once: bool) -> Part {
        let mut halving = Halving::new(rows.len(), refusal);
        while let Some(range) = halving.next() {
            match self.ask(scorer, &rows[range.clone()], once).await {
                Ok(answer) => halving.scored(&range, answer),
                Err(fault) if fault.kind == FaultKind::Refused => halving.refused(range, fault),
                Err(fault) => return halving.finish(Some(fault)),
            }
        }
        halving.finish(None)
    }
}

/// What is known of the rows so far.
struct Halving {
    outcomes: Vec<Option<Outcome>>,
    /// Refused as a whole, and not asked for in parts yet; in order, without overlaps. Each holds a guilty row.
    suspects: VecDeque<(Range<usize>, Fault)>,
    /// To be asked for next.
    halves: VecDeque<Range<usize>>,
    /// Whether the endpoint scored anything at all.
    has_scored: bool,
    /// Why the rows from the last on are not asked for any more.
    given_up: Option<Fault>,
}

impl Halving {
    fn new(rows: usize, refusal: Fault) -> Self {
        Halving {
            outcomes: vec![None; rows],
            suspects: VecDeque::from([(0..rows, refusal)]),
            halves: VecDeque::new(),
            has_scored: false,
            given_up: None,
        }
    }

    /// What to ask for next: a half of the widest suspect, so that every level is known before the next.
    fn next(&mut self) -> Option<Range<usize>> {
        if self.halves.is_empty() {
            let widths = self.suspects.iter().map(|(range, _)| range.len()).enumerate();
            // Of equals the first.
            let (widest, width) = widths.rev().max_by_key(|(_, width)| *width)?;
            if width > 1 {
                let (range, _) = self.suspects.remove(widest)?;
                let middle = range.start + width.div_ceil(2);
                self.halves.extend([range.start..middle, middle..range.end]);
            }
        }
        self.halves.pop_front()
    }

    fn scored(&mut self, range: &Range<usize>, answer: Answer) {
        self.has_scored = true;
        for (place, outcome) in self.outcomes[range.clone()].iter_mut().zip(scored(answer)) {
            *place = Some(outcome);
        }
    }

    fn refused(&mut self, range: Range<usize>, fault: Fault) {
        let place = self.suspects.partition_point(|(other, _)| other.start < range.start);
        self.suspects.insert(place, (range, fault));
        if self.suspects.len() > REFUSED_MAX {
            self.give_up();
        }
    }

    /// Each suspect holds a guilty row: there are too many. What lies behind the first of them is left.
    fn give_up(&mut self) {
        let Some((beyond, fault)) = self.suspects.drain(REFUSED_MAX..).next() else { return };
        self.outcomes.truncate(beyond.start);
        self.halves.retain(|half| half.start < beyond.start);
        let detail = format!("it refuses more than {REFUSED_MAX} rows, the last with: {}", fault.detail);
        self.given_up = Some(Fault { detail, ..fault });
    }

    /// The outcomes up to the first row of which nothing is known; `fault` is why nothing more was asked.
    fn finish(mut self, fault: Option<Fault>) -> Part {
        if self.given_up.is_some() && !self.has_scored {
            self.outcomes.clear();
        }
        for (range, fault) in &self.suspects {
            match self.outcomes.get_mut(range.clone()) {
                Some([one]) => *one = Some(Outcome::Refused(fault.detail.clone())),
                _ => continue,
            }
        }
        let outcomes = self.outcomes.into_iter().map_while(|outcome| outcome).collect();
        Part { outcomes, fault: fault.or(self.given_up) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal() -> Fault {
        Fault::refused("ask", "400: bad row")
    }

    /// Halves against an endpoint that refuses the rows of `guilty` and scores row i with i: one letter a row,
    /// how many requests it took after the first, and whether there is a fault.
    fn halve(rows: usize, guilty: impl Fn(usize) -> bool) -> (String, usize, bool) {
        let (mut halving, mut requests) = (Halving::new(rows, refusal()), 0);
        while let Some(range) = halving.next() {
            requests += 1;
            match range.clone().any(&guilty) {
                true => halving.refused(range, refusal()),
                false => {
                    let scores: Vec<f64> = range.clone().map(|row| row as f64).collect();
                    halving.scored(&range, scores.into());
                }
            }
        }
        let part = halving.finish(None);
        let letter = |(row, outcome): (usize, Outcome)| match outcome {
            Outcome::Scored(score, None) if score == row as f64 => '.',
            Outcome::Scored(..) => '!',
            Outcome::Refused(_) => 'x',
        };
        (part.outcomes.into_iter().enumerate().map(letter).collect(), requests, part.fault.is_some())
    }

    #[test]
    fn exactly_the_guilty_rows_are_found() {
        assert_eq!(halve(1, |_| true), ("x".to_owned(), 0, false));
        assert_eq!(halve(8, |row| row == 5), (".....x..".to_owned(), 6, false));
        assert_eq!(halve(5, |row| row != 2), ("xx.xx".to_owned(), 8, false));
        assert_eq!(halve(4, |_| true), ("xxxx".to_owned(), 6, false), "few enough to be believed");
    }

    #[test]
    fn a_request_that_is_merely_too_large_is_split_and_nobody_is_guilty() {
        let mut halving = Halving::new(8, Fault::refused("ask", "413"));
        while let Some(range) = halving.next() {
            match range.len() > 2 {
                true => halving.refused(range, refusal()),
                false => halving.scored(&range, vec![1.0; range.len()].into()),
            }
        }
        let part = halving.finish(None);
        assert!(part.fault.is_none() && part.outcomes.iter().all(|o| matches!(o, Outcome::Scored(..))));
        assert_eq!(part.outcomes.len(), 8);
    }

    #[test]
    fn an_endpoint_that_refuses_everything_is_at_fault_itself() {
        let (rows, requests, is_fault) = halve(500, |_| true);
        assert_eq!((rows.as_str(), is_fault), ("", true), "no refusal is believed");
        assert!(requests < 200, "{requests}");
    }

    #[test]
    fn too_many_guilty_rows_are_worked_off_bit_by_bit() {
        let (rows, _, is_fault) = halve(64, |row| row < 40);
        assert_eq!((rows.as_str(), is_fault), ("x".repeat(16).as_str(), true));
    }

    #[test]
    fn a_fault_on_the_way_leaves_what_was_known_before_it() {
        let mut halving = Halving::new(8, refusal());
        let first = halving.next().expect("a half");
        halving.scored(&first, vec![1.0; 4].into());
        assert_eq!(halving.next(), Some(4..8));
        let part = halving.finish(Some(Fault::transient("ask", "gone")));
        assert_eq!((part.outcomes.len(), part.fault.map(|f| f.detail)), (4, Some("gone".to_owned())));
    }

    proptest! {
        #[test]
        fn guilty_rows_and_no_others(rows in 1..300usize, picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..14)) {
            let guilty: std::collections::BTreeSet<usize> = picks.iter().map(|pick| pick.index(rows)).collect();
            let (found, requests, is_fault) = halve(rows, |row| guilty.contains(&row));
            let expected: String = (0..rows).map(|row| if guilty.contains(&row) { 'x' } else { '.' }).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(!is_fault);
            let levels = rows.next_power_of_two().ilog2() as usize;
            prop_assert!(requests <= 2 * guilty.len() * levels, "{} requests", requests);
        }

        /// However many are guilty: what is settled is right, and unless all are refused something is.
        #[test]
        fn progress_is_made(rows in proptest::collection::vec(any::<bool>(), 1..200)) {
            prop_assume!(rows.contains(&true));
            let (found, _, is_fault) = halve(rows.len(), |row| rows[row]);
            let expected: String = rows.iter().map(|guilty| if *guilty { 'x' } else { '.' }).collect();
            prop_assert!(expected.starts_with(&found));
            prop_assert_eq!(is_fault, found.len() < rows.len());
            if rows.iter().any(|guilty| !guilty) && rows.iter().filter(|guilty| **guilty).count() <= REFUSED_MAX {
                prop_assert!(!is_fault);
            }
        }
    }
}
