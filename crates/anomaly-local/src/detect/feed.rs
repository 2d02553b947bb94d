//! The rows of one input by the lot: read as they are asked for, or ahead of that on a thread of their own.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::input::{InputError, Row, Rows};

/// How many rows of a file are a lot: enough that handing them from thread to thread costs nothing beside judging
/// them, and no more than are saved at a time.
const LOT_ROWS: usize = 1_000;
/// How many there are where memory has not room for all series: most lots have several readings of a series then, and
/// it is fetched once for all of them.
const LOT_ROWS_LARGE: usize = 32_000;
/// How long the rows of a lot are together before it is taken for full, in bytes.
const LOT_BYTES: usize = 8 << 20;
/// Lots read ahead, beside the one that is being read: large ones take some 20 MB each.
const LOTS_AHEAD: usize = 1;

/// Rows that follow each other.
#[derive(Debug, Default)]
pub(super) struct Lot {
    pub(super) rows: Vec<Row>,
    /// Why none come after these, if that is known.
    pub(super) end: Option<Result<(), InputError>>,
    bytes: usize,
}

impl Lot {
    /// Takes what the input gives next.
    fn push(&mut self, next: Option<Result<Row, InputError>>) {
        match next {
            None => self.end = Some(Ok(())),
            Some(Err(error)) => self.end = Some(Err(error)),
            Some(Ok(row)) => {
                self.bytes += row.bytes.len();
                self.rows.push(row);
            }
        }
    }

    /// Takes the rows from `at` on out of it.
    pub(super) fn split_off(&mut self, at: usize) -> Lot {
        Lot { rows: self.rows.split_off(at), end: self.end.take(), bytes: 0 }
    }

    fn is_full(&self, rows: usize) -> bool {
        self.end.is_some() || self.rows.len() >= rows || self.bytes >= LOT_BYTES
    }
}

/// The rows of one input.
pub(super) struct Feed {
    from: From,
    /// How many rows are a lot.
    size: Arc<AtomicUsize>,
    /// Lots that were put back.
    back: VecDeque<Lot>,
}

enum From {
    /// They are read when they are asked for.
    Here(Box<Rows>),
    /// They are read ahead.
    Ahead { lots: Receiver<Lot>, thread: Option<JoinHandle<()>> },
    /// There are no more.
    Nowhere,
}

impl Feed {
    /// Of `rows`; `ahead` says whether they are read on a thread of their own. A pipe's rows are given out when they are
    /// there, and wait for no others.
    pub(super) fn new(rows: Rows, ahead: bool) -> Self {
        // Who reads by himself cannot say what he has before he waits for more.
        let size = if rows.is_live() && !ahead { 1 } else { LOT_ROWS };
        let size = Arc::new(AtomicUsize::new(size));
        let from = if ahead { From::ahead(rows, &size) } else { From::Here(Box::new(rows)) };
        Feed { from, size, back: VecDeque::new() }
    }

    /// Makes lots larger from now on: memory has not room for all series.
    pub(super) fn enlarge(&self) {
        // A pipe whose rows are given out one by one goes on so.
        if self.size.load(Ordering::Relaxed) == LOT_ROWS {
            self.size.store(LOT_ROWS_LARGE, Ordering::Relaxed);
        }
    }

    /// The next rows: waits for the first of them. `None` after the last ones.
    pub(super) fn next(&mut self) -> Option<Lot> {
        if let Some(lot) = self.back.pop_front() {
            return Some(lot);
        }
        let lot = match &mut self.from {
            From::Nowhere => return None,
            From::Ahead { lots, thread } => lots.recv().unwrap_or_else(|_| ended(thread)),
            From::Here(rows) => {
                let (mut lot, size) = (Lot::default(), self.size.load(Ordering::Relaxed));
                while !lot.is_full(size) {
                    lot.push(rows.next());
                }
                lot
            }
        };
        Some(self.noted(lot))
    }

    /// The next rows, if they are there by now.
    pub(super) fn at_hand(&mut self) -> Option<Lot> {
        match &mut self.from {
            From::Ahead { lots, thread } if self.back.is_empty() => {
                let lot = match lots.try_recv() {
                    Ok(lot) => lot,
                    Err(TryRecvError::Empty) => return None,
                    Err(TryRecvError::Disconnected) => ended(thread),
                };
                Some(self.noted(lot))
            }
            _ => self.next(),
        }
    }

    /// Puts rows back, to be the next ones.
    pub(super) fn put_back(&mut self, lot: Lot) {
        self.back.push_front(lot);
    }

    fn noted(&mut self, lot: Lot) -> Lot {
        if lot.end.is_some() {
            self.from = From::Nowhere;
        }
        lot
    }
}

impl From {
    fn ahead(rows: Rows, size: &Arc<AtomicUsize>) -> From {
        let (to, lots) = sync_channel(LOTS_AHEAD);
        let (here, there) = sync_channel::<Box<Rows>>(1);
        let size = Arc::clone(size);
        let read = move || {
            if let Ok(rows) = there.recv() {
                read(*rows, &size, &to);
            }
        };
        let rows = Box::new(rows);
        match Builder::new().name("rows".to_owned()).spawn(read) {
            Ok(thread) => {
                // It waits for this, and for nothing else.
                let _ = here.send(rows);
                From::Ahead { lots, thread: Some(thread) }
            }
            // Without a thread they are read here.
            Err(_) => From::Here(rows),
        }
    }
}

/// Reads all `rows`, and gives them `to` whoever judges them: a lot when it is full, and before a pipe is waited for.
fn read(mut rows: Rows, size: &AtomicUsize, to: &SyncSender<Lot>) {
    let lot = Arc::new(Mutex::new(Lot::default()));
    let take = |lot: &Mutex<Lot>| std::mem::take(&mut *lot.lock().unwrap_or_else(PoisonError::into_inner));
    if rows.is_live() {
        let (lot, to) = (Arc::clone(&lot), to.clone());
        rows.before_waiting(move || {
            let lot = take(&lot);
            if !lot.rows.is_empty() {
                // If nobody is left to take them, that is found out with the next ones.
                let _ = to.send(lot);
            }
        });
    }
    loop {
        let next = rows.next();
        let mut growing = lot.lock().unwrap_or_else(PoisonError::into_inner);
        growing.push(next);
        if growing.is_full(size.load(Ordering::Relaxed)) {
            let full = std::mem::take(&mut *growing);
            drop(growing);
            let ended = full.end.is_some();
            if to.send(full).is_err() || ended {
                return;
            }
        }
    }
}

/// A thread that ends without saying why no more rows come has panicked: so does this one.
fn ended(thread: &mut Option<JoinHandle<()>>) -> ! {
    let panicked = thread.take().and_then(|thread| thread.join().err());
    resume_unwind(panicked.unwrap_or_else(|| Box::new("a thread ended before its input did")))
}
