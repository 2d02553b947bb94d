//! What rules learned of the scores of each model: numbers of one scale are never judged by those of another.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::rule::{Kept, Memory};

/// How many models, besides the one at work, are remembered: variants of an endpoint take turns. Of more, the
/// one that scored longest ago begins anew.
const SHELVED_MAX: usize = 3;

/// What gave a score.
#[derive(Debug)]
pub(crate) struct Model {
    name: SmolStr,
    /// A hash of the name, by which states know it.
    tag: u64,
}

impl Model {
    pub(crate) fn new(name: &str) -> Self {
        Model { name: name.into(), tag: tag(name) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The model whose scores the rules know, and what they knew of others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Models {
    /// A hash of its name.
    current: Option<u64>,
    /// The others, the one that scored last at the end.
    shelf: Vec<(u64, Memories)>,
}

/// What each rule on scores has learned, by its name.
pub(crate) type Memories = Vec<(String, Memory)>;

impl Models {
    /// Whether nothing was ever scored.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_none() && self.shelf.is_empty()
    }

    /// Whether `model` gave the last score.
    pub(crate) fn is_at(&self, model: &Model) -> bool {
        self.current == Some(model.tag)
    }

    /// A score by `model` is to be judged. If the last one was by another, what was learned is put aside by
    /// `swap`, which is given what is known of `model` and gives back what the rules knew.
    pub(crate) fn turn_to(&mut self, model: &Model, swap: impl FnOnce(Memories) -> Memories) {
        let Some(last) = self.current.replace(model.tag).filter(|last| *last != model.tag) else { return };
        let known = self.shelf.iter().position(|(other, _)| *other == model.tag);
        let known = known.map(|place| self.shelf.remove(place).1).unwrap_or_default();
        self.shelf.push((last, swap(known)));
        if self.shelf.len() > SHELVED_MAX {
            self.shelf.remove(0);
        }
    }
}

impl Models {
    /// Whether a model that is put aside has something for [`Models::kept`].
    pub(crate) fn has_kept(&self) -> bool {
        self.memories().any(|memory| memory.kept.is_some())
    }

    /// What methods other than `sigma` knew of the models that are put aside: the state encodes it behind the rest.
    pub(crate) fn kept(&self) -> Vec<Option<Box<Kept>>> {
        self.memories().map(|memory| memory.kept.clone()).collect()
    }

    /// Takes back what [`Models::kept`] gave; `None` if it is another number of memories.
    pub(crate) fn set_kept(&mut self, kept: Vec<Option<Box<Kept>>>) -> Option<()> {
        let fits = kept.len() == self.memories().count();
        let memories = self.shelf.iter_mut().flat_map(|(_, memories)| memories);
        memories.zip(kept).for_each(|((_, memory), kept)| memory.kept = kept);
        fits.then_some(())
    }

    fn memories(&self) -> impl Iterator<Item = &Memory> {
        self.shelf.iter().flat_map(|(_, memories)| memories).map(|(_, memory)| memory)
    }
}

/// The first 64 bits of a hash: no two of a handful of models are alike by chance.
fn tag(model: &str) -> u64 {
    Sha256::digest(model.as_bytes()).iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
}
