//! `anomaly serve` as others see it: AWS's own SDK for Python takes it for a SageMaker endpoint.

use std::process::Command;

use anomaly_tests::command;
use anomaly_tests::rig::{Rig, root};
use anomaly_tests::scoring::Scoring;
use anyhow::{Result, ensure};
use tempfile::TempDir;

#[test]
fn boto3_takes_it_for_sagemaker() -> Result<()> {
    boto3_is_content_with("boto3_takes_it_for_sagemaker", &[])
}

#[test]
fn boto3_retries_what_may_be_retried() -> Result<()> {
    boto3_is_content_with("boto3_retries_what_may_be_retried", &["throttle:2", "internal:at=4"])
}

fn boto3_is_content_with(test: &str, faults: &[&str]) -> Result<()> {
    let Some(rig) = Rig::find(test)? else { return Ok(()) };
    let folder = TempDir::new()?;
    let (history, model) = (folder.path().join("history.csv"), folder.path().join("model.tar.gz"));
    std::fs::write(&history, three_columns())?;
    command::train(&history, &model)?;
    let scoring = Scoring::serve(&model, faults)?;
    let script = root().join("tests/python/boto3_invoke.py");
    let said = Command::new(rig.python()).arg(script).args([scoring.url(), "3"]).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

/// Something to learn.
fn three_columns() -> String {
    let row = |n: u32| format!("{},{},{}\n", n % 7, (n * n) % 11, n % 3);
    "a,b,c\n".to_owned() + &(0..300).map(row).collect::<String>()
}
