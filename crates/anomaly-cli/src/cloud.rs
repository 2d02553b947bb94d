//! How commands get to a deployed stack: keys and region of the environment, and nothing else.

#[cfg(not(feature = "aws"))]
use anyhow::anyhow;
#[cfg(feature = "aws")]
use {
    anomaly_aws::config::Connection, anomaly_aws::connect::Connector, anyhow::Context, std::io,
    tokio::runtime::Runtime,
};

/// What a person has to set.
#[cfg(feature = "aws")]
pub(crate) const KEYS: &str = "region and keys are taken from AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN";

/// A connector for the command `command`.
///
/// # Errors
/// If the environment names no region or keys.
#[cfg(feature = "aws")]
pub(crate) fn connect(command: &'static str) -> anyhow::Result<Connector> {
    Ok(Connector::new(&Connection::from_env(command, lookup).context(KEYS)?))
}

/// A variable of the environment.
#[cfg(feature = "aws")]
#[expect(
    clippy::disallowed_methods,
    reason = "a command's environment is read here, and only for keys and region"
)]
pub(crate) fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the requests run on.
///
/// # Errors
/// If the system has no room for it.
#[cfg(feature = "aws")]
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Why `command`, as it is typed, does not run in this build.
#[cfg(not(feature = "aws"))]
pub(crate) fn left_out(command: &str) -> anyhow::Error {
    anyhow!(
        "this build leaves the AWS side out, to be quick to build\nhint: cargo run --features aws -- {command}"
    )
}
