//! Stage three: transitions to people.

use anomaly_core::message::message;
use anomaly_core::settle::{Fate, Tally, settle_in_order};
use anomaly_core::time::Timestamp;

use crate::fault::Fault;
use crate::ports::{Claim, Outbox, Publisher, TransitionKey};

/// The most transitions one sweep takes: the next one comes in five minutes.
pub const SWEEP_MAX: usize = 200;
/// How old a pending transition must be for the sweep, in milliseconds: younger ones are on their way.
pub const SWEEP_AGE_MS: i64 = 60_000;

/// What became of a batch of transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The fates, counted. A transition that was sent before, or that somebody else is sending, is done.
    pub tally: Tally,
    /// The index from which the source must resume, if any.
    pub resume_at: Option<usize>,
    /// Messages sent now.
    pub sent: usize,
    /// Why transitions are wanted again, one entry each.
    pub faults: Vec<Fault>,
}

/// What stands for the publisher's message id where nobody is told ([`Transition::held`]).
///
/// [`Transition::held`]: anomaly_core::alert::Transition::held
pub const HELD: &str = "held";

/// Publishes the transitions `keys` in order, stopping at the first failure: for a stream, which resumes there.
///
/// `lease_until` is when this process is surely gone, and its claims with it.
pub async fn publish(
    outbox: &impl Outbox,
    publisher: &impl Publisher,
    keys: &[TransitionKey],
    now: Timestamp,
    lease_until: Timestamp,
) -> Published {
    let mut fates = vec![Fate::Again; keys.len()];
    let (mut sent, mut faults) = (0, Vec::new());
    for (key, fate) in keys.iter().zip(&mut fates) {
        match publish_one(outbox, publisher, key, now, lease_until).await {
            Ok(was_sent) => {
                *fate = Fate::Done;
                sent += usize::from(was_sent);
            }
            Err(fault) => {
                faults.push(fault);
                break;
            }
        }
    }
    let resume_at = settle_in_order(&mut fates);
    Published { tally: Tally::of(keys.len(), &fates), resume_at, sent, faults }
}

/// Publishes what was left pending, oldest first. A failure holds up only its own alert, whose later steps
/// must not overtake it.
///
/// # Errors
/// If the pending transitions cannot be listed.
pub async fn sweep(
    outbox: &impl Outbox,
    publisher: &impl Publisher,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Published, Fault> {
    let before = Timestamp::from_ms(now.as_ms() - SWEEP_AGE_MS).unwrap_or(now);
    let keys = outbox.pending(before, SWEEP_MAX).await?;
    let mut published = Published { tally: Tally::default(), resume_at: None, sent: 0, faults: Vec::new() };
    let (mut fates, mut stuck) = (Vec::with_capacity(keys.len()), Vec::new());
    for key in &keys {
        if stuck.contains(&key.alert) {
            fates.push(Fate::Again);
            continue;
        }
        match publish_one(outbox, publisher, key, now, lease_until).await {
            Ok(was_sent) => {
                published.sent += usize::from(was_sent);
                fates.push(Fate::Done);
            }
            Err(fault) => {
                published.faults.push(fault);
                stuck.push(key.alert.clone());
                fates.push(Fate::Again);
            }
        }
    }
    published.tally = Tally::of(keys.len(), &fates);
    Ok(published)
}

/// Claims, publishes, marks; gives the claim up if the publisher fails. A crash before the publisher's answer leaves
/// the row pending: it is sent after the lease. A crash between that answer and the mark sends it twice, with the same
/// alert and number. What is held is only marked.
async fn publish_one(
    outbox: &impl Outbox,
    publisher: &impl Publisher,
    key: &TransitionKey,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<bool, Fault> {
    match outbox.claim(key, now, lease_until).await? {
        Claim::Taken(transition) if transition.held.is_some() => {
            outbox.mark_sent(key, HELD, now).await?;
            Ok(false)
        }
        Claim::Taken(transition) => {
            let message_id = match publisher.publish(&message(&transition)).await {
                Ok(message_id) => message_id,
                Err(fault) => {
                    // Else the stream, which comes again at once, would find it held and go on to later steps.
                    // Should this fail too, the sweep finds it after the lease.
                    let _ = outbox.release(key, lease_until).await;
                    return Err(fault);
                }
            };
            outbox.mark_sent(key, &message_id, now).await?;
            Ok(true)
        }
        Claim::Held | Claim::Sent => Ok(false),
    }
}
