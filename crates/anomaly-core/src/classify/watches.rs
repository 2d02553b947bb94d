//! What the rules remember of a series, each by its name.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::alert::Watch;

/// A rule's name: one text for the policy and for all series that it has judged, so that its address tells mostly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleName(Arc<str>);

/// By the rule's name, so that adding a rule does not disturb the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Watches(Vec<(RuleName, Watch)>);

impl RuleName {
    pub(super) fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn is_the_same_text(&self, other: &RuleName) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Watches {
    /// What the rule called `name` remembers; nothing yet, if it was never asked for. It is mostly at `place`.
    pub(super) fn of(&mut self, name: &RuleName, place: usize) -> &mut Watch {
        let is_there = self.0.get(place).is_some_and(|(there, _)| there.is_the_same_text(name));
        let place = if is_there { place } else { self.find(name) };
        &mut self.0[place].1
    }

    #[cold]
    fn find(&mut self, name: &RuleName) -> usize {
        match self.0.iter_mut().position(|(there, _)| there == name) {
            Some(place) => {
                self.0[place].0 = name.clone();
                place
            }
            None => {
                self.0.push((name.clone(), Watch::default()));
                self.0.len() - 1
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Watch> {
        self.iter().find(|(there, _)| there.as_str() == name).map(|(_, watch)| watch)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Watch> {
        self.0.iter_mut().find(|(there, _)| there.as_str() == name).map(|(_, watch)| watch)
    }

    /// Knows nothing any more of rules that `other` does not know.
    pub(super) fn retain_of(&mut self, other: &Watches) {
        self.0.retain(|(name, _)| other.get(name.as_str()).is_some());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RuleName, &Watch)> {
        self.0.iter().map(|(name, watch)| (name, watch))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.0.iter_mut().map(|(_, watch)| watch)
    }
}

impl Serialize for RuleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SmolStr::deserialize(deserializer).map(|name| Self::new(&name))
    }
}
