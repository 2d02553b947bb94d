//! Records of the Kinesis Producer Library that hold several of a user's: four bytes that say so, a Protocol
//! Buffers message, and its MD5 (amazon-kinesis-producer, "aggregation-format.md").
//!
//! ```text
//! message AggregatedRecord {
//!   repeated string partition_key_table     = 1;
//!   repeated string explicit_hash_key_table = 2;
//!   repeated Record records                 = 3;
//! }
//! message Record {
//!   required uint64 partition_key_index     = 1;
//!   optional uint64 explicit_hash_key_index = 2;
//!   required bytes  data                    = 3;
//!   repeated Tag    tags                    = 4;
//! }
//! ```
//!
//! Lambda does not take them apart. A reader of this one message is smaller than a generated one, allocates
//! nothing but the list, and follows no nesting.

use md5::{Digest, Md5};

/// The bytes that an aggregated record begins with.
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// The length of an MD5, in bytes.
const MD5_BYTES: usize = 16;

const KEY_TABLE: u64 = 1;
const RECORDS: u64 = 3;
const KEY_INDEX: u64 = 1;
const DATA: u64 = 3;

/// The user's records in `record`, in order; `None` if it is none of the library's: if it does not say so, if the
/// checksum is another, or if the message cannot be read whole. Then it is one plain record.
pub(super) fn parts(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (message, checksum) = record.strip_prefix(&MAGIC)?.split_last_chunk::<MD5_BYTES>()?;
    (Md5::digest(message)[..] == checksum[..]).then(|| read(message)).flatten()
}

fn read(message: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut keys, mut parts, mut highest) = (0_u64, Vec::new(), None);
    let mut rest = message;
    while !rest.is_empty() {
        match field(&mut rest)? {
            (KEY_TABLE, Value::Bytes(_)) => keys += 1,
            (RECORDS, Value::Bytes(part)) => {
                let (key, data) = read_part(part)?;
                highest = highest.max(Some(key));
                parts.push(data);
            }
            (KEY_TABLE | RECORDS, Value::Number) => return None,
            _ => {}
        }
    }
    // Every record has a partition key, and the table may come behind the records.
    highest.is_none_or(|highest| highest < keys).then_some(parts)
}

/// A record's partition key, by its place in the table, and its data. Where a field comes twice the last counts
/// (Protocol Buffers, "Encoding").
fn read_part(mut rest: &[u8]) -> Option<(u64, &[u8])> {
    let (mut key, mut data) = (None, None);
    while !rest.is_empty() {
        let number = varint(&mut rest)?;
        match (number >> 3, number & 7) {
            (KEY_INDEX, 0) => key = Some(varint(&mut rest)?),
            (DATA, 2) => data = Some(bytes(&mut rest)?),
            (KEY_INDEX | DATA, _) => return None,
            (_, kind) => {
                value(&mut rest, kind)?;
            }
        }
    }
    Some((key?, data?))
}

/// The value of a field.
enum Value<'m> {
    /// A number, of no interest.
    Number,
    /// Bytes, text or a message.
    Bytes(&'m [u8]),
}

fn field<'m>(rest: &mut &'m [u8]) -> Option<(u64, Value<'m>)> {
    let number = varint(rest)?;
    Some((number >> 3, value(rest, number & 7)?))
}

/// A value by its wire type. Groups, which only old messages have, are none.
fn value<'m>(rest: &mut &'m [u8], kind: u64) -> Option<Value<'m>> {
    match kind {
        0 => varint(rest).map(|_| Value::Number),
        1 => take(rest, 8).map(|_| Value::Number),
        2 => bytes(rest).map(Value::Bytes),
        5 => take(rest, 4).map(|_| Value::Number),
        _ => None,
    }
}

fn bytes<'m>(rest: &mut &'m [u8]) -> Option<&'m [u8]> {
    let length = varint(rest)?;
    take(rest, usize::try_from(length).ok()?)
}

fn take<'m>(rest: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

/// A number of up to 64 bits, seven a byte, the lowest first; at most ten bytes.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    /// The library's messages, encoded by another's hand.
    #[derive(Clone, PartialEq, Message)]
    struct AggregatedRecord {
        #[prost(string, repeated, tag = "1")]
        partition_key_table: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        explicit_hash_key_table: Vec<String>,
        #[prost(message, repeated, tag = "3")]
        records: Vec<Part>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Part {
        #[prost(uint64, required, tag = "1")]
        partition_key_index: u64,
        #[prost(uint64, optional, tag = "2")]
        explicit_hash_key_index: Option<u64>,
        #[prost(bytes = "vec", required, tag = "3")]
        data: Vec<u8>,
        #[prost(message, repeated, tag = "4")]
        tags: Vec<Tag>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Tag {
        #[prost(string, required, tag = "1")]
        key: String,
        #[prost(string, optional, tag = "2")]
        value: Option<String>,
    }

    fn part(data: &[u8]) -> Part {
        let tags = vec![Tag { key: "k".to_owned(), value: None }];
        Part { explicit_hash_key_index: Some(0), data: data.to_vec(), tags, ..Part::default() }
    }

    fn aggregate(data: &[&[u8]]) -> AggregatedRecord {
        AggregatedRecord {
            partition_key_table: vec!["a".to_owned()],
            explicit_hash_key_table: vec!["123".to_owned()],
            records: data.iter().map(|data| part(data)).collect(),
        }
    }

    fn seal(message: &[u8]) -> Vec<u8> {
        [&MAGIC[..], message, &Md5::digest(message)].concat()
    }

    #[test]
    fn takes_apart_what_another_put_together() {
        let sealed = seal(&aggregate(&[b"one", b"", b"three"]).encode_to_vec());
        assert_eq!(parts(&sealed), Some(vec![&b"one"[..], b"", b"three"]));
        assert_eq!(parts(&seal(&[])), Some(vec![]), "an aggregate of nothing");
    }

    #[test]
    fn what_is_not_the_librarys_is_plain() {
        let sealed = seal(&aggregate(&[b"one"]).encode_to_vec());
        let mut corrupt = sealed.clone();
        corrupt[7] ^= 1;
        for plain in [&b""[..], &MAGIC, &sealed[1..], &sealed[..sealed.len() - 1], &corrupt, br#"{"a":1}"#] {
            assert_eq!(parts(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn a_message_that_cannot_be_read_whole_is_plain() {
        let sound = aggregate(&[b"one"]);
        let encoded = sound.encode_to_vec();
        let foreign_key = AggregatedRecord { partition_key_table: vec![], ..sound };
        for broken in [
            foreign_key.encode_to_vec(),
            encoded[..encoded.len() - 1].to_vec(),
            [&encoded[..], &[0x0b]].concat(), // the start of a group
            [&encoded[..], &[0x1a, 0x02, 0x08, 0x00]].concat(), // a record without data
            [&encoded[..], &[0x1a, 0x02, 0x1a, 0x00]].concat(), // a record without a key
            [&encoded[..], &[0x18, 0x00]].concat(), // a record that is a number
            [&encoded[..], &[0xff; 11]].concat(), // a number that does not end
            [&encoded[..], &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]].concat(),
        ] {
            assert_eq!(parts(&seal(&broken)), None, "{broken:?}");
        }
        let later = [&encoded[..], &[0x28, 0x07, 0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x3d, 1, 2, 3, 4]].concat();
        let sealed = seal(&later);
        assert_eq!(parts(&sealed), Some(vec![&b"one"[..]]), "fields of a later version are no concern");
    }

    proptest! {
        #[test]
        fn any_aggregate_is_taken_apart(data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..50)) {
            let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let sealed = seal(&aggregate(&data).encode_to_vec());
            prop_assert_eq!(parts(&sealed), Some(data));
        }

        #[test]
        fn any_message_is_read_or_refused_as_another_reads_it(message in proptest::collection::vec(any::<u8>(), 0..60)) {
            // prost refuses also what is no UTF-8, and takes groups and fields that repeat.
            let sealed = seal(&message);
            if let Some(parts) = parts(&sealed)
                && let Ok(read) = AggregatedRecord::decode(&message[..])
            {
                prop_assert_eq!(parts, read.records.iter().map(|part| &part.data[..]).collect::<Vec<_>>());
            }
        }
    }
}
