//! The faults: what goes wrong, when, and for how long.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::load;
use super::random::Random;
use super::say;
use super::server::Server;

/// Each can strike more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    CpuHog,
    StalledDisk,
    Restart,
    SlowClients,
}

impl Kind {
    const ALL: [Self; 4] = [Self::CpuHog, Self::StalledDisk, Self::Restart, Self::SlowClients];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CpuHog => "cpu-hog",
            Self::StalledDisk => "stalled-disk",
            Self::Restart => "restart",
            Self::SlowClients => "slow-clients",
        }
    }
}

/// A fault to come: when, in seconds from the start, and for how many.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) kind: Kind,
    pub(super) at: u64,
    pub(super) lasts: u64,
}

/// A fault that was: between which seconds of the clock.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) what: String,
}

/// Each kind once in either half, in an order of its own. The first comes after nearly a fifth of
/// the time: a detector has to see what is normal before it can say what is not.
pub(super) fn plan(seconds: u64, seed: u64) -> Vec<Planned> {
    let mut random = Random::new(seed, 3);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut half = Kind::ALL;
        random.shuffle(&mut half);
        // No kind twice in a row.
        if kinds.last() == half.first() {
            half.reverse();
        }
        kinds.extend(half);
    }
    let (first, gap) = (seconds * 18 / 100, seconds / 10);
    let planned = |(i, kind): (usize, Kind)| {
        let lasts = match kind {
            Kind::Restart => random.between(9, 15),
            _ => random.between(50, 85).min(gap / 2),
        };
        Planned { kind, at: first + gap * i as u64 + random.between(0, gap / 12), lasts }
    };
    kinds.into_iter().enumerate().map(planned).collect()
}

/// A fault in progress, with what has to be undone at its end.
#[derive(Debug)]
enum Running {
    Hog(Child),
    Disk,
    Stopped,
    Flood(Flood),
}

/// Brings the faults on and off.
#[derive(Debug)]
pub(super) struct Stage {
    to_come: Vec<Planned>,
    now: Option<(Fault, u64, Running)>,
    done: Vec<Fault>,
    core: usize,
    random: Random,
}

impl Stage {
    pub(super) fn new(mut plan: Vec<Planned>, core: usize, seed: u64) -> Self {
        plan.reverse();
        Self { to_come: plan, now: None, done: Vec::new(), core, random: Random::new(seed, 4) }
    }

    /// What is due at `elapsed` seconds from the start, which is the second `clock`.
    pub(super) fn step(&mut self, elapsed: u64, clock: u64, server: &mut Server) -> Result<()> {
        if self.now.as_ref().is_some_and(|&(_, until, _)| elapsed >= until) {
            self.clear(clock, server)?;
        }
        if self.now.is_none()
            && let Some(planned) = self.to_come.pop_if(|next| elapsed >= next.at)
        {
            self.strike(&planned, elapsed, clock, server)?;
        }
        Ok(())
    }

    fn strike(&mut self, planned: &Planned, elapsed: u64, clock: u64, server: &mut Server) -> Result<()> {
        let (what, running) = match planned.kind {
            Kind::CpuHog => {
                let (loops, pause_ms) = (self.random.between(80_000, 125_000), self.random.between(25, 35));
                let what = format!(
                    "A busy loop of {loops} rounds took nginx's only core again and again, with pauses of {pause_ms} ms."
                );
                (what, Running::Hog(hog(self.core, loops, pause_ms)?))
            }
            Kind::StalledDisk => {
                let reads = self.random.between(60, 90);
                server.slow_disk(Some(reads))?;
                (format!("The disk answered nginx only {reads} reads a second."), Running::Disk)
            }
            Kind::Restart => {
                server.stop();
                ("nginx was stopped and, at the end, started again.".to_owned(), Running::Stopped)
            }
            Kind::SlowClients => {
                let clients = self.random.between(90, 130);
                let what = format!("{clients} clients each sent a request byte by byte and never ended it.");
                (what, Running::Flood(Flood::start(server.address(), clients, &mut self.random)))
            }
        };
        say(&format!("{} begins: {what}", planned.kind.name()));
        let fault = Fault { kind: planned.kind, start: clock, end: clock, what };
        self.now = Some((fault, elapsed + planned.lasts, running));
        Ok(())
    }

    /// Ends the fault of the moment, if there is one.
    pub(super) fn clear(&mut self, clock: u64, server: &mut Server) -> Result<()> {
        let Some((mut fault, _, running)) = self.now.take() else { return Ok(()) };
        match running {
            Running::Hog(hog) => end(hog),
            Running::Disk => server.slow_disk(None)?,
            Running::Stopped => server.resume()?,
            Running::Flood(flood) => flood.stop(),
        }
        fault.end = clock;
        say(&format!("{} ended after {} s", fault.kind.name(), fault.end - fault.start));
        self.done.push(fault);
        Ok(())
    }

    /// The fault of the moment, for the progress.
    pub(super) fn now(&self) -> &'static str {
        self.now.as_ref().map_or("", |(fault, ..)| fault.kind.name())
    }

    pub(super) fn done(&self) -> &[Fault] {
        &self.done
    }
}

impl Drop for Stage {
    /// However the recording ends, no busy loop may outlive it.
    fn drop(&mut self) {
        match self.now.take() {
            Some((_, _, Running::Hog(hog))) => end(hog),
            Some((_, _, Running::Flood(flood))) => flood.stop(),
            _ => {}
        }
    }
}

/// A process of its own, which does nothing, very busily, on the given core. It pauses: nginx,
/// which waits for its disk, would otherwise hardly get a turn, and the fault look like a stop.
fn hog(core: usize, loops: u64, pause_ms: u64) -> Result<Child> {
    let bursts = format!(
        "while :; do i=0; while [ $i -lt {loops} ]; do i=$((i+1)); done; sleep 0.{pause_ms:03}; done"
    );
    Command::new("taskset")
        .args(["-c", &core.to_string(), "sh", "-c", &bursts])
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start the CPU hog (taskset, of util-linux, is needed)")
}

/// `taskset` becomes `sh` in the same process, so ending the child ends the loop.
fn end(mut hog: Child) {
    let _ = hog.kill();
    let _ = hog.wait();
}

/// Many slow clients, a thread each.
#[derive(Debug)]
struct Flood {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(address: SocketAddr, clients: u64, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, lasts) = (Arc::clone(&stop), Duration::from_secs(random.between(8, 25)));
            thread::spawn(move || load::trickle(address, lasts, &stop))
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, clients }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let _ = client.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_leave_time_to_learn_and_to_recover() {
        for seed in 0..100 {
            let plan = plan(72 * 60, seed);
            assert_eq!(plan.len(), 2 * Kind::ALL.len());
            assert!(plan[0].at >= 12 * 60);
            for pair in plan.windows(2) {
                assert!(pair[1].at >= pair[0].at + pair[0].lasts + 5 * 60);
                assert_ne!(pair[0].kind, pair[1].kind);
            }
            assert!(plan.iter().all(|p| p.at + p.lasts < 72 * 60));
        }
    }
}
