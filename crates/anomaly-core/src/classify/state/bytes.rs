//! A state as bytes: versions that grew, each with more behind the rest.

use std::fmt;

use super::SeriesState;
use crate::alert::{Extra, Life, Noted};

/// The version of the encoded state with nothing behind it.
pub(super) const PLAIN_VERSION: u8 = 1;
/// The version of the encoded state with a hold behind it.
pub(super) const HOLD_VERSION: u8 = 2;
/// The version of the encoded state with the last write and, maybe, a hold behind it.
const WRITE_VERSION: u8 = 3;
/// The version of the encoded state with all that and the last values behind it.
const LAST_VERSION: u8 = 4;
/// The version of the encoded state with all that and whose scores the rules know.
const MODELS_VERSION: u8 = 5;
/// The version of the encoded state with all that and where the last write is noted.
const NOTE_VERSION: u8 = 6;
/// The version of the encoded state with all that and what methods other than `sigma` remember.
const EXTRAS_VERSION: u8 = 7;
/// The version of the encoded state with all that and what the streaming detector remembers.
const DETECTOR_VERSION: u8 = 8;
/// The version of the encoded state with all that and, before the detector, when the series was heard.
const HEARD_VERSION: u8 = 9;
/// The version of the encoded state with all that and what alerts' lives take, after when the series was heard, if it
/// was.
const LIVES_VERSION: u8 = 10;
/// The version of the encoded state with all that and, after the lives, what was said of open alerts when somebody
/// acknowledged them; the newest this code reads.
const STATE_VERSION: u8 = 11;

impl SeriesState {
    /// The state as bytes: a version, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        // Postcard into memory fails only for sequences of unknown length, of which the state has none.
        let plain = |version| postcard::to_extend(self, vec![version]).unwrap_or_default();
        match (&self.hold, self.seen.last_write.as_slice()) {
            (hold, write)
                if self.has_extras()
                    || !self.detector.is_empty()
                    || self.heard.is_some()
                    || self.has_lives() =>
            {
                let version = match (self.has_lives(), &self.heard, self.detector.is_empty()) {
                    (true, ..) if self.has_notes() => STATE_VERSION,
                    (true, ..) => LIVES_VERSION,
                    (false, Some(_), _) => HEARD_VERSION,
                    (false, None, false) => DETECTOR_VERSION,
                    (false, None, true) => EXTRAS_VERSION,
                };
                let rest = (write, hold, &self.last, &self.models, &self.seen.noted_in);
                let bytes = postcard::to_extend(&rest, plain(version)).unwrap_or_default();
                let mut bytes =
                    postcard::to_extend(&(self.extras(), self.models.kept()), bytes).unwrap_or_default();
                if version >= LIVES_VERSION {
                    let lives = (&self.heard, self.lives());
                    bytes = postcard::to_extend(&lives, bytes).unwrap_or_default();
                    if version == STATE_VERSION {
                        bytes = postcard::to_extend(&self.notes(), bytes).unwrap_or_default();
                    }
                } else if let Some(heard) = &self.heard {
                    bytes = postcard::to_extend(heard, bytes).unwrap_or_default();
                }
                bytes.extend(&self.detector);
                bytes
            }
            (hold, write) if self.seen.noted_in.is_some() => {
                let rest = (write, hold, &self.last, &self.models, &self.seen.noted_in);
                postcard::to_extend(&rest, plain(NOTE_VERSION)).unwrap_or_default()
            }
            (hold, write) if !self.models.is_empty() => {
                let rest = (write, hold, &self.last, &self.models);
                postcard::to_extend(&rest, plain(MODELS_VERSION)).unwrap_or_default()
            }
            (hold, write) if !self.last.is_empty() => {
                postcard::to_extend(&(write, hold, &self.last), plain(LAST_VERSION)).unwrap_or_default()
            }
            (None, []) => plain(PLAIN_VERSION),
            (Some(hold), []) => postcard::to_extend(hold, plain(HOLD_VERSION)).unwrap_or_default(),
            (hold, write) => postcard::to_extend(&(write, hold), plain(WRITE_VERSION)).unwrap_or_default(),
        }
    }

    /// The state that [`SeriesState::encode`] wrote.
    ///
    /// # Errors
    /// [`StateError::Newer`] for a later version, [`StateError::Corrupt`] for anything that is no state.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&version, rest)) if (PLAIN_VERSION..=STATE_VERSION).contains(&version) => {
                Self::decode_version(version, rest).ok_or(StateError::Corrupt)
            }
            Some((&version, _)) if version > STATE_VERSION => Err(StateError::Newer { version }),
            _ => Err(StateError::Corrupt),
        }
    }

    fn decode_version(version: u8, bytes: &[u8]) -> Option<Self> {
        let (mut state, rest) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        let rest = match version {
            PLAIN_VERSION => rest,
            HOLD_VERSION => {
                let (hold, rest) = postcard::take_from_bytes(rest).ok()?;
                state.hold = Some(hold);
                rest
            }
            WRITE_VERSION => {
                let ((write, hold), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold) = (write, hold);
                rest
            }
            LAST_VERSION => {
                let ((write, hold, last), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold, state.last) = (write, hold, last);
                rest
            }
            MODELS_VERSION => {
                let ((write, hold, last, models), rest) = postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold) = (write, hold);
                (state.last, state.models) = (last, models);
                rest
            }
            _ => {
                let ((write, hold, last, models, noted_in), mut rest) =
                    postcard::take_from_bytes(rest).ok()?;
                (state.seen.last_write, state.hold, state.seen.noted_in) = (write, hold, noted_in);
                (state.last, state.models) = (last, models);
                if version >= EXTRAS_VERSION {
                    let ((extras, kept), behind) = postcard::take_from_bytes(rest).ok()?;
                    state.set_extras(extras)?;
                    state.models.set_kept(kept)?;
                    rest = behind;
                }
                if version == HEARD_VERSION {
                    let (heard, behind) = postcard::take_from_bytes(rest).ok()?;
                    (state.heard, rest) = (Some(heard), behind);
                } else if version >= LIVES_VERSION {
                    let ((heard, lives), behind) = postcard::take_from_bytes(rest).ok()?;
                    state.set_lives(lives)?;
                    (state.heard, rest) = (heard, behind);
                }
                if version == STATE_VERSION {
                    let (notes, behind) = postcard::take_from_bytes(rest).ok()?;
                    state.set_notes(notes)?;
                    rest = behind;
                }
                if version >= DETECTOR_VERSION {
                    state.detector = std::mem::take(&mut rest).to_vec();
                }
                rest
            }
        };
        rest.is_empty().then_some(state)
    }

    fn has_extras(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.has_extra()) || self.models.has_kept()
    }

    /// One for each watch, in order.
    fn extras(&self) -> Vec<Extra> {
        self.watches.iter().map(|(_, watch)| watch.extra()).collect()
    }

    fn set_extras(&mut self, extras: Vec<Extra>) -> Option<()> {
        let fits = extras.len() == self.watches.len();
        self.watches.iter_mut().zip(extras).for_each(|(watch, extra)| watch.set_extra(extra));
        fits.then_some(())
    }

    fn has_lives(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.life().is_some())
    }

    /// One for each watch, in order.
    fn lives(&self) -> Vec<Option<&Life>> {
        self.watches.iter().map(|(_, watch)| watch.life()).collect()
    }

    fn has_notes(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.noted().is_some())
    }

    /// One for each watch, in order.
    fn notes(&self) -> Vec<Option<&Noted>> {
        self.watches.iter().map(|(_, watch)| watch.noted()).collect()
    }

    fn set_notes(&mut self, notes: Vec<Option<Box<Noted>>>) -> Option<()> {
        let fits = notes.len() == self.watches.len();
        let there = self.watches.iter_mut().zip(notes);
        there.for_each(|(watch, noted)| noted.into_iter().for_each(|noted| watch.set_noted(noted)));
        fits.then_some(())
    }

    fn set_lives(&mut self, lives: Vec<Option<Box<Life>>>) -> Option<()> {
        let fits = lives.len() == self.watches.len();
        self.watches.iter_mut().zip(lives).for_each(|(watch, life)| watch.set_life(life));
        fits.then_some(())
    }
}

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A later release wrote it.
    Newer {
        /// Its version.
        version: u8,
    },
    /// The bytes are damaged, or something else altogether.
    Corrupt,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Newer { version } => write!(
                f,
                "the state has version {version} and this release reads up to {STATE_VERSION}; use the release that wrote it"
            ),
            StateError::Corrupt => f.write_str("the state is damaged"),
        }
    }
}

impl std::error::Error for StateError {}
