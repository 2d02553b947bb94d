//! Rejected records once more: after a wider limit, another pointer, a mended decoder.

use std::collections::BTreeMap;

use anomaly_core::decode::Decoder;
use anomaly_core::position::Position;
use anomaly_core::records::{Decoded, Records};
use anomaly_core::reject::Reject;
use anomaly_core::wire::{RejectV1, RowV1};
use smol_str::{SmolStr, format_smolstr};

use crate::fault::Fault;
use crate::invoke::{Invoked, Turn, invoke};
use crate::ports::{Queue, Scorer, Timer, Windows};

/// What goes before the name of a partition whose rejects come again. The series' states then take them for what
/// they are, readings that are older than what was judged, and judge them late, each by itself: those between them
/// were judged.
pub(crate) const AGAIN: &str = "rejects:";

/// What became of rejects that were tried again; each is in one of the four.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redriven {
    /// On their way to `classify`: no rejects any more.
    pub queued: Vec<RejectV1>,
    /// At fault still, with what is wrong now; `None` if too little of the record was kept to try.
    pub refused: Vec<(RejectV1, Option<Reject>)>,
    /// Refused by the model once more: on their way to `classify`, which keeps them anew with what it says now.
    pub renewed: Vec<(RejectV1, Reject)>,
    /// Not tried to the end, and rejects as before.
    pub left: Vec<RejectV1>,
    /// Why some are left.
    pub fault: Option<Fault>,
}

impl Redriven {
    /// Those that need not be kept any more. One that was renewed before is kept again in the same place.
    pub fn done(&self) -> impl Iterator<Item = &RejectV1> {
        let renewed = self.renewed.iter().map(|(reject, _)| reject);
        self.queued.iter().chain(renewed.filter(|reject| !reject.partition.starts_with(AGAIN)))
    }
}

/// Decodes `rejects` with the present `decoder`, scores what can be read, and queues it with the position it had.
///
/// The same rejects again are the same chunks again: `classify` recognises them.
pub async fn redrive<S: Scorer, T: Timer, W: Windows>(
    turn: &Turn<'_, S, T, W>,
    queue: &impl Queue,
    decoder: &Decoder,
    rejects: Vec<RejectV1>,
) -> Redriven {
    let mut redriven = Redriven::default();
    for (partition, rejects) in by_partition(rejects) {
        if redriven.fault.is_some() {
            redriven.left.extend(rejects);
            continue;
        }
        // Twice refused is not a partition of a partition.
        let name = format_smolstr!("{AGAIN}{}", partition.trim_start_matches(AGAIN));
        let (mut readable, mut records) = (Vec::new(), Records::default());
        for reject in rejects {
            match decode(decoder, &name, &reject) {
                Ok(entries) => {
                    entries.into_iter().for_each(|entry| records.add(entry));
                    records.end_record();
                    readable.push(reject);
                }
                Err(why) => redriven.refused.push((reject, why)),
            }
        }
        let Invoked { resume_at, refused, fault, .. } = invoke(turn, queue, &name, &records).await;
        redriven.left.extend(readable.split_off(resume_at.unwrap_or(readable.len())));
        for reject in readable {
            match refused.iter().find(|again| again.sequence == reject.sequence && again.sub == reject.sub) {
                Some(again) => redriven.renewed.push((reject, again.reject.clone())),
                None => redriven.queued.push(reject),
            }
        }
        redriven.fault = fault;
    }
    redriven
}

/// The rejects of each partition, in the order of the source.
fn by_partition(rejects: Vec<RejectV1>) -> BTreeMap<SmolStr, Vec<RejectV1>> {
    let mut partitions: BTreeMap<SmolStr, Vec<RejectV1>> = BTreeMap::new();
    rejects.into_iter().for_each(|r| partitions.entry(r.partition.clone()).or_default().push(r));
    for rejects in partitions.values_mut() {
        rejects.sort_by(|a, b| (&a.sequence, a.sub).cmp(&(&b.sequence, b.sub)));
    }
    partitions
}

/// What the record holds, if none of it is at fault. Of one that a model refused, or could not be given, its reading
/// was kept.
fn decode(decoder: &Decoder, partition: &SmolStr, reject: &RejectV1) -> Result<Vec<Decoded>, Option<Reject>> {
    let bytes = reject.whole().ok_or(None)?;
    let row = || serde_json::from_slice::<RowV1>(&bytes);
    let reading = |row: RowV1| vec![Decoded::Reading(row.into_scored(partition).reading)];
    match reject.reject {
        Reject::Refused { .. } => {
            return row().map(reading).map_err(|e| Some(Reject::Json { detail: e.to_string() }));
        }
        // Found by the decoder in a record, or by us in a reading that had no value before.
        Reject::Missing { .. } | Reject::NotFinite { .. } => {
            if let Ok(row) = row() {
                return Ok(reading(row));
            }
        }
        _ => {}
    }
    let position = Position { partition: partition.clone(), ..reject.position() };
    let mut records = Records::default();
    decoder.record(&bytes, &position, &mut records);
    for entry in records.entries() {
        if let Decoded::Rejected(reject) = entry {
            return Err(Some(reject.reject.clone()));
        }
    }
    Ok(records.entries().to_vec())
}
