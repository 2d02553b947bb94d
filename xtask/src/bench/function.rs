//! A function to measure, and a process of it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::runtime_api::RuntimeApi;

/// What to run, and with which environment besides Lambda's own.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<PathBuf>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// Where its output goes.
    pub(super) log: PathBuf,
}

impl Function {
    /// Starts a fresh process and waits for its first poll.
    pub(super) fn start(&self) -> Result<Process> {
        let api = RuntimeApi::start()?;
        let log = File::create(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(LAMBDA)
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let mut process = Process {
            child,
            api,
            started,
            started_after: Duration::ZERO,
            now: started,
            log: self.log.clone(),
        };
        let polled = process.api.polled().with_context(|| process.hint())?;
        process.started_after = polled - started;
        Ok(process)
    }
}

/// The environment Lambda sets.
const LAMBDA: [(&str, &str); 12] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "bench"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
    ("AWS_SESSION_TOKEN", "bench"),
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
];

/// A process that waits for an event.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    api: RuntimeApi,
    started: Instant,
    /// From the start of the process to its first poll.
    pub(super) started_after: Duration,
    now: Instant,
    log: PathBuf,
}

impl Process {
    /// One event, answered, and the next one asked for.
    pub(super) fn invoke(&mut self, event: &[u8]) -> Result<()> {
        self.now = self.api.invoke(event).with_context(|| self.hint())?;
        self.api.polled().with_context(|| self.hint())?;
        Ok(())
    }

    /// From the start of the process to its last answer.
    pub(super) fn age(&self) -> Duration {
        self.now - self.started
    }

    /// Processor time so far, in user and kernel mode, of all threads that are or were.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may hold anything; what follows it is numbers.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).context("no times in /proc");
        // Fields 14 and 15 of proc(5), in hundredths of a second on every Linux there is.
        Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
    }

    /// The most memory that was ever resident.
    pub(super) fn peak_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn hint(&self) -> String {
        format!("see {}", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
