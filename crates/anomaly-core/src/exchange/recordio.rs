//! `application/x-recordio-protobuf`: records of tensors, each in a frame.
//!
//! A frame is the word `0xced7230a`, the payload's length, the payload, and zeros up to a multiple of four bytes,
//! words in little-endian order. The payload is the protobuf message `aialgs.data.Record`: rows are the tensor
//! `values` of its features, scores the tensor `score` of its label.
//!
//! Source: SageMaker Python SDK 2.232.3, `sagemaker/amazon/record.proto` and `common.py`; Amazon SageMaker
//! developer guide, "Common Data Formats for Inference".

use std::collections::BTreeMap;
use std::fmt;

use prost::{Message, Oneof};

use super::sparse::Sparse;
use crate::config::Tensor;

const MAGIC: [u8; 4] = 0xced7_230a_u32.to_le_bytes();
/// How many bytes begin a frame: the word and the length.
pub const HEAD_BYTES: usize = 8;
const FEATURES: &str = "values";
const SCORE: &str = "score";

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(btree_map = "string, message", tag = "1")]
    features: BTreeMap<String, Value>,
    #[prost(btree_map = "string, message", tag = "2")]
    label: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Values", tags = "2, 3, 7")]
    values: Option<Values>,
}

/// Boxed, so that an empty value of a hostile map is small.
#[derive(Clone, PartialEq, Oneof)]
enum Values {
    #[prost(message, boxed, tag = "2")]
    Float32(Box<Float32>),
    #[prost(message, boxed, tag = "3")]
    Float64(Box<Float64>),
    #[prost(message, boxed, tag = "7")]
    Int32(Box<Int32>),
}

#[derive(Clone, PartialEq, Message)]
struct Float32 {
    #[prost(float, repeated, tag = "1")]
    values: Vec<f32>,
    #[prost(uint64, repeated, tag = "2")]
    keys: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    shape: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Float64 {
    #[prost(double, repeated, tag = "1")]
    values: Vec<f64>,
    #[prost(uint64, repeated, tag = "2")]
    keys: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    shape: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Int32 {
    #[prost(int32, repeated, tag = "1")]
    values: Vec<i32>,
    #[prost(uint64, repeated, tag = "2")]
    keys: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    shape: Vec<u64>,
}

/// A body that is no sequence of such records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The index of the record, from 0.
    pub record: usize,
    /// Where it begins in the body, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} (at byte {}): {}", self.record + 1, self.offset, self.why)
    }
}

impl std::error::Error for RecordError {}

/// The rows of a request's `body`, as many as there are records; a number may be any, also not finite.
///
/// # Errors
/// The first record that is cut short, is no `Record`, has no features `values`, or has sparse ones.
pub fn rows(body: &[u8]) -> Result<Vec<Vec<f64>>, RecordError> {
    records(body, |record| record.features()?.dense())
}

/// The rows of a request's `body`, of which sparse ones are written out to `width` numbers; others have as many as they
/// have, and a number may be any, also not finite.
///
/// # Errors
/// The first record that is cut short, is no `Record`, has no features `values`, or is sparse and does not fit.
pub fn rows_of(body: &[u8], width: usize) -> Result<Vec<Vec<f64>>, RecordError> {
    let mut sparse = Sparse::of(width);
    records(body, |record| record.features()?.written_out(&mut sparse))
}

/// A row of a training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its numbers, any, also not finite.
    pub row: Vec<f64>,
    /// Its label, if it has one: the only number of the tensor `values` of its label.
    pub label: Option<f64>,
}

/// The rows of a training set with their labels; sparse ones are written out to `width` numbers.
///
/// # Errors
/// As [`rows_of`]; or a label that is not one number.
pub fn examples(body: &[u8], width: usize) -> Result<Vec<Example>, RecordError> {
    let mut sparse = Sparse::of(width);
    records(body, |mut record| {
        let label = match record.label.remove(FEATURES).and_then(|value| value.values) {
            None => None,
            Some(values) => match values.dense()?[..] {
                [] => None,
                [label] => Some(label),
                ref many => return Err(format!("{} numbers as its label", many.len())),
            },
        };
        Ok(Example { row: record.features()?.written_out(&mut sparse)?, label })
    })
}

/// How many bytes the frame is long that begins with `head`, with its head and its padding.
///
/// # Errors
/// It is the head of no frame, in words.
pub fn frame_bytes(head: [u8; HEAD_BYTES]) -> Result<usize, String> {
    let length = payload_bytes(head)?;
    Ok(HEAD_BYTES + length + padding(length))
}

/// Appends `row`, with its label if it has one, to the bytes of a training set.
pub fn write_example(row: &[f64], label: Option<f64>, body: &mut Vec<u8>) {
    let values =
        |numbers: &[f64]| BTreeMap::from([(FEATURES.to_owned(), Values::of(Tensor::Float64, numbers))]);
    write(
        &Record { features: values(row), label: label.map(|label| values(&[label])).unwrap_or_default() },
        body,
    );
}

/// Appends a sparse row of `width` numbers to the `body` of a request.
pub fn write_sparse(keys: &[u64], values: &[f64], width: usize, body: &mut Vec<u8>) {
    let (keys, shape) = (keys.to_vec(), vec![width as u64]);
    let values = Values::Float64(Box::new(Float64 { values: values.to_vec(), keys, shape }));
    let features = BTreeMap::from([(FEATURES.to_owned(), Value { values: Some(values) })]);
    write(&Record { features, label: BTreeMap::new() }, body);
}

/// The scores of an answer's `body`, as many as there are records; a score may be any number, also not finite.
///
/// # Errors
/// The first record that is cut short, is no `Record`, or does not have exactly one `score` as its label.
pub fn scores(body: &[u8]) -> Result<Vec<f64>, RecordError> {
    records(body, |mut record| {
        let values = record.label.remove(SCORE).and_then(|value| value.values);
        match values.ok_or_else(|| format!("no label {SCORE:?}"))?.dense()?[..] {
            [score] => Ok(score),
            ref many => Err(format!("{} numbers as its {SCORE:?}", many.len())),
        }
    })
}

/// Appends `row` to the `body` of a request.
pub fn write_row(tensor: Tensor, row: &[f64], body: &mut Vec<u8>) {
    let features = BTreeMap::from([(FEATURES.to_owned(), Values::of(tensor, row))]);
    write(&Record { features, label: BTreeMap::new() }, body);
}

/// Appends `score`, rounded to 32 bits as by SageMaker's Random Cut Forest, to the `body` of an answer.
pub fn write_score(score: f64, body: &mut Vec<u8>) {
    let label = BTreeMap::from([(SCORE.to_owned(), Values::of(Tensor::Float32, &[score]))]);
    write(&Record { features: BTreeMap::new(), label }, body);
}

/// The most bytes that a row of `width` numbers becomes: its frame and padding, the fields around the tensor
/// (five tags and lengths of at most six bytes each, and the name), and the numbers.
pub(super) fn row_bytes_max(tensor: Tensor, width: usize) -> usize {
    let number_bytes = match tensor {
        Tensor::Float32 => 4,
        Tensor::Float64 => 8,
    };
    HEAD_BYTES + 3 + 5 * 6 + FEATURES.len() + width * number_bytes
}

fn write(record: &Record, body: &mut Vec<u8>) {
    let payload = record.encode_to_vec();
    // A record is a part of a body of some megabytes.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&MAGIC);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(&payload);
    body.resize(body.len() + padding(payload.len()), 0);
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

/// What `read` makes of each record.
fn records<T>(body: &[u8], mut read: impl FnMut(Record) -> Result<T, String>) -> Result<Vec<T>, RecordError> {
    let (mut all, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let error = |why| RecordError { record: all.len(), offset: body.len() - rest.len(), why };
        let (payload, behind) = frame(rest).map_err(error)?;
        let record = Record::decode(payload).map_err(|e| error(format!("no protobuf record: {e}")))?;
        let read = read(record).map_err(error)?;
        all.push(read);
        rest = behind;
    }
    Ok(all)
}

/// The payload of the first frame, and what stands behind the frame. The padding of the last may be missing.
fn frame(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("cut short: {} bytes where {HEAD_BYTES} begin a record", bytes.len()));
    };
    let length = payload_bytes(*head)?;
    let Some((payload, rest)) = rest.split_at_checked(length) else {
        return Err(format!("cut short: {} bytes of {length}", rest.len()));
    };
    Ok((payload, rest.get(padding(length)..).unwrap_or_default()))
}

fn payload_bytes(head: [u8; HEAD_BYTES]) -> Result<usize, String> {
    let [a, b, c, d, length @ ..] = head;
    if [a, b, c, d] != MAGIC {
        return Err(format!("begins with {:02x?} and not with {MAGIC:02x?}", [a, b, c, d]));
    }
    Ok(u32::from_le_bytes(length) as usize)
}

impl Record {
    fn features(mut self) -> Result<Values, String> {
        let values = self.features.remove(FEATURES).and_then(|value| value.values);
        values.ok_or_else(|| format!("no features {FEATURES:?}"))
    }
}

impl Values {
    fn of(tensor: Tensor, numbers: &[f64]) -> Value {
        let values = match tensor {
            Tensor::Float32 => {
                let values = numbers.iter().map(|number| *number as f32).collect();
                Values::Float32(Box::new(Float32 { values, ..Float32::default() }))
            }
            Tensor::Float64 => {
                Values::Float64(Box::new(Float64 { values: numbers.to_vec(), ..Float64::default() }))
            }
        };
        Value { values: Some(values) }
    }

    /// The numbers, if they are all there.
    fn dense(self) -> Result<Vec<f64>, String> {
        let (values, keys, _) = self.parts();
        if keys.is_empty() {
            Ok(values)
        } else {
            Err("a sparse tensor (\"keys\"), which is not supported: send all \"values\"".to_owned())
        }
    }

    /// All numbers; a tensor without values has keys or a shape only if it is sparse.
    fn written_out(self, sparse: &mut Sparse) -> Result<Vec<f64>, String> {
        let (values, keys, shape) = self.parts();
        let is_sparse = !keys.is_empty() || (values.is_empty() && !shape.is_empty());
        if is_sparse { sparse.row(&keys, &values, &shape) } else { Ok(values) }
    }

    /// Values, keys and shape.
    fn parts(self) -> (Vec<f64>, Vec<u64>, Vec<u64>) {
        match self {
            Values::Float32(t) => (t.values.into_iter().map(f64::from).collect(), t.keys, t.shape),
            Values::Float64(t) => (t.values, t.keys, t.shape),
            Values::Int32(t) => (t.values.into_iter().map(f64::from).collect(), t.keys, t.shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes from lines of hexadecimal digits.
    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    /// By `write_numpy_to_dense_tensor` of the SageMaker Python SDK 2.232.3, of
    /// `[[1.5, 16.0, -0.25], [-2.0, 100.2, 15.2]]` as float32 …
    const FLOAT32: &str = "0a23d7ce1c0000000a1a0a0676616c7565731210120e0a0c0000c03f00008041000080be\
                           0a23d7ce1c0000000a1a0a0676616c7565731210120e0a0c000000c06666c84233337341";
    /// … and as float64.
    const FLOAT64: &str = "0a23d7ce280000000a260a0676616c756573121c1a1a0a18000000000000f83f0000000000003040000000000000d0bf\
         0a23d7ce280000000a260a0676616c756573121c1a1a0a1800000000000000c0cdcccccccc0c59406666666666662e40";
    /// Labels `score` of 0.25 and 0.9023, by the SDK's `Record` and `_write_recordio`.
    const SCORES: &str = "0a23d7ce1300000012110a0573636f7265120812060a040000803e00\
                          0a23d7ce1300000012110a0573636f7265120812060a0422fd663f00";

    const ROWS: [&[f64]; 2] = [&[1.5, 16.0, -0.25], &[-2.0, 100.2, 15.2]];

    fn written(tensor: Tensor, rows: &[&[f64]]) -> Vec<u8> {
        let mut body = Vec::new();
        rows.iter().for_each(|row| write_row(tensor, row, &mut body));
        body
    }

    #[test]
    fn rows_are_those_of_sagemakers_own_sdk() {
        assert_eq!(written(Tensor::Float32, &ROWS), bytes(FLOAT32));
        assert_eq!(written(Tensor::Float64, &ROWS), bytes(FLOAT64));
        assert_eq!(rows(&bytes(FLOAT64)), Ok(ROWS.iter().map(|row| row.to_vec()).collect()));
        let narrow = |row: &&[f64]| row.iter().map(|value| f64::from(*value as f32)).collect();
        assert_eq!(rows(&bytes(FLOAT32)), Ok(ROWS.iter().map(narrow).collect()));
    }

    #[test]
    fn scores_are_those_of_sagemakers_own_sdk() {
        assert_eq!(scores(&bytes(SCORES)), Ok(vec![0.25, f64::from(0.9023_f32)]));
        let mut body = Vec::new();
        [0.25, 0.9023].iter().for_each(|score| write_score(*score, &mut body));
        assert_eq!(body, bytes(SCORES));
    }

    #[test]
    fn whole_numbers_are_numbers_too() {
        let record = Record {
            features: BTreeMap::from([(
                FEATURES.to_owned(),
                Value {
                    values: Some(Values::Int32(Box::new(Int32 { values: vec![7, -1], ..Int32::default() }))),
                },
            )]),
            label: BTreeMap::new(),
        };
        let mut body = Vec::new();
        write(&record, &mut body);
        assert_eq!(rows(&body), Ok(vec![vec![7.0, -1.0]]));
    }

    #[test]
    fn what_is_no_record_is_named() {
        let good = bytes(SCORES);
        let at = |position: usize, byte: u8| {
            let mut body = good.clone();
            body[position] = byte;
            body
        };
        for (body, expected) in [
            (good[..31].to_vec(), "record 2 (at byte 28): cut short: 3 bytes where 8 begin a record"),
            (good[..54].to_vec(), "record 2 (at byte 28): cut short: 18 bytes of 19"),
            (at(28, 0), "record 2 (at byte 28): begins with [00, 23, d7, ce] and not with [0a, 23, d7, ce]"),
            (at(12, b'S'), "record 1 (at byte 0): no label \"score\""),
            (bytes(FLOAT32), "record 1 (at byte 0): no label \"score\""),
            (at(7, 0xff), "record 1 (at byte 0): cut short: 48 bytes of 4278190099"),
        ] {
            assert_eq!(scores(&body).expect_err("no scores").to_string(), expected);
        }
        assert!(scores(&at(9, 0xff)).is_err_and(|e| e.why.starts_with("no protobuf record: ")));
        assert_eq!(scores(&good[..55]).map(|scores| scores.len()), Ok(2), "the last padding may be missing");
        assert_eq!(rows(&good).expect_err("no rows").why, "no features \"values\"");
        assert_eq!(scores(b""), Ok(vec![]));
    }

    #[test]
    fn sparse_rows_and_several_scores_are_refused() {
        let value = |values: &[f32], keys: &[u64]| {
            let tensor = Float32 { values: values.to_vec(), keys: keys.to_vec(), shape: Vec::new() };
            Value { values: Some(Values::Float32(Box::new(tensor))) }
        };
        let record = Record {
            features: BTreeMap::from([(FEATURES.to_owned(), value(&[1.0], &[7]))]),
            label: BTreeMap::from([(SCORE.to_owned(), value(&[1.0, 2.0], &[]))]),
        };
        let mut body = Vec::new();
        write(&record, &mut body);
        assert!(rows(&body).is_err_and(|e| e.why.starts_with("a sparse tensor")));
        assert_eq!(scores(&body).expect_err("two").why, "2 numbers as its \"score\"");
    }

    #[test]
    fn sparse_rows_are_written_out_where_the_width_is_known() {
        let mut body = Vec::new();
        write_sparse(&[2, 0], &[1.5, -1.0], 4, &mut body);
        write_sparse(&[], &[], 4, &mut body);
        write_row(Tensor::Float32, &[1.0, 2.0], &mut body);
        assert_eq!(rows_of(&body, 4), Ok(vec![vec![-1.0, 0.0, 1.5, 0.0], vec![0.0; 4], vec![1.0, 2.0]]));
        let error = rows_of(&body, 3).expect_err("another width");
        assert_eq!(error.to_string(), "record 1 (at byte 0): its \"shape\" is [4] where the model takes [3]");
    }

    #[test]
    fn examples_have_labels() {
        let mut body = Vec::new();
        write_example(&[1.5, 16.0], Some(1.0), &mut body);
        write_example(&[2.0, 3.0], None, &mut body);
        let example = |row: [f64; 2], label| Example { row: row.to_vec(), label };
        assert_eq!(examples(&body, 2), Ok(vec![example([1.5, 16.0], Some(1.0)), example([2.0, 3.0], None)]));
        // As the SDK writes a label: the tensor of its rows (FLOAT32), under the record's second map.
        let of_the_sdk = "0a23d7ce300000000a1a0a0676616c7565731210120e0a0c0000c03f00008041000080be\
                          12120a0676616c756573120812060a040000803f";
        let labelled = Example { row: ROWS[0].to_vec(), label: Some(1.0) };
        assert_eq!(examples(&bytes(of_the_sdk), 3), Ok(vec![labelled]));
        let (head, _) = body.split_first_chunk().expect("long enough");
        let first = frame_bytes(*head).expect("a frame");
        assert_eq!(examples(&body[..first], 2).map(|examples| examples.len()), Ok(1));
        assert!(frame_bytes([0; HEAD_BYTES]).is_err_and(|why| why.starts_with("begins with [00")));
    }

    proptest! {
        #[test]
        fn rows_come_back_to_the_bit(
            all in proptest::collection::vec(proptest::collection::vec(proptest::num::f64::ANY, 0..40), 0..8),
        ) {
            let slices: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
            let bits = |rows: &[Vec<f64>]| rows.iter().map(|row| row.iter().map(|n| n.to_bits()).collect()).collect::<Vec<Vec<u64>>>();
            let read = rows(&written(Tensor::Float64, &slices)).expect("its own bytes");
            prop_assert_eq!(bits(&read), bits(&all));
            let narrow: Vec<Vec<f64>> = all.iter().map(|row| row.iter().map(|n| f64::from(*n as f32)).collect()).collect();
            let read = rows(&written(Tensor::Float32, &slices)).expect("its own bytes");
            prop_assert_eq!(bits(&read), bits(&narrow));
        }

        #[test]
        fn no_row_is_larger_than_foreseen(width in 0_usize..3000) {
            let row = vec![1.0; width];
            for tensor in [Tensor::Float32, Tensor::Float64] {
                prop_assert!(written(tensor, &[&row]).len() <= row_bytes_max(tensor, width));
            }
        }
    }
}
