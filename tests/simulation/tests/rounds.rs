//! What CI runs of the simulation: 200 seeds, and that they see what they are there to see.

use anomaly_simulation::chaos::{PORTS, Port, STRIKES};
use anomaly_simulation::round::Counts;
use anomaly_simulation::shrink::check;

/// Every promise holds in 200 worlds; `docs/simulation.md` says which promises these are.
#[test]
fn every_promise_holds() {
    let mut counts = Counts::default();
    for seed in 0..200 {
        match check(seed) {
            Ok(outcome) => counts.add(&outcome.counts),
            Err(failure) => panic!("{failure}"),
        }
    }
    // A simulation in which nothing goes wrong holds every promise.
    for (port, struck) in PORTS.iter().zip(&counts.strikes) {
        let total: u64 = struck.iter().sum();
        // A claim is released only after a message could not be sent: so rarely that 200 rounds may miss it.
        assert!(total > 0 || *port == Port::Release, "{port:?} was never struck");
    }
    for (index, strike) in STRIKES.iter().enumerate() {
        let total: u64 = counts.strikes.iter().map(|struck| struck[index]).sum();
        assert!(total > 50, "{strike:?} came up {total} times");
    }
    let Counts { told, told_again, rejects, deaths, deduplicated, .. } = counts;
    assert!(told > 500 && told_again > 0 && rejects > 500, "{told}, {told_again}, {rejects}");
    assert!(deaths > 100 && deduplicated > 100, "{deaths}, {deduplicated}");
}
