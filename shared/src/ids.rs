//! Identifiers: UUIDv7, so that they sort by creation and say nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A new row id. Version 7: time-ordered, which keeps B-tree inserts at the right edge.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A tenant. A type of its own, so that no row id is ever taken for the wall between businesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(Uuid);

impl TenantId {
    /// Wraps an id that came from an authenticated source or a queue message.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The plain id, as a statement's parameter.
    #[must_use]
    pub const fn get(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
