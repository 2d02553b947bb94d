//! What happened in a round, line by line, as a hash and, if wanted, as text.

use std::fmt::{self, Write};

/// The story of a round.
///
/// The hash is always kept: two runs of a seed must agree in every byte of it.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty story, whose lines are kept if `keeps_lines`.
    pub(crate) fn new(keeps_lines: bool) -> Self {
        // The offset basis of FNV-1a (Fowler, Noll, Vo), 64 bits.
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: keeps_lines.then(Vec::new) }
    }

    /// Adds what happened at `now_ms`.
    pub(crate) fn note(&mut self, now_ms: i64, what: fmt::Arguments<'_>) {
        // Writing to a hash cannot fail.
        let _ = writeln!(self, "{now_ms} {what}");
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>10.3} {what}", now_ms as f64 / 1e3));
        }
    }

    /// The hash of all lines so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines; none if they were not kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // The prime of FNV-1a, 64 bits.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
