//! One fate per record, and what the source is told.

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Handed on.
    Done,
    /// At fault: kept with its reason, and not wanted again.
    Rejected,
    /// Not handed on, for a reason that is ours or AWS': the source must bring it again.
    Again,
}

/// The fates of a batch, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that came.
    pub received: usize,
    /// [`Fate::Done`].
    pub done: usize,
    /// [`Fate::Rejected`].
    pub rejected: usize,
    /// [`Fate::Again`].
    pub again: usize,
}

impl Tally {
    /// Counts `fates` of a batch of `received` records.
    ///
    /// # Panics
    /// If a record has no fate or two: a record would be lost without a word.
    pub fn of(received: usize, fates: &[Fate]) -> Self {
        let count = |fate| fates.iter().filter(|f| **f == fate).count();
        let tally = Tally {
            received,
            done: count(Fate::Done),
            rejected: count(Fate::Rejected),
            again: count(Fate::Again),
        };
        assert_eq!(received, tally.done + tally.rejected + tally.again, "every record has exactly one fate");
        tally
    }
}

/// Settles an ordered batch: from the first record wanted again, all are wanted again.
///
/// A stream is resumed at the lowest sequence number returned, and everything from it on is retried (AWS
/// Lambda developer guide, "Using Lambda with Kinesis", partial batch responses), whatever became of it.
/// Returns the index to resume at, if any, and changes the fates behind it to what will happen.
pub fn settle_in_order(fates: &mut [Fate]) -> Option<usize> {
    let first = fates.iter().position(|fate| *fate == Fate::Again)?;
    fates[first..].fill(Fate::Again);
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn resumes_at_the_first_again() {
        use Fate::{Again, Done, Rejected};
        let mut fates = [Done, Rejected, Again, Done, Rejected];
        assert_eq!(settle_in_order(&mut fates), Some(2));
        assert_eq!(Tally::of(5, &fates), Tally { received: 5, done: 1, rejected: 1, again: 3 });
        assert_eq!(settle_in_order(&mut [Done, Rejected]), None);
    }

    #[test]
    #[should_panic(expected = "exactly one fate")]
    fn a_lost_record_is_noticed() {
        let _ = Tally::of(2, &[Fate::Done]);
    }

    proptest! {
        #[test]
        fn never_skips_an_again(draw in proptest::collection::vec(0..3u8, 0..50)) {
            let before: Vec<Fate> = draw.iter().map(|d| [Fate::Done, Fate::Rejected, Fate::Again][usize::from(*d)]).collect();
            let mut after = before.clone();
            let resume = settle_in_order(&mut after).unwrap_or(before.len());
            prop_assert!(before[..resume].iter().all(|f| *f != Fate::Again));
            prop_assert_eq!(&before[..resume], &after[..resume]);
            prop_assert!(after[resume..].iter().all(|f| *f == Fate::Again));
        }
    }
}
