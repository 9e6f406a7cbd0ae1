//! How records name a person.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::core::evidence::TrackId;

/// A person as records name one.
pub(crate) struct Person(pub TrackId);

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person {}", self.0)
    }
}

impl Serialize for Person {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
