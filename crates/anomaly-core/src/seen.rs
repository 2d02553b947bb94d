//! What of a series was seen: what tells news from what comes again, and from what comes late.

use serde::{Deserialize, Serialize};

use crate::position::{Place, Position, Runs};

/// The most partitions of which a series remembers how far it came: what it moved from lately.
pub const MARKS_MAX: usize = 4;

/// How far a series came in its partitions, and what was written last.
///
/// Encoded as the marks alone; who keeps the rest encodes it behind them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The last reading of each partition, the one the series moved to last at the end.
    marks: Vec<Position>,
    /// The readings of the last write, which a crash may have kept from being noted anywhere else. All are of
    /// the last mark's partition.
    #[serde(skip)]
    pub(crate) last_write: Vec<Place>,
    /// Where they are noted, if they are.
    #[serde(skip)]
    pub(crate) noted_in: Option<NotedIn>,
}

/// The note that has a write, among the journal's of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedIn {
    /// The minute of arrival that the note is of, in minutes since 1970, where the source keeps no order.
    pub minute: Option<i64>,
    /// The note's last place.
    pub last: Place,
}

/// What a state wrote last: what must be noted before it is forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<'s> {
    /// The partition of all of it.
    pub partition: &'s str,
    /// The readings of the series in these runs of the partition.
    pub runs: Runs,
    /// The note that has them, unless it could not be made; `None` in a state of the time before it was said.
    pub noted_in: Option<&'s NotedIn>,
}

/// What a source promises of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Readings come in the order of their places, so that between two that came together none is missing.
    #[default]
    Kept,
    /// Readings come in the order of their places, but each goes when it is done with: one that comes again may
    /// come together with news, without those between them.
    Gaps,
    /// Readings come as they please; a place is a name, and says about when.
    None,
}

impl Seen {
    /// Whether the reading at `position` lies at or before what was seen: it comes again, or late.
    ///
    /// Each partition is asked ([`Position::covers`]): the reading's own by its place, the others by the time of
    /// arrival. So a parent shard's reading is known after the series moved on to a child, even where the
    /// child's first one arrived within the same millisecond.
    pub fn covers(&self, position: &Position) -> bool {
        self.marks.iter().any(|mark| mark.covers(position))
    }

    /// The reading of the partition the series moved to last that lies furthest there.
    pub fn newest(&self) -> Option<&Position> {
        self.marks.last()
    }

    /// Takes notice of the reading at `position`. Whether that is news: [`Seen::covers`] did not hold.
    #[inline(always)]
    pub fn see(&mut self, position: &Position) -> bool {
        // Nearly all series are in one partition: then one comparison tells both.
        if let [mark] = self.marks.as_mut_slice()
            && mark.partition == position.partition
        {
            return mark.move_on_to(position);
        }
        self.see_among_others(position)
    }

    #[cold]
    #[inline(never)]
    fn see_among_others(&mut self, position: &Position) -> bool {
        let is_news = !self.covers(position);
        let mark = match self.marks.iter().position(|mark| mark.partition == position.partition) {
            Some(index) => {
                let mut mark = self.marks.remove(index);
                mark.move_on_to(position);
                mark
            }
            None => position.clone(),
        };
        if self.marks.len() == MARKS_MAX {
            self.marks.remove(0);
        }
        self.marks.push(mark);
        is_news
    }

    /// Remembers that the readings at `positions`, which are of one partition and in the order of their places,
    /// are written together, and are then noted in `noted_in`. What was remembered before
    /// ([`Seen::last_write`]) is forgotten: nothing else may know of it.
    pub fn write<'p>(
        &mut self,
        order: Order,
        positions: impl Iterator<Item = &'p Position>,
        noted_in: Option<NotedIn>,
    ) {
        self.noted_in = noted_in;
        let places = positions.map(Position::place);
        self.last_write = match order {
            Order::Kept => places.take(1).collect(),
            Order::Gaps | Order::None => places.collect(),
        };
    }

    /// The last write, of a source that promises `order`; `None` if there was none.
    pub fn last_write(&self, order: Order) -> Option<Written<'_>> {
        let (newest, first) = (self.newest()?, self.last_write.first()?);
        // The note says what was promised then.
        let order = match &self.noted_in {
            Some(NotedIn { minute: Some(_), .. }) => Order::Gaps,
            Some(NotedIn { minute: None, .. }) => Order::Kept,
            None => order,
        };
        let mut runs = Runs::default();
        match order {
            Order::Kept => runs.push(first.clone(), newest.place()),
            Order::Gaps | Order::None => {
                self.last_write.iter().for_each(|place| runs.push(place.clone(), place.clone()));
            }
        }
        Some(Written { partition: &newest.partition, runs, noted_in: self.noted_in.as_ref() })
    }

    /// Whether the reading at `position` was of the last write.
    pub fn wrote(&self, order: Order, position: &Position) -> bool {
        let Some(newest) = self.newest().filter(|newest| newest.partition == position.partition) else {
            return false;
        };
        let place = position.place();
        match order {
            Order::Kept => {
                self.last_write.first().is_some_and(|first| (first..=&newest.place()).contains(&&place))
            }
            Order::Gaps | Order::None => self.last_write.contains(&place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;
    use crate::time::Timestamp;

    fn at(partition: &str, sequence: u64, arrived_ms: i64) -> Position {
        let arrived = Timestamp::from_ms(arrived_ms).expect("in range");
        Position { partition: partition.into(), sequence: Sequence::from(sequence), sub: 0, arrived }
    }

    fn seen(positions: &[Position]) -> Seen {
        let mut seen = Seen::default();
        for position in positions {
            seen.see(position);
        }
        seen
    }

    #[test]
    fn a_reshard_within_a_millisecond_loses_and_repeats_nothing() {
        let mut seen = seen(&[at("parent", 9, 5_000)]);
        let child = at("child", 1, 5_000);
        assert!(!seen.covers(&child), "arrived no earlier");
        seen.see(&child);
        assert!(seen.covers(&child));
        assert!(seen.covers(&at("parent", 9, 5_000)), "by its place, though it arrived no earlier");
        assert!(seen.covers(&at("parent", 10, 4_999)), "the parent's, and older: late");
        assert!(!seen.covers(&at("other", 3, 5_000)), "the other parent of a merge");
    }

    #[test]
    fn marks_are_few_and_never_go_back() {
        let mut seen = seen(&[at("p", 5, 50), at("p", 3, 30)]);
        assert_eq!(seen.newest(), Some(&at("p", 5, 50)));
        for i in 0..10 {
            seen.see(&at(&format!("q{i}"), 1, 60));
        }
        assert_eq!(seen.marks.len(), MARKS_MAX);
        assert!(seen.covers(&at("p", 5, 50)), "forgotten, and known by its time");
    }

    proptest::proptest! {
        #[test]
        fn what_is_seen_is_news_once(
            came in proptest::collection::vec((0..3_usize, 0..6_u64, 0..4_i64), 0..30),
        ) {
            let mut seen = Seen::default();
            for (partition, sequence, arrived_ms) in came {
                let position = at(["p", "q", "r"][partition], sequence, arrived_ms);
                let is_news = !seen.covers(&position);
                proptest::prop_assert_eq!(seen.see(&position), is_news);
                proptest::prop_assert!(seen.covers(&position) && !seen.see(&position));
            }
        }
    }

    #[test]
    fn a_write_is_known_by_its_ends_or_one_by_one() {
        let positions = [at("p", 4, 0), at("p", 6, 0)];
        for (order, between) in [(Order::Kept, true), (Order::Gaps, false), (Order::None, false)] {
            let mut seen = seen(&positions);
            seen.write(order, positions.iter(), None);
            let wrote = |sequence| seen.wrote(order, &at("p", sequence, 0));
            assert_eq!([3, 4, 5, 6, 7].map(wrote), [false, true, between, true, false]);
            assert!(!seen.wrote(order, &at("q", 4, 0)));
            let written = seen.last_write(order).expect("a write");
            let cover = |sequence| written.runs.cover(&at("p", sequence, 0).place());
            assert_eq!([3, 4, 5, 6, 7].map(cover), [false, true, between, true, false], "the same");
        }
        assert_eq!(seen(&positions).last_write(Order::Kept), None);
    }

    #[test]
    fn a_write_is_read_by_the_order_that_was_promised_when_it_was_made() {
        let positions = [at("p", 4, 0), at("p", 6, 0)];
        for (order, other, minute) in [(Order::Kept, Order::None, None), (Order::None, Order::Kept, Some(0))]
        {
            let mut seen = seen(&positions);
            seen.write(order, positions.iter(), Some(NotedIn { minute, last: positions[1].place() }));
            assert_eq!(seen.last_write(order), seen.last_write(other));
        }
    }

    #[test]
    fn one_mark_is_encoded_as_it_was_when_there_was_but_one() {
        for before in [None, Some(at("p", 4, 7))] {
            let bytes = postcard::to_extend(&before, Vec::new()).expect("into memory");
            let seen: Seen = postcard::from_bytes(&bytes).expect("marks");
            assert_eq!(seen.newest(), before.as_ref());
        }
    }
}
