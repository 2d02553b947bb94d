//! What SageMaker tells a container through its environment.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, anyhow};

/// Where the folder that SageMaker shares with a container is, if not at its own place: for tests, and for those who
/// run a container's commands without a container.
const ROOT: &str = "ANOMALY_OPT_ML";

/// Where to listen instead of [`PORT`]: SageMaker says it to containers that are one of several in a pipeline.
///
/// Source: developer guide, "Run Your Own Processing Container with an Inference Pipeline".
const BIND_TO_PORT: &str = "SAGEMAKER_BIND_TO_PORT";

/// The port of a container's server. Source: developer guide, "How Your Container Should Respond to Inference Requests".
const PORT: u16 = 8080;

/// The folder that SageMaker shares with a container.
pub(crate) fn root() -> PathBuf {
    std::env::var_os(ROOT).map_or_else(|| "/opt/ml".into(), PathBuf::from)
}

/// Where a container's server listens: at every address, as SageMaker comes from outside.
///
/// # Errors
/// If SageMaker names a port that is none.
pub(crate) fn address() -> anyhow::Result<String> {
    address_by(std::env::var_os(BIND_TO_PORT))
}

fn address_by(port: Option<OsString>) -> anyhow::Result<String> {
    let number = |port: OsString| {
        let port = port.to_str().context("it is no text")?;
        port.parse::<u16>().map_err(|_| anyhow!("{port:?} is no port"))
    };
    let port = port.filter(|port| !port.is_empty()).map(number).transpose();
    Ok(format!("0.0.0.0:{}", port.context(BIND_TO_PORT)?.unwrap_or(PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_sagemakers_or_8080() {
        let address =
            |port: Option<&str>| address_by(port.map(OsString::from)).map_err(|error| format!("{error:#}"));
        assert_eq!(address(None), Ok("0.0.0.0:8080".to_owned()));
        assert_eq!(address(Some("")), Ok("0.0.0.0:8080".to_owned()));
        assert_eq!(address(Some("14000")), Ok("0.0.0.0:14000".to_owned()));
        let wrong = "SAGEMAKER_BIND_TO_PORT: \"70000\" is no port".to_owned();
        assert_eq!(address(Some("70000")), Err(wrong));
    }
}
