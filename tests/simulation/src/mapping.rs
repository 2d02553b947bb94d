//! The event source mapping of a stream: which records a function is handed, and what its answer does.
//!
//! From the Lambda developer guide, "Using Lambda with Kinesis": one batch of a shard at a time; a partial
//! answer resumes at the lowest sequence number named, an error brings the batch again, in two halves; a batch
//! of one that fails too often is given up.

/// A run of records, by index within the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    /// One past the last.
    pub(crate) end: usize,
    attempts: u32,
}

/// What a function made of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All of it is done.
    Done,
    /// Done before this index; from it on everything comes again.
    ResumeAt(usize),
    /// An error, a process that died, an answer that cannot be understood.
    Failed,
}

/// What the mapping makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Records from here …
    pub(crate) from: usize,
    /// … to before here are passed and never come again.
    pub(crate) to: usize,
    /// They were not done but given up.
    pub(crate) is_given_up: bool,
    /// When to try again, if there was a failure.
    pub(crate) wait_ms: i64,
}

/// How far a shard was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    next: usize,
    /// What was taken and is not done, the span in hand last.
    work: Vec<Span>,
    is_busy: bool,
}

impl Cursor {
    /// The next span of the `available` records, at most `batch` long; none if one is in hand or there is none.
    pub(crate) fn take(&mut self, available: usize, batch: usize) -> Option<Span> {
        if self.is_busy {
            return None;
        }
        if self.work.is_empty() && self.next < available {
            let end = available.min(self.next + batch);
            self.work.push(Span { start: self.next, end, attempts: 0 });
            self.next = end;
        }
        let span = *self.work.last()?;
        self.is_busy = true;
        Some(span)
    }

    /// Takes the answer for the span in hand. `attempts_max` is how often a batch is tried again.
    pub(crate) fn settle(&mut self, answer: Answer, attempts_max: u32) -> Settled {
        self.is_busy = false;
        let Some(span) = self.work.pop() else {
            return Settled { from: self.next, to: self.next, is_given_up: false, wait_ms: 0 };
        };
        let passed = |to, wait_ms| Settled { from: span.start, to, is_given_up: false, wait_ms };
        match answer {
            Answer::Done => passed(span.end, 0),
            Answer::ResumeAt(index) if index > span.start => {
                self.work.push(Span { start: index, ..span });
                passed(index, 1000)
            }
            Answer::ResumeAt(_) | Answer::Failed => self.fail(span, attempts_max),
        }
    }

    /// "Splitting a batch does not count towards the retry quota."
    fn fail(&mut self, span: Span, attempts_max: u32) -> Settled {
        // Lambda's pauses are not documented; these grow to a minute.
        let wait_ms = 1000 << span.attempts.min(6);
        let attempts = span.attempts + 1;
        if span.attempts >= attempts_max {
            return Settled { from: span.start, to: span.end, is_given_up: true, wait_ms: 0 };
        }
        if span.end - span.start > 1 {
            let middle = span.start.midpoint(span.end);
            self.work.push(Span { start: middle, end: span.end, attempts });
            self.work.push(Span { start: span.start, end: middle, attempts });
        } else {
            self.work.push(Span { attempts, ..span });
        }
        Settled { from: span.start, to: span.start, is_given_up: false, wait_ms }
    }

    /// Whether all of `available` records are passed.
    pub(crate) fn is_at_end(&self, available: usize) -> bool {
        !self.is_busy && self.work.is_empty() && self.next >= available
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_skipped_and_order_is_kept() {
        let mut cursor = Cursor::default();
        let span = cursor.take(10, 8).expect("records");
        assert_eq!((span.start, span.end), (0, 8));
        assert_eq!(cursor.take(10, 8), None, "one batch at a time");
        assert_eq!(cursor.settle(Answer::ResumeAt(3), 9).to, 3);
        assert_eq!(cursor.take(10, 8).map(|s| (s.start, s.end)), Some((3, 8)));
        assert_eq!(cursor.settle(Answer::Failed, 9).to, 3);
        let halves = std::iter::from_fn(|| {
            let span = cursor.take(10, 8)?;
            cursor.settle(Answer::Done, 9);
            Some((span.start, span.end))
        });
        assert_eq!(halves.collect::<Vec<_>>(), [(3, 5), (5, 8), (8, 10)]);
        assert!(cursor.is_at_end(10));
    }

    #[test]
    fn what_always_fails_is_given_up_alone() {
        let mut cursor = Cursor::default();
        let (mut given_up, mut done) = (Vec::new(), 0);
        while let Some(span) = cursor.take(8, 8) {
            let holds = (span.start..span.end).contains(&5);
            let settled = cursor.settle(if holds { Answer::Failed } else { Answer::Done }, 9);
            match settled.is_given_up {
                true => given_up.extend(settled.from..settled.to),
                false => done += settled.to - settled.from,
            }
        }
        assert_eq!((given_up, done), (vec![5], 7));
    }
}
