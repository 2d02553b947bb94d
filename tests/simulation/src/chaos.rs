//! What goes wrong at a call, and when.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::scenario::{Rates, Scenario};

/// A kind of call that can go wrong: the ports' methods, and what Lambda does around a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// `Scorer::score`.
    Score,
    /// `Queue::send`.
    Send,
    /// `States::load`.
    Load,
    /// `States::save`.
    Save,
    /// `States::due`.
    Due,
    /// `Rejects::keep`.
    Keep,
    /// `Outbox::claim`.
    Claim,
    /// `Outbox::release`.
    Release,
    /// `Outbox::mark_sent`.
    Mark,
    /// `Outbox::pending`.
    Pending,
    /// `Publisher::publish`.
    Publish,
    /// A function's answer on its way to the event source mapping.
    Answer,
    /// The mapping taking a message that is done off the queue.
    Delete,
    /// `Journal::find`.
    Find,
    /// `Journal::note`.
    Note,
    /// `Journal::get`.
    Get,
    /// `Windows::load`.
    LoadWindows,
    /// `Windows::save`.
    SaveWindow,
}

/// All of [`Port`].
pub const PORTS: [Port; 18] = [
    Port::Score,
    Port::Send,
    Port::Load,
    Port::Save,
    Port::Due,
    Port::Keep,
    Port::Claim,
    Port::Release,
    Port::Mark,
    Port::Pending,
    Port::Publish,
    Port::Answer,
    Port::Delete,
    Port::Find,
    Port::Note,
    Port::Get,
    Port::LoadWindows,
    Port::SaveWindow,
];

/// What befalls a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// Nothing happens, and the caller is told so.
    FailBefore,
    /// It happens, and the caller is told that it did not: the answer was lost.
    FailAfter,
    /// The process dies, and nothing happens.
    KillBefore,
    /// It happens, and the process dies.
    KillAfter,
    /// The process dies, and it happens later, when somebody else may be at the same work.
    KillLate,
    /// It takes long, perhaps longer than the function may run.
    Slow,
}

/// All of [`Strike`].
pub const STRIKES: [Strike; 6] = [
    Strike::FailBefore,
    Strike::FailAfter,
    Strike::KillBefore,
    Strike::KillAfter,
    Strike::KillLate,
    Strike::Slow,
];

/// Which of a round's strikes happen: all, unless a smaller failing round is looked for.
///
/// Strikes are numbered in the order in which they come up.
#[derive(Clone, Debug, Default)]
pub struct Spared {
    /// None from this number on.
    pub from: Option<usize>,
    /// Not these.
    pub numbers: BTreeSet<usize>,
}

impl Spared {
    fn holds(&self, number: usize) -> bool {
        self.from.is_some_and(|from| number >= from) || self.numbers.contains(&number)
    }
}

/// How a call goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How long it takes to its effect, in milliseconds.
    pub(crate) before_ms: i64,
    /// How long from there to the caller.
    pub(crate) after_ms: i64,
    /// When its effect comes if the process dies first, in milliseconds from then.
    pub(crate) late_ms: i64,
    /// What befalls it.
    pub(crate) strike: Option<Strike>,
}

/// The dice.
#[derive(Debug)]
pub(crate) struct Chaos {
    /// One for each kind of call, so that a strike spared at one leaves the others' dice alone.
    dice: Vec<Rng>,
    rates: Vec<Rates>,
    spared: Spared,
    well_from_ms: i64,
    /// Strikes that came up.
    numbered: usize,
    /// How often each strike befell each port.
    pub(crate) counts: Vec<[u64; STRIKES.len()]>,
}

impl Chaos {
    pub(crate) fn new(seed: u64, scenario: &Scenario, spared: Spared) -> Self {
        let mut seeds = Rng::with_seed(seed ^ 0x00c4_a050);
        Chaos {
            dice: PORTS.iter().map(|_| seeds.fork()).collect(),
            rates: scenario.rates.clone(),
            spared,
            well_from_ms: scenario.well_from_ms,
            numbered: 0,
            counts: vec![[0; STRIKES.len()]; PORTS.len()],
        }
    }

    /// How many strikes came up so far, spared ones included.
    pub(crate) fn numbered(&self) -> usize {
        self.numbered
    }

    /// Throws the dice for a call. As many are thrown whatever falls.
    pub(crate) fn plan(&mut self, port: Port, now_ms: i64) -> Plan {
        let dice = &mut self.dice[port as usize];
        let Rates { fail, kill, slow } = self.rates[port as usize];
        let (draw, side, length) = (dice.f64(), dice.u8(..), dice.i64(2_000..70_000));
        // Soon, or just when the work is done anew: a message that was not deleted comes again after 180 s.
        let (soon, much_later) = (dice.i64(1..4_000), dice.i64(179_980..180_060));
        let mut plan = Plan {
            before_ms: dice.i64(0..20),
            after_ms: dice.i64(0..20),
            late_ms: if side < 192 { soon } else { much_later },
            strike: None,
        };
        if now_ms >= self.well_from_ms {
            return plan;
        }
        let strike = match draw {
            d if d < fail => [Strike::FailBefore, Strike::FailAfter][usize::from(side % 2)],
            d if d < fail + kill => {
                [Strike::KillBefore, Strike::KillAfter, Strike::KillLate][usize::from(side % 3)]
            }
            d if d < fail + kill + slow => Strike::Slow,
            _ => return plan,
        };
        let number = self.numbered;
        self.numbered += 1;
        if !self.spared.holds(number) {
            self.counts[port as usize][strike as usize] += 1;
            plan.strike = Some(strike);
            match strike {
                Strike::Slow if side % 2 == 0 => plan.before_ms += length,
                Strike::Slow => plan.after_ms += length,
                _ => {}
            }
        }
        plan
    }
}
