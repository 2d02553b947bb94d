//! Which chunks are worked through one after another.

use std::num::NonZeroU32;

use crate::hash::fingerprint;

/// Into how many groups the series are divided: 1 to 10,000.
///
/// The chunks of a group are judged in order, those of different groups side by side. A series is in the same
/// group whatever partition it comes from: a shard that was split, and the shards it became, tell of it in
/// the same group, so what the parent said is judged before what the child says. Another number of groups puts
/// a series elsewhere; what lies in the queue at that moment may then be overtaken, and is judged late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(NonZeroU32);

impl Groups {
    /// All series in one group.
    pub const ONE: Groups = Groups(NonZeroU32::MIN);

    /// `count` groups; none count as one.
    pub fn new(count: u32) -> Self {
        Groups(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
    }

    /// The number of the group of `name`, from 0.
    pub(crate) fn number(self, name: &str) -> u32 {
        if self == Groups::ONE {
            return 0;
        }
        let digits = fingerprint(&[name.as_bytes()], 8);
        // Sixteen hexadecimal digits are a number; a remainder is below its divisor.
        let hash = u64::from_str_radix(&digits, 16).unwrap_or_default();
        u32::try_from(hash % u64::from(self.0.get())).unwrap_or_default()
    }

    /// The name of group `number`: `3-of-8`. Letters, digits and hyphens, as SQS takes them for a group's id
    /// (API reference, `MessageGroupId`).
    pub(crate) fn name(self, number: u32) -> String {
        format!("{number}-of-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stays_in_its_group_and_every_group_has_some() {
        let groups = Groups::new(8);
        let mut sizes = [0; 8];
        (0..800).for_each(|i| sizes[groups.number(&format!("series-{i}")) as usize] += 1);
        assert!(sizes.iter().all(|size| (60..140).contains(size)), "{sizes:?}");
        // The contract since: another hash would let chunks in the queue be overtaken.
        assert_eq!(["a", "b", "webserver"].map(|name| groups.number(name)), [6, 3, 6]);
        assert_eq!(groups.name(3), "3-of-8");
        assert_eq!((Groups::new(0), Groups::ONE.number("a")), (Groups::ONE, 0));
    }
}
