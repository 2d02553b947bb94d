//! The rejects of a deployed stack.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anomaly_aws::clock::{self, Monotonic};
use anomaly_aws::config::InvokeConfig;
use anomaly_aws::connect::Connector;
use anomaly_aws::dynamodb::{DynamoRejects, DynamoWindows};
use anomaly_aws::sagemaker::SageMakerScorer;
use anomaly_aws::sqs::SqsQueue;
use anomaly_core::config::Config;
use anomaly_core::names;
use anomaly_core::wire::RejectV1;
use anomaly_pipeline::invoke::{Driver, Limits};
use anomaly_pipeline::rejects::{Redriven, redrive as put_in};
use anyhow::{Context, bail};

use crate::cloud::{KEYS, connect, lookup, runtime};

/// How long all requests to the endpoint may take together.
const SCORING_MAX: Duration = Duration::from_secs(600);

/// All rejects of `table`.
///
/// # Errors
/// If the environment names no region or keys, or the table cannot be read.
pub(super) fn read(table: &str) -> anyhow::Result<Vec<RejectV1>> {
    let connector = connect("rejects")?;
    let (rejects, unread) = runtime()?.block_on(DynamoRejects::new(&connector, table).list())?;
    if unread > 0 {
        writeln!(
            io::stderr(),
            "note: {unread} more rows are of a later release, and cannot be read by this one"
        )?;
    }
    Ok(rejects)
}

/// Puts `rejects` on the queue, and takes those that are queued out of the table.
///
/// A process that dies between the two leaves a reject that is put in again next time, and recognised by `classify`.
///
/// # Errors
/// If something is left that could not be put in for a reason of ours.
pub(super) fn redrive(
    table: &str,
    queue: &str,
    config: &Path,
    rejects: Vec<RejectV1>,
) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(config).with_context(|| format!("{} cannot be read", config.display()))?;
    let config = Config::from_toml(&text).with_context(|| config.display().to_string())?;
    let json = config.to_json();
    let given = |name: &str| match name {
        names::ANOMALY_CONFIG => Some(json.clone()),
        names::QUEUE_URL => Some(queue.to_owned()),
        _ => lookup(name),
    };
    let InvokeConfig { connection, intake, limits, endpoint, plan, windows_table, queue_url } =
        InvokeConfig::from_env(given).context(KEYS)?;
    // What comes again is no batch of the source, and its share says nothing of it.
    let limits = Limits { shares: false, ..limits };
    let connector = Connector::new(&connection);
    let scorer = endpoint.map(|endpoint| SageMakerScorer::new(&connector, endpoint));
    let windows = windows_table.map(|table| DynamoWindows::new(&connector, &table));
    let driver = Driver::new(scorer, Monotonic::start(), limits, clock::seed()).with_windows(windows, plan);
    let (queue, table) = (SqsQueue::new(&connector, &queue_url), DynamoRejects::new(&connector, table));
    let redriven = runtime()?.block_on(async {
        let redriven = put_in(&driver.turn(SCORING_MAX), &queue, &intake.decoder, rejects).await;
        for reject in redriven.done() {
            table.forget(reject).await?;
        }
        anyhow::Ok(redriven)
    })?;
    tell(&redriven)?;
    match redriven.fault {
        Some(fault) => {
            bail!("{} left as they were: {fault}\nhint: the same command again", redriven.left.len())
        }
        None if redriven.refused.is_empty() && redriven.renewed.is_empty() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(1)),
    }
}

fn tell(redriven: &Redriven) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Redriven { queued, refused, renewed, .. } = redriven;
    writeln!(out, "{} queued, {} at fault still", queued.len(), refused.len() + renewed.len())?;
    for (reject, why) in renewed {
        writeln!(out, "{}  {}", reject.id(), super::plain(&why.to_string()))?;
    }
    for (reject, why) in refused {
        let why = why.as_ref().map_or("too long to have been kept whole".to_owned(), ToString::to_string);
        writeln!(out, "{}  {}", reject.id(), super::plain(&why))?;
    }
    Ok(())
}
