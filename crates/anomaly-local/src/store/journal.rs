//! What was judged, kept for a month.

use anomaly_core::position::{Place, Runs};
use anomaly_core::time::Timestamp;
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::Journal;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::error::Trouble;
use super::{End, Store};

/// By strand and last place: when it may be forgotten, in milliseconds since 1970; the runs, as JSON.
const JOURNAL: TableDefinition<'_, (&str, &str), (i64, &str)> = TableDefinition::new("journal");
/// When which note may be forgotten.
const EXPIRES: TableDefinition<'_, (i64, &str, &str), ()> = TableDefinition::new("journal-expires");
/// The port's month.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How many notes are forgotten with each that is made: more than one, so that there are less and less.
const FORGOTTEN_AT_ONCE: usize = 4;

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(JOURNAL)?;
    transaction.open_table(EXPIRES)?;
    Ok(())
}

impl Journal for Store {
    async fn note(&self, strand: &str, runs: &Runs, now: Timestamp) -> Result<(), Fault> {
        let Some((_, last)) = runs.ends() else { return Ok(()) };
        let last = last.sortable();
        self.write(
            || format!("note what was judged of {strand}"),
            |transaction| {
                forget(transaction, now)?;
                let body = serde_json::to_string(runs).map_err(|error| Trouble::Row(error.to_string()))?;
                let expires = now.as_ms().saturating_add(KEPT_MS);
                let mut journal = transaction.open_table(JOURNAL)?;
                let mut expiries = transaction.open_table(EXPIRES)?;
                let before = journal.insert((strand, last.as_str()), (expires, body.as_str()))?;
                if let Some(before) = before {
                    expiries.remove((before.value().0, strand, last.as_str()))?;
                }
                expiries.insert((expires, strand, last.as_str()), ())?;
                Ok(End::Commit(()))
            },
        )
    }

    async fn find(&self, strand: &str, first: &Place, last: Option<&Place>) -> Result<Runs, Fault> {
        self.read(
            || format!("find what was judged of {strand}"),
            |transaction| {
                let journal = transaction.open_table(JOURNAL)?;
                let mut found = Runs::default();
                let first = first.sortable();
                for row in journal.range((strand, first.as_str())..)? {
                    let (key, value) = row?;
                    if key.value().0 != strand {
                        break;
                    }
                    let runs = read(strand, value.value().1)?;
                    if runs.ends().zip(last).is_some_and(|((begins, _), last)| begins > last) {
                        break;
                    }
                    found.extend(runs);
                }
                Ok(found)
            },
        )
    }

    async fn get(&self, names: &[(String, Place)]) -> Result<Vec<Runs>, Fault> {
        self.read(
            || "look up what was noted as judged".to_owned(),
            |transaction| {
                let journal = transaction.open_table(JOURNAL)?;
                let runs = |(strand, last): &(String, Place)| {
                    let row = journal.get((strand.as_str(), last.sortable().as_str()))?;
                    row.map_or_else(|| Ok(Runs::default()), |row| read(strand, row.value().1))
                };
                names.iter().map(runs).collect()
            },
        )
    }
}

fn read(strand: &str, body: &str) -> Result<Runs, Trouble> {
    serde_json::from_str(body).map_err(|error| Trouble::Row(format!("what was judged of {strand}: {error}")))
}

/// Forgets some of what may be forgotten by `now`.
fn forget(transaction: &WriteTransaction, now: Timestamp) -> Result<(), Trouble> {
    let mut expiries = transaction.open_table(EXPIRES)?;
    let mut journal = transaction.open_table(JOURNAL)?;
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some(first) = expiries.first()?.map(|(key, _)| key) else { break };
        let (expires, strand, last) = first.value();
        if expires >= now.as_ms() {
            break;
        }
        let (strand, last) = (strand.to_owned(), last.to_owned());
        drop(first);
        journal.remove((strand.as_str(), last.as_str()))?;
        expiries.remove((expires, strand.as_str(), last.as_str()))?;
    }
    Ok(())
}
