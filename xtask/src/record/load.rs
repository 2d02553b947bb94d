//! The load: requests that arrive when they arrive, whether or not the last ones were answered.
//!
//! An open loop: each request has its own thread and its latency counts from when it was due, so a
//! server that stalls is not spared the requests it kept waiting.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::pause;
use super::random::Random;
use super::server;

/// For the labels.
pub(super) const LOAD: &str = "open loop, Poisson arrivals around 90 requests a second with a wave of 10 minutes and a slow \
     random walk, a connection each, gzip accepted; a refused or cut connection is tried again every 100 ms";

/// For the labels.
pub(super) const LATENCY: &str = "90th percentile over the requests that ended in that second, from when each was due to its last \
     byte; a request that failed, or a second in which none ended, counts as the time-out of 2000 ms";

/// When a client gives up.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client waits after a refused or cut connection.
const RETRY: Duration = Duration::from_millis(100);

/// What ended in one second: the latency of each request, and whether it was answered.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(Duration, bool)>);

impl Tally {
    pub(super) fn succeeded(&self) -> usize {
        self.0.iter().filter(|(_, answered)| *answered).count()
    }

    /// The 90th percentile, a failure counting as the time-out.
    pub(super) fn latency_ms(&self) -> f64 {
        let mut all: Vec<Duration> =
            self.0.iter().map(|&(t, answered)| if answered { t } else { TIMEOUT }).collect();
        all.sort_unstable();
        let rank = (all.len() * 9).div_ceil(10).saturating_sub(1);
        all.get(rank).unwrap_or(&TIMEOUT).as_secs_f64() * 1e3
    }
}

/// The running generator; it ends when told to stop.
#[derive(Debug)]
pub(super) struct Load {
    ended: Arc<Mutex<Tally>>,
}

impl Load {
    pub(super) fn start(address: SocketAddr, seed: u64, stop: Arc<AtomicBool>) -> Self {
        let ended = Arc::new(Mutex::new(Tally::default()));
        let sink = Arc::clone(&ended);
        thread::spawn(move || generate(address, seed, &stop, &sink));
        Self { ended }
    }

    /// What ended since the last call.
    pub(super) fn take(&self) -> Tally {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn generate(address: SocketAddr, seed: u64, stop: &AtomicBool, sink: &Arc<Mutex<Tally>>) {
    let mut random = Random::new(seed, 1);
    let began = Instant::now();
    let (mut due, mut walk) = (Duration::ZERO, 0.0);
    while !stop.load(Ordering::Relaxed) {
        let gap = random.gap(1.0 / rate(due.as_secs_f64(), walk));
        walk = wander(walk, gap, &mut random);
        due += Duration::from_secs_f64(gap);
        let file = file(&mut random);
        pause(due.saturating_sub(began.elapsed()));
        let (due, sink) = (began + due, Arc::clone(sink));
        thread::spawn(move || {
            let answered = ask(address, file, due + TIMEOUT);
            sink.lock().unwrap_or_else(PoisonError::into_inner).0.push((due.elapsed(), answered));
        });
    }
}

/// Requests a second, `at` seconds in: a wave of ten minutes, and what the walk adds.
fn rate(at: f64, walk: f64) -> f64 {
    let wave = (at * std::f64::consts::TAU / 600.0).sin();
    90.0 + 25.0 * wave + walk
}

/// A random walk that is pulled home within a minute or so (Ornstein-Uhlenbeck): some 6 requests a
/// second up or down.
fn wander(walk: f64, seconds: f64, random: &mut Random) -> f64 {
    let home = 60.0;
    // Of unit variance, and near enough to a normal one: arrivals are many.
    let step = (random.unit() - 0.5) * 12f64.sqrt();
    (walk - walk * seconds / home + 6.0 * (2.0 * seconds / home).sqrt() * step).clamp(-25.0, 25.0)
}

/// A few files are asked for often, most seldom.
fn file(random: &mut Random) -> usize {
    let skewed = random.unit().powi(2) * server::FILES as f64;
    (skewed as usize).min(server::FILES - 1)
}

/// One client: asks until it is answered or out of time.
fn ask(address: SocketAddr, file: usize, deadline: Instant) -> bool {
    loop {
        if get(address, file, deadline).is_ok() {
            return true;
        }
        if Instant::now() + RETRY >= deadline {
            return false;
        }
        pause(RETRY);
    }
}

fn get(address: SocketAddr, file: usize, deadline: Instant) -> io::Result<()> {
    let mut connection = TcpStream::connect_timeout(&address, left(deadline)?)?;
    write!(
        connection,
        "GET {} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        server::path(file)
    )?;
    let mut answer = Vec::with_capacity(1 << 17);
    let mut chunk = [0; 1 << 14];
    loop {
        connection.set_read_timeout(Some(left(deadline)?))?;
        match connection.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
    // gzip is sent in chunks: the empty last one says that nothing was cut off.
    if answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"\r\n0\r\n\r\n") {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|d| !d.is_zero())
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// A client that sends a request byte by byte and never ends it, until told to stop; one that is
/// turned away comes again.
pub(super) fn trickle(address: SocketAddr, lasts: Duration, stop: &AtomicBool) {
    let request =
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\nX-Slow: {}", server::path(0), "s".repeat(1000));
    while !stop.load(Ordering::Relaxed) {
        let _ = send_slowly(address, request.as_bytes(), lasts, stop);
        pause(RETRY);
    }
}

fn send_slowly(address: SocketAddr, request: &[u8], lasts: Duration, stop: &AtomicBool) -> io::Result<()> {
    let mut connection = TcpStream::connect_timeout(&address, TIMEOUT)?;
    let began = Instant::now();
    for byte in request {
        if began.elapsed() > lasts || stop.load(Ordering::Relaxed) {
            break;
        }
        connection.write_all(&[*byte])?;
        pause(Duration::from_millis(200));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answered: u64, failed: usize) -> Tally {
        let ended = (1..=answered).map(|ms| (Duration::from_millis(ms), true));
        Tally(ended.chain(std::iter::repeat_n((Duration::from_millis(3), false), failed)).collect())
    }

    #[test]
    fn latency_is_the_90th_percentile() {
        assert_eq!(tally(10, 0).latency_ms(), 9.0);
        assert_eq!(tally(1, 0).latency_ms(), 1.0);
    }

    #[test]
    fn failures_and_silence_count_as_the_time_out() {
        assert_eq!(tally(0, 0).latency_ms(), 2000.0);
        assert_eq!(tally(8, 2).latency_ms(), 2000.0);
        assert_eq!(tally(9, 1).latency_ms(), 9.0);
    }
}
