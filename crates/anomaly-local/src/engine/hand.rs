//! Who does the work on some of the series: the thread that asks for it, or one of its own.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::shard::Shard;

/// A piece of work.
type Work = Box<dyn FnOnce(&mut Shard) + Send>;

/// Some of the series, and who works on them; what is asked for first is done first.
#[derive(Debug)]
pub(super) enum Hand {
    /// The thread that asks.
    Own(Box<Shard>),
    /// A thread of its own.
    Thread(Worker),
}

/// A thread, which ends when there is no more to come.
#[derive(Debug)]
pub(super) struct Worker {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

/// What was asked for.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// It is done.
    Here(T),
    /// It will be.
    Coming(Receiver<T>),
}

impl Hand {
    /// The thread that asks.
    pub(super) fn own(shard: Shard) -> Self {
        Hand::Own(Box::new(shard))
    }

    /// Has a thread of its own from now on; where the system gives none it goes on as it is.
    pub(super) fn start(&mut self) {
        if let Hand::Thread(_) = self {
            return;
        }
        let (work, to_do) = channel::<Work>();
        let (here, there) = channel::<Box<Shard>>();
        let thread = Builder::new().name("series".to_owned()).spawn(move || {
            let Ok(mut shard) = there.recv() else { return };
            to_do.iter().for_each(|work| work(&mut shard));
        });
        if let Ok(thread) = thread {
            let worker = Worker { work: Some(work), thread: Some(thread) };
            if let Hand::Own(shard) = std::mem::replace(self, Hand::Thread(worker)) {
                // It waits for this, and for nothing else.
                let _ = here.send(shard);
            }
        }
    }

    /// Asks for `work`.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Shard) -> T + Send + 'static,
    ) -> Answer<T> {
        match self {
            Hand::Own(shard) => Answer::Here(work(shard)),
            Hand::Thread(worker) => {
                let (answer, coming) = sync_channel(1);
                let work = move |shard: &mut Shard| {
                    // Who asked may have given up meanwhile.
                    let _ = answer.send(work(shard));
                };
                // A thread that ended in the middle answers nothing, which is found out where the answer is waited for.
                let _ = worker.work.as_ref().map(|to| to.send(Box::new(work)));
                Answer::Coming(coming)
            }
        }
    }

    /// Waits for what was asked of this hand.
    pub(super) fn wait<T>(&mut self, answer: Answer<T>) -> T {
        match answer {
            Answer::Here(done) => done,
            Answer::Coming(coming) => coming.recv().unwrap_or_else(|_| self.ended()),
        }
    }

    /// A thread that answers nothing has panicked, as only then it lets go of what it was asked: so does this one.
    fn ended(&mut self) -> ! {
        let panicked = match self {
            Hand::Thread(Worker { thread, .. }) => thread.take().and_then(|thread| thread.join().err()),
            Hand::Own(_) => None,
        };
        resume_unwind(panicked.unwrap_or_else(|| Box::new("a thread ended before its work was done")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.work.take());
        // How it ended was found out with its last answer.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
