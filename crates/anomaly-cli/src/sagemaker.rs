//! What SageMaker tells a container through its environment.

use std::path::PathBuf;

/// Where the folder that SageMaker shares with a container is, if not at its own place: for tests, and for those who
/// run a container's commands without a container.
const ROOT: &str = "ANOMALY_OPT_ML";

/// The folder that SageMaker shares with a container.
pub(crate) fn root() -> PathBuf {
    std::env::var_os(ROOT).map_or_else(|| "/opt/ml".into(), PathBuf::from)
}
