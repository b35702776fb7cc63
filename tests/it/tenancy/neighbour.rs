//! Another business with a row of every kind, each carrying a word that must never be seen outside.

use std::collections::BTreeMap;

use crate::support::Tenant;

/// The business next door.
pub struct Neighbour {
    tenant: Tenant,
    ids: BTreeMap<&'static str, String>,
    canary: String,
}

impl Neighbour {
    /// The id of its row of a kind.
    pub fn id(&self, kind: &str) -> String {
        self.ids.get(kind).unwrap_or_else(|| panic!("the neighbour has no `{kind}`; see tests/it/tenancy/neighbour.rs")).clone()
    }

    /// All its ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.values().map(String::as_str)
    }

    /// The word in its data.
    pub fn canary(&self) -> &str {
        &self.canary
    }

    /// Its tenant.
    pub fn tenant(&self) -> uuid::Uuid {
        self.tenant.id.parse().unwrap()
    }
}
