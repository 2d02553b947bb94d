//! A Kinesis stream: shards over ranges of keys, records in order within a shard, splits and merges.

use fastrand::Rng;

use crate::mapping::{Cursor, Span};
use crate::scenario::{EPOCH_MS, Put, Reshard};

/// The stream's name.
const NAME: &str = "clicks";

/// A record in a shard.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Rising within the shard; shards have no common order.
    pub(crate) sequence: String,
    pub(crate) arrived_ms: i64,
    /// Which of the scenario's puts it is.
    pub(crate) put: usize,
}

/// A shard.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    /// Its keys, both ends included.
    keys: (u64, u64),
    parents: Vec<usize>,
    is_open: bool,
    /// Its sequence numbers start here.
    base: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) cursor: Cursor,
    /// When the mapping may ask for records again.
    pub(crate) not_before_ms: i64,
}

/// The stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) shards: Vec<Shard>,
}

impl Stream {
    pub(crate) fn new(shards: usize, rng: &mut Rng) -> Self {
        let mut stream = Stream { shards: Vec::new() };
        let width = u64::MAX / shards as u64;
        for i in 0..shards as u64 {
            let end = if i + 1 == shards as u64 { u64::MAX } else { (i + 1) * width - 1 };
            stream.open((i * width, end), Vec::new(), rng);
        }
        stream
    }

    fn open(&mut self, keys: (u64, u64), parents: Vec<usize>, rng: &mut Rng) {
        let (base, cursor) = (rng.u64(0..1 << 40), Cursor::default());
        let records = Vec::new();
        self.shards.push(Shard { keys, parents, is_open: true, base, records, cursor, not_before_ms: 0 });
    }

    /// Puts a record; the index of its shard.
    pub(crate) fn put(&mut self, key: u64, put: usize, now_ms: i64) -> usize {
        let index = self.shards.iter().position(|s| s.is_open && (s.keys.0..=s.keys.1).contains(&key));
        // Open shards cover all keys.
        let index = index.unwrap_or_default();
        let shard = &mut self.shards[index];
        // 56 digits, as Kinesis gives them.
        let sequence = format!("4959{:020}{:032}", shard.base, shard.records.len() * 3 + 7);
        shard.records.push(Record { sequence, arrived_ms: EPOCH_MS + now_ms, put });
        index
    }

    /// Splits or merges open shards, if there are such.
    pub(crate) fn reshard(&mut self, how: Reshard, rng: &mut Rng) {
        let mut open: Vec<usize> = (0..self.shards.len()).filter(|i| self.shards[*i].is_open).collect();
        open.sort_by_key(|i| self.shards[*i].keys);
        let at = rng.usize(0..open.len());
        match how {
            Reshard::Split => {
                let (start, end) = self.shards[open[at]].keys;
                let middle = start.midpoint(end);
                self.shards[open[at]].is_open = false;
                self.open((start, middle), vec![open[at]], rng);
                self.open((middle + 1, end), vec![open[at]], rng);
            }
            Reshard::Merge if at + 1 < open.len() => {
                let (one, two) = (open[at], open[at + 1]);
                let keys = (self.shards[one].keys.0, self.shards[two].keys.1);
                (self.shards[one].is_open, self.shards[two].is_open) = (false, false);
                self.open(keys, vec![one, two], rng);
            }
            Reshard::Merge => {}
        }
    }

    /// The next records of a shard for the mapping. A shard's parents are read to their end before it.
    pub(crate) fn take(&mut self, shard: usize, batch: usize) -> Option<Span> {
        if !self.shards[shard].parents.iter().all(|parent| self.is_read(*parent)) {
            return None;
        }
        let shard = &mut self.shards[shard];
        shard.cursor.take(shard.records.len(), batch)
    }

    /// Whether the shard and all that came before it are read to their ends.
    fn is_read(&self, shard: usize) -> bool {
        let Shard { cursor, records, parents, .. } = &self.shards[shard];
        cursor.is_at_end(records.len()) && parents.iter().all(|parent| self.is_read(*parent))
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.shards.iter().all(|shard| shard.cursor.is_at_end(shard.records.len()))
    }

    /// The shard's name, as the functions know it.
    pub(crate) fn partition(shard: usize) -> String {
        format!("{NAME}/shardId-{shard:012}")
    }

    /// The event in which Lambda hands over a span.
    pub(crate) fn event(&self, shard: usize, span: Span, puts: &[Put]) -> String {
        let records = &self.shards[shard].records[span.start..span.end];
        let records = records.iter().map(|record| {
            let Record { sequence, arrived_ms, put } = record;
            let (seconds, millis) = (arrived_ms / 1000, arrived_ms % 1000);
            let data = base64_simd::STANDARD.encode_to_string(&puts[*put].bytes);
            format!(
                r#"{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"k","sequenceNumber":"{sequence}","data":"{data}","approximateArrivalTimestamp":{seconds}.{millis:03}}},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-{shard:012}:{sequence}","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/r","awsRegion":"eu-west-1","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/{NAME}"}}"#
            )
        });
        format!(r#"{{"Records":[{}]}}"#, records.collect::<Vec<_>>().join(","))
    }
}
