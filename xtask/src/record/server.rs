//! The server: Debian's nginx with a configuration, files and a port of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::pause;
use super::random::Random;

/// For the labels.
pub(super) const SETUP: &str = "one worker on one core with 64 connections; 48 text files of 64 to 192 KiB, read with O_DIRECT \
     and compressed for every request; nginx and the generator run in the real-time class";

/// How many files there are to ask for.
pub(super) const FILES: usize = 48;

/// Small, so that a flood of slow clients takes them all.
const CONNECTIONS: usize = 64;

/// What nginx reads at once.
const BUFFER: usize = 64 * 1024;

/// The address of a file on the server.
pub(super) fn path(file: usize) -> String {
    format!("/{file}.txt")
}

/// nginx's version, or what to do about it not being there.
pub(super) fn version() -> Result<String> {
    let out = Command::new("nginx").arg("-v").output().context(
        "nginx is needed to record: `apt-get install nginx` (its service need not run); \
         and root, to slow its disk and raise its priority",
    )?;
    let said = String::from_utf8_lossy(&out.stderr);
    Ok(said.trim().rsplit(' ').next().unwrap_or("nginx").to_owned())
}

/// A running (or, in the midst of a restart, stopped) nginx.
#[derive(Debug)]
pub(super) struct Server {
    config: PathBuf,
    address: SocketAddr,
    disk: Disk,
    running: Option<Child>,
}

impl Server {
    pub(super) fn start(place: &Path, core: usize) -> Result<Self> {
        let files = place.join("files");
        fs::create_dir_all(&files)?;
        write_files(&files)?;
        // Bound and let go again: a free port, unless another takes it in the next millisecond.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = place.join("nginx.conf");
        fs::write(&config, configuration(place, address, core))?;
        let disk = Disk::of(&files)?;
        let mut server = Self { config, address, disk, running: None };
        server.resume()?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts nginx and waits until it listens.
    pub(super) fn resume(&mut self) -> Result<()> {
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        self.running = Some(child);
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > patience {
                bail!("nginx does not listen on {}", self.address);
            }
            pause(Duration::from_millis(20));
        }
        self.disk.hold(&self.processes())
    }

    /// Stops nginx, its requests included.
    pub(super) fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        // TERM, not `Child::kill`: the master has to stop its worker.
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let _ = child.wait();
    }

    /// Lets nginx read only so many times a second from its disk; `None` for as often as it likes.
    pub(super) fn slow_disk(&self, reads_a_second: Option<u64>) -> Result<()> {
        self.disk.limit(reads_a_second)
    }

    fn processes(&self) -> Vec<u32> {
        let Some(master) = self.running.as_ref().map(Child::id) else { return Vec::new() };
        let children =
            fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        let mut all = vec![master];
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        all
    }

    /// What nginx uses at this moment; nothing while it is stopped.
    pub(super) fn usage(&self) -> Usage {
        let processes = self.processes();
        Usage {
            at: Instant::now(),
            cpu: processes.iter().map(|&pid| (pid, cpu(pid))).collect(),
            memory_mb: processes.iter().map(|&pid| resident_kb(pid)).sum::<u64>() as f64 / 1024.0,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        self.disk.release();
    }
}

/// Processor time so far by process, and resident memory.
#[derive(Debug)]
pub(super) struct Usage {
    at: Instant,
    cpu: Vec<(u32, Duration)>,
    pub(super) memory_mb: f64,
}

impl Usage {
    /// In percent of one core. A process that is new since `before` started from nothing.
    pub(super) fn cpu_percent_since(&self, before: &Self) -> f64 {
        let used = |(pid, now): &(u32, Duration)| {
            let then = before.cpu.iter().find(|(p, _)| p == pid).map_or(Duration::ZERO, |&(_, t)| t);
            now.saturating_sub(then)
        };
        let used: Duration = self.cpu.iter().map(used).sum();
        100.0 * used.as_secs_f64() / (self.at - before.at).as_secs_f64()
    }
}

/// In nanoseconds, where `/proc/PID/stat` has only hundredths of a second.
fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn resident_kb(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The disk the files are on, as nginx's control group sees it.
#[derive(Debug)]
struct Disk {
    group: PathBuf,
    device: String,
}

impl Disk {
    fn of(files: &Path) -> Result<Self> {
        let number = fs::metadata(files)?.dev();
        let device = format!("{}:{}", (number >> 8) & 0xfff, number & 0xff);
        let group = PathBuf::from(format!("/sys/fs/cgroup/blkio/anomaly-record-{}", std::process::id()));
        fs::create_dir(&group).context(
            "slowing nginx's disk needs root and a `blkio` control group (cgroup v1) at /sys/fs/cgroup/blkio",
        )?;
        let disk = Self { group, device };
        disk.limit(None).with_context(|| {
            format!("the disk {} cannot be slowed; set TMPDIR to a folder on a real one", disk.device)
        })?;
        Ok(disk)
    }

    fn hold(&self, processes: &[u32]) -> Result<()> {
        for pid in processes {
            fs::write(self.group.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    fn limit(&self, reads_a_second: Option<u64>) -> Result<()> {
        // 0 takes the limit away.
        let rule = format!("{} {}", self.device, reads_a_second.unwrap_or(0));
        Ok(fs::write(self.group.join("blkio.throttle.read_iops_device"), rule)?)
    }

    fn release(&self) {
        let _ = self.limit(None);
        let _ = fs::remove_dir(&self.group);
    }
}

fn configuration(place: &Path, address: SocketAddr, core: usize) -> String {
    let place = place.display();
    let affinity: String = "1".to_owned() + &"0".repeat(core);
    format!(
        "daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log emerg;
user root;
worker_processes 1;
worker_cpu_affinity {affinity};
events {{ worker_connections {CONNECTIONS}; }}
http {{
    access_log off;
    types {{ text/plain txt; }}
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    directio 4k;
    output_buffers 2 {BUFFER};
    client_header_buffer_size 16k;
    gzip on;
    gzip_types text/plain;
    gzip_comp_level 4;
    server {{
        listen {address} backlog=256;
        root {place}/files;
    }}
}}
"
    )
}

/// Text that compresses as text does: words of a small vocabulary, by rank. Always the same.
fn write_files(files: &Path) -> Result<()> {
    let mut random = Random::new(0, 2);
    for file in 0..FILES {
        // Whole buffers: what does not fill one nginx reads through the page cache after all.
        let size = random.between(1, 3) as usize * BUFFER;
        let mut text = String::with_capacity(size + 16);
        while text.len() < size {
            let word = (random.unit().powi(3) * 4000.0) as u64;
            let _ = write!(text, "{:x} ", word.wrapping_mul(2_654_435_761) & 0xff_ffff);
        }
        text.truncate(size);
        fs::write(files.join(format!("{file}.txt")), text)?;
    }
    // The reads are to come from the disk, so the files have to be on it.
    Command::new("sync").status().context("cannot run sync")?;
    Ok(())
}
