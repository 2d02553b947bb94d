//! What a run told, for tests that compare it with something.

use std::io;

use anomaly_core::alert::Transition;
use anomaly_local::detect::Watcher;
use anomaly_local::input::{InputError, Rows, Source};

/// The steps that alerts took in a run that must have no problem.
#[derive(Default)]
pub(crate) struct Steps(pub(crate) Vec<Transition>);

impl Watcher for Steps {
    fn opened(&mut self, _: &Source, _: &Rows) {}
    fn read(&mut self, _: u64) {}
    fn stepped(&mut self, transition: &Transition) -> io::Result<()> {
        self.0.push(transition.clone());
        Ok(())
    }
    fn explained(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn note(&mut self, _: &str, _: &str) {}
    fn problem(&mut self, error: &InputError) {
        panic!("{error}");
    }
}
