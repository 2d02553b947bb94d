//! `anomaly train` without histories, as SageMaker starts a training container.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anomaly_local::container::{Container, Failure, Trained};
use anomaly_local::input::Stop;
use anyhow::{Context, bail, ensure};

use super::history::say;
use super::summary::{self, Found};
use crate::sagemaker;

/// Trains as the container's configuration says, and leaves the model, or why there is none.
///
/// # Errors
/// If this is no training container, or there is no model.
pub(super) fn run(stop: &Stop) -> anyhow::Result<ExitCode> {
    let root = sagemaker::root();
    let container = Container::at(&root);
    ensure!(
        container.is_there(),
        "no history to learn from, and no {} as in a container of SageMaker\nhint: anomaly train HISTORY.csv",
        root.join("input/config").display()
    );
    match guarded(|| container.train(stop, &mut say)) {
        Ok(trained) => {
            tell(&trained)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            container.fail(&failure.to_string()).context(failure.to_string())?;
            bail!(failure)
        }
    }
}

/// What `work` gives; that it panicked is a failure like others, and whoever looks at the job has to be told.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
        Err(Failure::Problems(vec![format!("the program itself failed, please report it: {text}")]))
    })
}

/// The log of a training job is what it prints; its metrics are found in it by a regular expression such as
/// `test:f1=([0-9.]+)`.
fn tell(trained: &Trained) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let place = sagemaker::root().join("model");
    writeln!(out, "{}", summary::as_text(&trained.model, &[], Found::default(), &place))?;
    for (name, value) in trained.quality.iter().flat_map(|quality| quality.metrics()) {
        writeln!(out, "{name}={value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_as_a_failure() {
        let told = |work: fn() -> Result<(), Failure>| guarded(work).map_err(|failure| failure.to_string());
        assert_eq!(told(|| Ok(())), Ok(()));
        assert_eq!(told(|| Err("bad".to_owned().into())), Err("bad".to_owned()));
        let failed = |why: &str| Err(format!("the program itself failed, please report it: {why}"));
        assert_eq!(told(|| panic!("as a text")), failed("as a text"));
        assert_eq!(told(|| panic!("as {} texts", 2)), failed("as 2 texts"));
    }
}
