//! The rows of an input on their way: read, handed out to be judged, taken back, written and told, each in the order of
//! the rows, a lot at a time, and several lots at a time where several threads judge.

use std::collections::VecDeque;
use std::ops::Range;

use anomaly_core::alert::Transition;
use anomaly_core::position::Position;
use anomaly_core::reading::{Reading, SeriesId};
use anomaly_core::wire::RejectV1;

use super::checkpoint::Keeper;
use super::{Left, Reader, Run, WAITING_MAX};
use crate::detect::DetectError;
use crate::detect::feed::{Feed, Lot};
use crate::engine::Unlike;
use crate::input::{InputError, Row};

/// How many lots each thread may have before what came of the first one is written: a file may hold one series behind
/// the other, so that a lot is of few of them.
const LOTS_A_THREAD: usize = 4;
/// How many there may be where they are large: judging one takes so long that writing what came of it is nothing.
const LARGE_LOTS: usize = 1;

/// A row that is being judged.
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) timestamp: String,
    pub(super) value: String,
    /// Whose reading it is; known where the row is kept.
    pub(super) series: Option<SeriesId>,
    pub(super) bytes: Vec<u8>,
    /// Where it stands in its input.
    place: Range<u64>,
    /// Where its reading stands, or why it is none.
    pub(super) read: Result<Position, Box<RejectV1>>,
}

/// An input on its way.
pub(super) struct Way {
    pub(super) reader: Reader,
    pub(super) keeper: Keeper,
    feed: Feed,
    /// The lots that are being judged, the oldest first.
    open: VecDeque<Vec<Open>>,
    /// What a pipe's rows had to say, which is told once it is saved.
    untold: Vec<Transition>,
    /// A row without a line's end, which is judged last.
    pub(super) held: Option<Row>,
    /// Why no more rows are read.
    pub(super) ended: Option<Result<(), InputError>>,
    /// The number of the last row that was read.
    pub(super) rows: u64,
}

impl Way {
    pub(super) fn new(reader: Reader, keeper: Keeper, feed: Feed) -> Self {
        let (open, untold) = (VecDeque::new(), Vec::new());
        Way { reader, keeper, feed, open, untold, held: None, ended: None, rows: 0 }
    }

    fn end(&mut self, why: Result<(), InputError>) {
        self.ended.get_or_insert(why);
    }
}

impl Run<'_> {
    /// Works through all rows of an input.
    pub(super) fn all_lots(&mut self, mut way: Way) -> Result<Way, Left> {
        loop {
            if way.open.is_empty() {
                self.between_lots(&mut way)?;
            }
            while way.ended.is_none() && self.takes_more(&way) {
                if self.stop.is_requested() {
                    self.summary.stopped = true;
                    way.end(Ok(()));
                } else if !self.hand_out_next(&mut way)? {
                    break;
                }
            }
            let Some(lot) = way.open.pop_front() else { break };
            self.take_back(&mut way, lot)?;
            if self.summary.pipe_closed && !way.reader.live {
                self.abandoned = true;
                break;
            }
        }
        Ok(way)
    }

    /// What is done while nothing is being judged: only then the series are as the rows left them that were written.
    fn between_lots(&mut self, way: &mut Way) -> Result<(), DetectError> {
        self.save_if_due(&mut way.reader, &way.keeper, !way.untold.is_empty())?;
        self.tell(&std::mem::take(&mut way.untold))
    }

    /// Whether more rows may be handed out by now.
    fn takes_more(&self, way: &Way) -> bool {
        let is_quiet_wanted = !way.untold.is_empty() || self.is_save_due(&way.reader, false);
        let threads = self.engine.threads();
        let lots = match threads {
            1 => 1,
            _ if self.engine.fits() => threads * LOTS_A_THREAD,
            _ => LARGE_LOTS,
        };
        way.open.is_empty() || !is_quiet_wanted && way.open.len() < lots
    }

    /// Hands out the next rows, if they may be by now. Waits for rows only if none is being judged.
    fn hand_out_next(&mut self, way: &mut Way) -> Result<bool, Left> {
        let is_quiet = way.open.is_empty();
        let lot = if is_quiet { way.feed.next() } else { way.feed.at_hand() };
        let Some(mut lot) = lot else {
            if is_quiet {
                way.end(Ok(()));
            }
            return Ok(false);
        };
        let most = self.rows_max(&way.reader);
        if !is_quiet && (self.is_asking_due() || lot.rows.len() > most) {
            way.feed.put_back(lot);
            return Ok(false);
        }
        if lot.rows.len() > most.max(1) {
            let rest = lot.split_off(most.max(1));
            way.feed.put_back(rest);
        }
        self.hold_back(way, &mut lot);
        if let Some(row) = lot.rows.first() {
            let steps = self.acknowledge(&way.reader, row.number)?;
            if way.reader.live {
                way.untold.extend(steps)
            } else {
                self.tell(&steps)?
            }
            self.hand_out(way, lot.rows);
        }
        if let Some(end) = lot.end {
            way.end(end);
        }
        Ok(true)
    }

    /// How many rows can be judged without so many waiting then that a series must be given up.
    fn rows_max(&self, reader: &Reader) -> usize {
        if reader.terms.policy.event_time().is_none() {
            return usize::MAX;
        }
        let waiting = self.waiting.get(&reader.name).map_or(0, |waiting| waiting.len());
        WAITING_MAX.saturating_sub(waiting + self.engine.rows_out())
    }

    /// Takes a row without a line's end out of `lot`, if it is not to be judged now.
    fn hold_back(&mut self, way: &mut Way, lot: &mut Lot) {
        let Some(row) = lot.rows.pop_if(|row| !row.terminated) else { return };
        way.rows = row.number;
        if self.stop.is_requested() {
            // Not the end of the row, but of our patience.
            self.summary.stopped = true;
            way.end(Ok(()));
        } else if self.state.is_some() && !way.reader.live {
            way.held = Some(row);
            way.end(Ok(()));
        } else {
            lot.rows.push(row);
        }
    }

    fn hand_out(&mut self, way: &mut Way, rows: Vec<Row>) {
        way.rows = rows.last().map_or(way.rows, |row| row.number);
        let (mut open, readings): (Vec<Open>, Vec<_>) =
            rows.into_iter().map(|row| way.reader.opened(row)).unzip();
        if let Err(unlike) = self.engine.hand_out(&way.reader.terms, readings) {
            open.truncate(unlike.row);
            way.end(Err(way.reader.cannot_take(&unlike)));
        }
        way.open.push_back(open);
        self.tell_of_small_forests(&way.reader.name);
        if !self.engine.fits() {
            way.feed.enlarge();
        }
    }

    /// Writes what came of the rows that were handed out first, and tells it.
    fn take_back(&mut self, way: &mut Way, rows: Vec<Open>) -> Result<(), Left> {
        let outcomes = self.engine.take_back()?.unwrap_or_default();
        let end_bytes = rows.last().map(|row| row.place.end);
        let marks = way.keeper.marks.as_ref().filter(|_| self.state.is_some());
        let mark = marks.zip(rows.last()).map(|(marks, row)| marks.after(row.number, &row.place, &row.bytes));
        for (row, outcome) in rows.into_iter().zip(outcomes) {
            let steps = self.row(&mut way.reader, row, outcome)?;
            if way.reader.live {
                way.untold.extend(steps);
                continue;
            }
            self.tell(&steps)?;
            if self.summary.pipe_closed {
                return Ok(());
            }
        }
        if way.reader.live {
            way.reader.scores.as_mut().map_or(Ok(()), |scores| scores.flush())?;
        }
        way.keeper.mark = mark.or(way.keeper.mark.take());
        if let Some(end_bytes) = end_bytes {
            self.watcher.read(end_bytes);
        }
        Ok(())
    }

    /// Judges one row by itself, and writes what came of it. Gives back the steps that alerts took.
    pub(super) fn lone_row(&mut self, reader: &mut Reader, row: Row) -> Result<Vec<Transition>, Left> {
        let (open, reading) = reader.opened(row);
        let handed_out = self.engine.hand_out(&reader.terms, vec![reading]);
        let outcomes = self.engine.take_back()?.unwrap_or_default();
        handed_out.map_err(|unlike| reader.cannot_take(&unlike))?;
        let outcome = outcomes.into_iter().next();
        Ok(outcome.map(|outcome| self.row(reader, open, outcome)).transpose()?.unwrap_or_default())
    }
}

impl Reader {
    /// A row that is about to be judged, and its reading.
    fn opened(&self, row: Row) -> (Open, Option<Reading>) {
        let Row { number, timestamp, value, outcome, bytes, place, .. } = row;
        let series = outcome.as_ref().ok().filter(|_| self.keeps_lines).map(|reading| reading.series.clone());
        let (read, reading) = match outcome {
            Ok(reading) => (Ok(reading.position.clone()), Some(reading)),
            Err(rejected) => (Err(rejected), None),
        };
        (Open { number, timestamp, value, series, bytes, place, read }, reading)
    }

    fn cannot_take(&self, Unlike { series, known, .. }: &Unlike) -> InputError {
        let (known, there) = (known.join(", "), self.terms.features.join(", "));
        let problem = format!("series {series} has the features {known}, and this input gives {there}");
        let error = InputError::new(&self.name, problem);
        error.hint("name the columns with --value, or keep the series apart with --series")
    }
}
