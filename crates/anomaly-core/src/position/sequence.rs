//! Sequence numbers.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, ToSmolStr};

use crate::hash::fingerprint;
use crate::time::Timestamp;

/// A sequence number: a decimal number of any length, as Kinesis gives it (up to 129 digits).
///
/// Ordered as a number. Text that is no number still has a place in the order (after all shorter ones),
/// so that a source with odd numbers can be worked through, if not well.
pub struct Sequence(Number);

/// A series keeps and compares one with each reading: those that sources give in fact (Kinesis 56 digits, SQS 20)
/// need no memory of their own, and a few comparisons.
enum Number {
    Short(Short),
    /// More digits, or no number: as it was written.
    Long(Arc<str>),
}

/// The most digits of a [`Short`]: four bits each, in all of it but a byte for their number.
const SHORT_DIGITS: usize = 62;
/// Bits behind the number of digits, in the first word.
const LENGTH_SHIFT: u32 = 56;
/// Digits for which there are bits.
const DIGITS: usize = 64;

/// A number of so many digits, the zeros before them too: their number, then the digits, the last one in the lowest
/// bits of the last word. Ordered as the sequences are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Short(u64, u64, u64, u64);

impl Sequence {
    /// The number written as `digits`; leading zeros are dropped.
    pub fn new(digits: &str) -> Self {
        let trimmed = digits.trim_start_matches('0');
        Self::of_text(if trimmed.is_empty() { "0" } else { trimmed })
    }

    /// The number of a message of a source that numbers nothing and promises no order: the milliseconds since
    /// 1970 at which it was sent, five digits of its `place` among the messages it comes with, ten digits of a
    /// hash of its `id`.
    ///
    /// It grows with time. The same message has the same number at every delivery, if it has the same place:
    /// that is 0 unless the source brings the same batch again. Two messages of the same millisecond and place
    /// have the same number once in ten thousand million.
    pub fn of_message(sent: Timestamp, place: u16, id: &str) -> Self {
        let digits = fingerprint(&[id.as_bytes()], 8);
        let hash = u64::from_str_radix(&digits, 16).unwrap_or_default() % 10_000_000_000;
        Self::new(&format!("{}{place:05}{hash:010}", sent.as_ms().max(0)))
    }

    /// The number that [`Sequence::text`] wrote.
    pub(super) fn of_text(text: &str) -> Self {
        Self(Short::of(text.as_bytes()).map_or_else(|| Number::Long(text.into()), Number::Short))
    }

    /// The digits, without leading zeros.
    pub fn text(&self) -> SmolStr {
        self.with_text(|text| text.into())
    }

    /// How long the text is, in bytes.
    pub(crate) fn length(&self) -> usize {
        match &self.0 {
            Number::Short(short) => short.length(),
            Number::Long(text) => text.len(),
        }
    }

    /// What becomes of the text, which is nowhere kept as such.
    pub(crate) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match &self.0 {
            Number::Short(short) => {
                let digits = short.digits();
                let digits = &digits[DIGITS - short.length()..];
                // Digits are text.
                read(std::str::from_utf8(digits).unwrap_or_default())
            }
            Number::Long(text) => read(text),
        }
    }
}

impl Short {
    /// `None` if it is longer, or no number.
    fn of(text: &[u8]) -> Option<Self> {
        let length = Some(text.len()).filter(|length| *length <= SHORT_DIGITS)?;
        let mut digits = [b'0'; DIGITS];
        digits[DIGITS - length..].copy_from_slice(text);
        let is_number = text.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_digit());
        let (eights, _) = digits.as_chunks();
        let word = |i: usize| u64::from(packed(eights[i])) << 32 | u64::from(packed(eights[i + 1]));
        let counted = word(0) | (length as u64) << LENGTH_SHIFT;
        is_number.then_some(Short(counted, word(2), word(4), word(6)))
    }

    fn length(self) -> usize {
        (self.0 >> LENGTH_SHIFT) as usize
    }

    /// The digits, with zeros before them.
    fn digits(self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        let words = [self.0 & ((1 << LENGTH_SHIFT) - 1), self.1, self.2, self.3];
        let eights = words.into_iter().flat_map(|word| [(word >> 32) as u32, word as u32]);
        for (place, eight) in digits.as_chunks_mut().0.iter_mut().zip(eights) {
            *place = unpacked(eight);
        }
        digits
    }
}

/// Eight digits, four bits each: of the eight bytes, the low halves move together.
fn packed(digits: [u8; 8]) -> u32 {
    let apart = u64::from_be_bytes(digits) & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (apart | apart >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    (fours | fours >> 16) as u32
}

/// The eight digits that [`packed`] was given.
fn unpacked(packed: u32) -> [u8; 8] {
    let packed = u64::from(packed);
    let fours = (packed | packed << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (fours | fours << 8) & 0x00ff_00ff_00ff_00ff;
    let apart = (pairs | pairs << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (apart | u64::from_be_bytes([b'0'; 8])).to_be_bytes()
}

/// By the first word that differs: of neighbours that is the last one, and all before it take a comparison each.
impl Ord for Short {
    #[inline(always)]
    fn cmp(&self, other: &Self) -> Ordering {
        let words = |Short(first, second, third, fourth): Self| [first, second, third, fourth];
        let mut pairs = words(*self).into_iter().zip(words(*other));
        pairs.find(|(one, other)| one != other).map_or(Ordering::Equal, |(one, other)| one.cmp(&other))
    }
}

impl PartialOrd for Short {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Clone for Sequence {
    #[inline]
    fn clone(&self) -> Self {
        Sequence(self.0.clone())
    }

    #[inline]
    fn clone_from(&mut self, source: &Self) {
        self.0.clone_from(&source.0);
    }
}

impl Clone for Number {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Number::Short(short) => Number::Short(*short),
            Number::Long(text) => Number::Long(text.clone()),
        }
    }

    /// Over a number of the same kind without looking what there was to be freed.
    #[inline]
    fn clone_from(&mut self, source: &Self) {
        match (&mut *self, source) {
            (Number::Short(short), Number::Short(source)) => *short = *source,
            _ => *self = source.clone(),
        }
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self::of_text("")
    }
}

impl From<u64> for Sequence {
    fn from(number: u64) -> Self {
        Self::of_text(&number.to_smolstr())
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Number::Short(one), Number::Short(other)) => one.cmp(other),
            _ => self.cmp_text(other),
        }
    }
}

impl Sequence {
    #[cold]
    fn cmp_text(&self, other: &Self) -> Ordering {
        let by_length = self.length().cmp(&other.length());
        by_length.then_with(|| self.with_text(|one| other.with_text(|other| one.cmp(other))))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Number::Short(one), Number::Short(other)) => one == other,
            (Number::Long(one), Number::Long(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Sequence {}

impl Hash for Sequence {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.with_text(|text| text.hash(state));
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.debug_tuple("Sequence").field(&text).finish())
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Sequence;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sequence, E> {
                Ok(Sequence::of_text(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequences_order_as_numbers() {
        assert!(Sequence::new("9") < Sequence::new("10"));
        assert!(Sequence::new("0010") == Sequence::new("10"));
        assert!(Sequence::new(&"9".repeat(128)) < Sequence::new(&format!("1{}", "0".repeat(128))));
        assert_eq!(Sequence::new("000").text(), "0");
    }

    /// Mostly alike, and about as long as what needs no memory of its own.
    fn digits() -> impl Strategy<Value = String> {
        ("[0-9]{0,2}", 0..130_usize, "[0-9x]{0,2}")
            .prop_map(|(first, zeros, last)| first + &"0".repeat(zeros) + &last)
    }

    proptest! {
        #[test]
        fn numbers_are_their_text_however_they_are_kept(one in digits(), other in digits()) {
            let [a, b] = [&one, &other].map(|text| Sequence::of_text(text));
            prop_assert_eq!((a.to_string(), b.length()), (one.clone(), other.len()));
            prop_assert_eq!(a.cmp(&b), (one.len(), &one).cmp(&(other.len(), &other)));
            prop_assert_eq!(a == b, one == other);
            let written = |text: &String| postcard::to_extend(text, Vec::new()).expect("into memory");
            prop_assert_eq!(postcard::to_extend(&a, Vec::new()).expect("into memory"), written(&one));
            prop_assert_eq!(&postcard::from_bytes::<Sequence>(&written(&one)).expect("its own"), &a);
            let mut over = b.clone();
            over.clone_from(&a);
            prop_assert_eq!(&over, &a);
            let both: HashSet<_> = [a.clone(), a, b].into();
            prop_assert_eq!(both.len(), if one == other { 1 } else { 2 });
        }
    }

    #[test]
    fn messages_without_numbers_have_one_that_grows_and_stays() {
        let at = |ms| Timestamp::from_ms(ms).unwrap_or_default();
        let number = |ms, place, id| Sequence::of_message(at(ms), place, id);
        assert_eq!(number(1_795_231_793_967, 0, "a"), number(1_795_231_793_967, 0, "a"));
        assert_ne!(number(1_795_231_793_967, 0, "a"), number(1_795_231_793_967, 0, "b"));
        for id in ["a", "b", "c"] {
            assert!(number(1_795_231_793_967, 7, id) < number(1_795_231_793_967, 8, "z"), "{id}");
            assert!(number(1_795_231_793_967, u16::MAX, id) < number(1_795_231_793_968, 0, "z"), "{id}");
        }
        assert_eq!(number(1_795_231_793_967, 0, "a").length(), 28);
        assert_eq!(number(-5, 0, "a"), number(0, 0, "a"), "before 1970 there were no messages");
    }
}
