//! The name that a request goes by in the endpoint's data capture.

use sha2::{Digest, Sha256};

use super::template::{self, Piece};

/// The longest id, in bytes. Source: SageMaker Runtime API reference, `InvokeEndpoint`, `InferenceId`.
const ID_BYTES_MAX: usize = 64;

/// How many hexadecimal digits of the hash are used: 128 bits.
const HASH_DIGITS: usize = 32;

/// A template of inference ids: text around `${hash}`, which becomes 32 hexadecimal digits that follow from the
/// request's body. The same rows asked again have the same id, whichever process asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferenceId(Vec<Piece>);

impl InferenceId {
    /// Reads a template such as `anomaly-${hash}`.
    ///
    /// # Errors
    /// A sentence: unknown placeholders, no `${hash}` (all requests would have one name), an id that would be
    /// longer than 64 bytes, not printable ASCII, or begin with a space.
    pub fn parse(template: &str) -> Result<Self, String> {
        let pieces = template::pieces(template)?;
        let unknown = pieces.iter().find_map(|piece| match piece {
            Piece::Name(name) if name != "hash" => Some(name),
            _ => None,
        });
        if let Some(name) = unknown {
            return Err(format!("unknown placeholder ${{{name}}}; there is ${{hash}}"));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Name(_))) {
            return Err("without ${hash} every request would have the same id".to_owned());
        }
        let longest = InferenceId(pieces);
        let example = longest.of(b"");
        if example.len() > ID_BYTES_MAX {
            return Err(format!(
                "the id would have {} bytes (${{hash}} has {HASH_DIGITS}), and {ID_BYTES_MAX} are allowed",
                example.len()
            ));
        }
        if example.starts_with(' ') || !example.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(format!("{template:?} is not printable ASCII that begins with no space"));
        }
        Ok(longest)
    }

    /// The id of the request with `body`: 1 to 64 printable ASCII characters.
    pub fn of(&self, body: &[u8]) -> String {
        let digest = Sha256::digest(body);
        let hash: String = digest.iter().take(HASH_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Name(_) => hash.as_str(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_decides() {
        let id = InferenceId::parse("web-${hash}").expect("a template");
        // sha256("1,2"), by coreutils.
        assert_eq!(id.of(b"1,2"), "web-17f8af97ad4a7f7639a4c9171d5185cb");
        assert_eq!(id.of(b"1,2"), id.of(b"1,2"));
        assert_ne!(id.of(b"1,2"), id.of(b"1,3"));
    }

    #[test]
    fn limits() {
        let longest = format!("{}${{hash}}", "x".repeat(32));
        assert_eq!(InferenceId::parse(&longest).expect("fits").of(b"").len(), 64);
        for (template, reason) in [
            (
                format!("x{longest}").as_str(),
                "the id would have 65 bytes (${hash} has 32), and 64 are allowed",
            ),
            ("web", "without ${hash} every request would have the same id"),
            ("", "without ${hash} every request would have the same id"),
            ("${batch}", "unknown placeholder ${batch}; there is ${hash}"),
            ("${hash", "\"${\" at byte 0 has no \"}\""),
            (" ${hash}", "\" ${hash}\" is not printable ASCII that begins with no space"),
            ("é${hash}", "\"é${hash}\" is not printable ASCII that begins with no space"),
        ] {
            assert_eq!(InferenceId::parse(template), Err(reason.to_owned()), "{template}");
        }
    }
}
