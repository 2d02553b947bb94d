//! The past of a feature in blocks of readings: the mean of each.

use serde::{Deserialize, Serialize};

use super::codes::Codes;

/// Means of blocks, oldest first, in steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Past {
    /// Of the only feature of a series: 16 bits each, little-endian, in units of 2 to the power of `shift` steps.
    Fine {
        /// The codes.
        blocks: Vec<[u8; 2]>,
        /// Of the unit.
        shift: i16,
    },
    /// Of one of several features.
    Coarse(Codes),
}

impl Past {
    pub(super) fn fine() -> Past {
        Past::Fine { blocks: Vec::new(), shift: 0 }
    }

    pub(super) fn coarse() -> Past {
        Past::Coarse(Codes::default())
    }

    /// With nothing in it, of the same kind.
    pub(super) fn anew(&self) -> Past {
        match self {
            Past::Fine { .. } => Past::fine(),
            Past::Coarse(_) => Past::coarse(),
        }
    }

    /// Blocks that are kept of each of `width` features: as many as fit into 4 KB with all else that is known of a series
    /// of up to four, and for more as many as their seasons are worth.
    pub(super) fn blocks_max(&self, width: usize) -> usize {
        match (self, width) {
            (Past::Fine { .. }, ..=1) => 512,
            // Version 1 had no other.
            (Past::Fine { .. }, ..=8) => 256,
            (Past::Coarse(_), ..=2) => 512,
            (Past::Coarse(_), 3) => 384,
            (Past::Coarse(_), 4) => 52,
            (Past::Coarse(_), ..=8) => 256,
            (_, ..=64) => 128,
            _ => 64,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Past::Fine { blocks, .. } => blocks.len(),
            Past::Coarse(codes) => codes.len(),
        }
    }

    pub(super) fn get(&self, i: usize) -> Option<f64> {
        match self {
            Past::Fine { blocks, shift } => {
                Some(f64::from(i16::from_le_bytes(*blocks.get(i)?)) * 2f64.powi((*shift).into()))
            }
            Past::Coarse(codes) => codes.get(i),
        }
    }

    /// As numbers of some unit and from some origin.
    pub(super) fn shape(&self) -> Vec<f32> {
        match self {
            Past::Fine { blocks, .. } => {
                blocks.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes))).collect()
            }
            Past::Coarse(codes) => codes.places().iter().map(|&place| f32::from(place)).collect(),
        }
    }

    pub(super) fn remove_first(&mut self) {
        match self {
            Past::Fine { blocks, .. } => drop(blocks.remove(0)),
            Past::Coarse(codes) => codes.remove_first(),
        }
    }

    /// Two blocks become one, and an odd one is forgotten.
    pub(super) fn halve(&mut self) {
        let code = |bytes: &[u8; 2]| i32::from(i16::from_le_bytes(*bytes));
        match self {
            Past::Fine { blocks, .. } => {
                let halved = blocks.chunks_exact(2).map(|two| (code(&two[0]) + code(&two[1])) / 2);
                *blocks = halved.map(|code| (code as i16).to_le_bytes()).collect();
            }
            Past::Coarse(codes) => codes.merge(false, u8::midpoint),
        }
    }

    /// The codes grow coarser when the new one has no room.
    pub(super) fn push(&mut self, mean: f64) {
        let limit = f64::from(i16::MAX);
        match self {
            Past::Fine { blocks, shift } => {
                while (mean / 2f64.powi((*shift).into())).abs() > limit && *shift < 200 {
                    *shift += 1;
                    for bytes in blocks.iter_mut() {
                        *bytes = (i16::from_le_bytes(*bytes) / 2).to_le_bytes();
                    }
                }
                let code = (mean / 2f64.powi((*shift).into())).round().clamp(-limit, limit);
                blocks.push((code as i16).to_le_bytes());
            }
            Past::Coarse(codes) => codes.push(mean),
        }
    }

    pub(super) fn scale_by_power(&mut self, log2: i32) {
        match self {
            Past::Fine { shift, .. } => *shift = shift.saturating_add(log2 as i16).clamp(-200, 200),
            Past::Coarse(codes) => codes.scale_by_power(log2),
        }
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        let blocks_max = self.blocks_max(width);
        match self {
            Past::Fine { blocks, shift } => blocks.len() <= blocks_max && (-200..=200).contains(shift),
            Past::Coarse(codes) => codes.is_sound(blocks_max),
        }
    }
}
