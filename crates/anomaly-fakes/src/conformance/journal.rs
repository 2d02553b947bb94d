//! What was judged is found again.

use anomaly_core::position::{Place, Runs, Sequence};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Journal;

/// An empty journal finds what was noted, and only that.
///
/// # Errors
/// A fault of the journal.
///
/// # Panics
/// If the journal breaks its contract.
pub async fn journal(journal: &impl Journal) -> Result<(), Fault> {
    let find = async |strand: &str, first: u64, last: Option<u64>| {
        let found = journal.find(strand, &place(first), last.map(place).as_ref()).await;
        found.map(|runs| [5, 8, 9, 95, 99, 150, 999, 1_000, 1_005].map(|number| runs.cover(&place(number))))
    };
    let nothing = [false; 9];
    assert_eq!(find("s", 0, None).await?, nothing, "before anything was noted");

    // Numbers of different lengths, which text would sort otherwise.
    for (first, last) in [(999, 1_000), (5, 8), (95, 99)] {
        journal.note("s", &runs(&[(first, last)]), Timestamp::default()).await?;
    }
    journal.note("s/2", &runs(&[(9, 9)]), Timestamp::default()).await?;
    let all = [true, true, false, true, true, false, true, true, false];
    assert_eq!(find("s", 0, None).await?, all);
    assert_eq!(find("s", 5, Some(1_000)).await?, all);
    assert_eq!(find("s", 8, Some(8)).await?[..2], [true, true], "the note a place lies in");
    assert!(find("s", 99, Some(150)).await?[4], "the last place of a note");
    assert!(!find("s", 9, Some(9)).await?[2], "another strand's");
    assert_eq!(find("s", 1_001, None).await?, nothing, "behind all");

    journal.note("s", &runs(&[(5, 8)]), Timestamp::default()).await?;
    assert_eq!(find("s", 0, None).await?, all, "noted again");
    journal.note("s", &runs(&[(150, 150), (1_005, 1_005)]), Timestamp::default()).await?;
    let found = find("s", 1_000, None).await?;
    assert_eq!(found[5..], [true, true, true, true], "all runs of a note that is found");

    let name = |strand: &str, last| (strand.to_owned(), place(last));
    let got = journal.get(&[name("s", 1_005), name("s", 7), name("s/2", 9), name("s", 8)]).await?;
    assert_eq!(got, [&[(150, 150), (1_005, 1_005)][..], &[], &[(9, 9)], &[(5, 8)]].map(runs));
    assert_eq!(journal.get(&[]).await?, []);
    let many: Vec<_> = (0..130).map(|last| name("s", last)).collect();
    let there = journal.get(&many).await?.iter().map(|runs| !runs.is_empty()).collect::<Vec<_>>();
    assert_eq!(there, (0..130).map(|last| [8, 99].contains(&last)).collect::<Vec<_>>());
    Ok(())
}

fn place(number: u64) -> Place {
    Place { sequence: Sequence::from(number), sub: 0 }
}

fn runs(ends: &[(u64, u64)]) -> Runs {
    let mut runs = Runs::default();
    ends.iter().for_each(|(first, last)| runs.push(place(*first), place(*last)));
    runs
}
