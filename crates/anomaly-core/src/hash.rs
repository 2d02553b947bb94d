//! Short, stable fingerprints.

use sha2::{Digest, Sha256};

/// The first `bytes` bytes of the SHA-256 of `parts`, in lower-case hexadecimal.
///
/// Each part is preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) fn fingerprint(parts: &[&[u8]], bytes: usize) -> String {
    hex(&hash(parts)[..bytes.min(32)])
}

/// The same as bytes.
pub(crate) fn first_bytes<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 32, "a SHA-256 has no more") };
    let hash = hash(parts);
    std::array::from_fn(|i| hash[i])
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal (64 characters).
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(fingerprint(&[b"ab", b"c"], 8), fingerprint(&[b"a", b"bc"], 8));
    }

    #[test]
    fn digest_is_sha256() {
        // FIPS 180-2, appendix B.1: the digest of "abc".
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
