//! Transitions are claimed by one, until a time; told once; and found, oldest first, until they are.

use anomaly_core::alert::Transition;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::{Claim, Outbox, Saved, States, TransitionKey};
use futures_util::future::join_all;

use super::{AllTables, Bench, at, judged, name};

/// Claims, leases, marks and what is pending.
///
/// # Errors
/// A fault of the tables.
///
/// # Panics
/// If they break their contract.
pub async fn outbox(bench: &mut impl Bench) -> Result<(), Fault> {
    a_claim_lasts_as_long_as_its_lease(&bench.fresh().await).await?;
    a_claim_is_given_up_by_who_has_it(&bench.fresh().await).await?;
    what_is_sent_is_sent(&bench.fresh().await).await?;
    one_of_many_claims_wins(&bench.fresh().await).await?;
    what_is_pending_is_listed(&bench.fresh().await).await
}

/// An alert of `series` that fired and resolved, both steps pending since `created_ms`.
async fn alert(tables: &impl AllTables, series: &str, created_ms: i64) -> Result<[Transition; 2], Fault> {
    let series = name(series);
    let (state, steps) = judged(&series, &[50.0, 1.0]);
    let saved = tables.states().save(&series, &state, None, &steps, at(created_ms)).await?;
    assert_eq!(saved, Saved::Written);
    let [fired, resolved] = &steps[..] else { panic!("{} steps", steps.len()) };
    Ok([fired.clone(), resolved.clone()])
}

fn taken(transition: &Transition) -> Claim {
    Claim::Taken(Box::new(transition.clone()))
}

async fn a_claim_lasts_as_long_as_its_lease(tables: &impl AllTables) -> Result<(), Fault> {
    let [fired, resolved] = alert(tables, "a", 1).await?;
    let key = TransitionKey::of(&fired);
    let claim = async |now, until| tables.outbox().claim(&key, at(now), at(until)).await;
    assert_eq!(claim(100, 200).await?, taken(&fired));
    assert_eq!(claim(101, 201).await?, Claim::Held);
    assert_eq!(claim(200, 300).await?, Claim::Held, "to the last moment of the lease");
    let other = TransitionKey::of(&resolved);
    assert_eq!(tables.outbox().claim(&other, at(150), at(250)).await?, taken(&resolved), "another step");
    assert_eq!(claim(201, 301).await?, taken(&fired), "whoever had it is gone");
    assert_eq!(claim(202, 302).await?, Claim::Held, "and it is held again");
    let unknown = TransitionKey { number: 99, ..key.clone() };
    assert_eq!(tables.outbox().claim(&unknown, at(1), at(2)).await?, Claim::Sent, "no such row any more");
    Ok(())
}

async fn a_claim_is_given_up_by_who_has_it(tables: &impl AllTables) -> Result<(), Fault> {
    let [fired, _] = alert(tables, "a", 1).await?;
    let key = TransitionKey::of(&fired);
    let (outbox, claim) =
        (tables.outbox(), async |now, until| tables.outbox().claim(&key, at(now), at(until)).await);
    outbox.release(&key, at(200)).await?;
    assert_eq!(claim(100, 200).await?, taken(&fired), "nobody had it");
    outbox.release(&key, at(199)).await?;
    assert_eq!(claim(101, 201).await?, Claim::Held, "that was another's claim");
    for _ in 0..2 {
        outbox.release(&key, at(200)).await?;
    }
    assert_eq!(claim(102, 202).await?, taken(&fired));
    outbox.mark_sent(&key, "m-1", at(103)).await?;
    outbox.release(&key, at(202)).await?;
    assert_eq!(claim(500, 600).await?, Claim::Sent, "what was sent is not given up");
    outbox.release(&TransitionKey { number: 99, ..key.clone() }, at(1)).await
}

async fn what_is_sent_is_sent(tables: &impl AllTables) -> Result<(), Fault> {
    let [fired, resolved] = alert(tables, "a", 1).await?;
    let (first, second) = (TransitionKey::of(&fired), TransitionKey::of(&resolved));
    let outbox = tables.outbox();
    assert_eq!(outbox.claim(&first, at(100), at(200)).await?, taken(&fired));
    for message in ["m-1", "m-2"] {
        outbox.mark_sent(&first, message, at(101)).await?;
        assert_eq!(outbox.claim(&first, at(500), at(600)).await?, Claim::Sent);
        assert_eq!(outbox.pending(at(1_000), 10).await?, std::slice::from_ref(&second));
    }
    let unknown = TransitionKey { number: 99, ..first };
    outbox.mark_sent(&unknown, "m-3", at(102)).await?;
    assert_eq!(outbox.claim(&unknown, at(500), at(600)).await?, Claim::Sent, "no row came to life");
    assert_eq!(outbox.pending(at(1_000), 10).await?, [second]);
    Ok(())
}

async fn one_of_many_claims_wins(tables: &impl AllTables) -> Result<(), Fault> {
    let [fired, _] = alert(tables, "a", 1).await?;
    let key = TransitionKey::of(&fired);
    for now in [100, 1_000] {
        let claims = (0..8).map(|i| tables.outbox().claim(&key, at(now), at(now + 100 + i)));
        let claims = join_all(claims).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let won = claims.iter().filter(|claim| **claim == taken(&fired)).count();
        let lost = claims.iter().filter(|claim| **claim == Claim::Held).count();
        assert_eq!((won, lost), (1, 7), "{claims:?}");
    }
    Ok(())
}

async fn what_is_pending_is_listed(tables: &impl AllTables) -> Result<(), Fault> {
    let outbox = tables.outbox();
    assert_eq!(outbox.pending(at(10_000), 10).await?, []);
    // Written in another order than they are to be listed in.
    let mut keys = Vec::new();
    for (series, created_ms) in [("c", 300), ("a", 100), ("b", 200)] {
        let steps = alert(tables, series, created_ms).await?;
        keys.push((created_ms, steps.map(|step| TransitionKey::of(&step))));
    }
    keys.sort_by_key(|(created_ms, _)| *created_ms);
    let keys: Vec<_> = keys.into_iter().flat_map(|(_, steps)| steps).collect();
    assert_eq!(outbox.pending(at(10_000), 10).await?, keys, "oldest first, steps in order");
    assert_eq!(outbox.pending(at(200), 10).await?, keys[..2], "before, not at");
    assert_eq!(outbox.pending(at(10_000), 4).await?, keys[..4], "the oldest of them");
    assert_eq!(outbox.pending(at(10_000), 2).await?, keys[..2], "the oldest of them");
    outbox.claim(&keys[0], at(400), at(500)).await?;
    assert_eq!(outbox.pending(at(10_000), 2).await?, keys[..2], "a claim does not end it");
    for key in &keys[..2] {
        outbox.mark_sent(key, "m", at(401)).await?;
    }
    assert_eq!(outbox.pending(at(10_000), 10).await?, keys[2..]);
    Ok(())
}
