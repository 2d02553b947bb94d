//! A cloud on this machine: MiniStack, with authorisation on, behind TLS.
//!
//! TLS, because our own topic and bucket policies refuse anything else and this cloud honours them.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::http::Http;
use crate::poll;
use crate::process::{self, Owned};
use crate::rig::Rig;

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running MiniStack; it ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct MiniStack {
    process: Owned,
    folder: TempDir,
    log: PathBuf,
    port: u16,
    /// Empty where it speaks plain HTTP.
    certificate: String,
}

impl MiniStack {
    /// Starts one whose functions find SageMaker's runtime at `scoring_url`.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(rig: &Rig, scoring_url: &str) -> Result<Self> {
        Self::up(|| spawn(rig, Some(scoring_url))).await
    }

    /// Starts one without TLS and without functions: for clients that trust the system's certificates only.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn plain(rig: &Rig) -> Result<Self> {
        Self::up(|| spawn(rig, None)).await
    }

    async fn up(spawn: impl Fn() -> Result<Self>) -> Result<Self> {
        // The port is free when looked for, and somebody else may take it before it is used.
        for _ in 0..3 {
            let mut started = spawn()?;
            if started.is_up().await? {
                return Ok(started);
            }
        }
        bail!("MiniStack ended at once, three times")
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_empty() { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The certificate to trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The processes it runs for the function `name` now.
    pub fn processes_of(&self, name: &str) -> Vec<u32> {
        let variable = format!("AWS_LAMBDA_FUNCTION_NAME={name}");
        let mut running = process::running_below(self.folder.path());
        running.retain(|&id| process::has_variable(id, &variable));
        running
    }

    /// What it, and the functions in it, wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn is_up(&mut self) -> Result<bool> {
        let http = match self.certificate.as_str() {
            "" => Http::plain(),
            certificate => Http::trusting(certificate)?,
        };
        let url = format!("{}/_ministack/health", self.url());
        let process = &mut self.process;
        poll::until("MiniStack", START_LIMIT, || {
            let ended = process.has_ended();
            let (http, url) = (&http, &url);
            async move {
                let healthy =
                    http.send("GET", url, "health", Vec::new()).await.is_ok_and(|a| a.status == 200);
                Ok(if ended { Some(false) } else { healthy.then_some(true) })
            }
        })
        .await
    }
}

impl Drop for MiniStack {
    /// At once: asked politely it waits for its clients, and nothing of it is to be kept but the log.
    fn drop(&mut self) {
        process::kill(self.process.id());
        process::running_below(self.folder.path()).into_iter().for_each(process::kill);
    }
}

/// With functions and TLS where functions are told where to find SageMaker's runtime.
fn spawn(rig: &Rig, scoring_url: Option<&str>) -> Result<MiniStack> {
    let folder = TempDir::with_prefix("anomaly-ministack-")?;
    let certificate = scoring_url.map_or_else(|| Ok(String::new()), |_| write_certificate(folder.path()))?;
    let port = free_port()?;
    let log_path = rig.log()?;
    let log = File::create(&log_path)?;
    let mut command = Command::new(rig.ministack());
    // It hands its own environment on to the functions, so it gets nothing but this.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AUTH", "true")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if let Some(scoring_url) = scoring_url {
        command
            .env("USE_SSL", "1")
            .env("MINISTACK_SSL_CERT", folder.path().join("certificate.pem"))
            .env("MINISTACK_SSL_KEY", folder.path().join("key.pem"))
            .env("SSL_CERT_FILE", folder.path().join("certificate.pem"))
            .env("AWS_ENDPOINT_URL", format!("https://127.0.0.1:{port}"))
            .env("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", scoring_url);
    }
    let child = command.spawn().with_context(|| rig.ministack().display().to_string())?;
    Ok(MiniStack { process: Owned::new(child), folder, log: log_path, port, certificate })
}

fn write_certificate(folder: &Path) -> Result<String> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let pem = made.cert.pem();
    std::fs::write(folder.join("certificate.pem"), &pem)?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(pem)
}

/// A port nobody listens on.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
