//! The process that stands for SageMaker and SQS, and the environment that leads to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use super::event;
use super::function::Function;

/// Where Debian keeps the authorities everyone trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Running until dropped.
#[derive(Debug)]
pub(super) struct Endpoint {
    child: Child,
    url: String,
    authorities: PathBuf,
}

impl Endpoint {
    pub(super) fn start(program: &Path, place: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start bench-endpoint")?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut port)?;
        let url = format!("https://localhost:{}", port.trim());
        Ok(Self { child, url, authorities: authorities(place)? })
    }

    /// A function that calls this endpoint.
    pub(super) fn function(
        &self,
        place: &Path,
        name: &str,
        program: &Path,
        arguments: &[PathBuf],
    ) -> Function {
        let authorities = self.authorities.display().to_string();
        Function {
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            environment: vec![
                ("ANOMALY_CONFIG", config()),
                ("ENDPOINT_NAME", "bench".to_owned()),
                ("QUEUE_URL", format!("{}/123456789012/scored.fifo", self.url)),
                ("AWS_ENDPOINT_URL", self.url.clone()),
                ("SSL_CERT_FILE", authorities.clone()),
                ("AWS_CA_BUNDLE", authorities),
            ],
            log: place.join(format!("{name}.log")),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our one authority among those of the system, which Lambda's own image has too: both functions
/// have to read them all.
fn authorities(place: &Path) -> Result<PathBuf> {
    let mut all = fs::read_to_string(SYSTEM_AUTHORITIES).unwrap_or_default();
    all.push_str(&fs::read_to_string(place.join("ca.pem"))?);
    let path = place.join("authorities.pem");
    fs::write(&path, all)?;
    Ok(path)
}

fn config() -> String {
    json!({
        "input": {"series": event::SERIES, "time": event::TIME, "features": event::FEATURES},
        "model": {"kind": "endpoint", "endpoint": "bench", "shingle": 1},
    })
    .to_string()
}
