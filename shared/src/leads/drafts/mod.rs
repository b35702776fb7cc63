//! Many leads at once: read and held together, changed in memory, written together.
//!
//! Imports and bulk changes decide in memory what becomes of each lead, because a lead may come more than once in a portion and a rehearsal must
//! count like the real thing. [`load`] holds the rows until the transaction ends, so what was read is what is changed; [`write`] makes new leads and
//! changes known ones by one statement each, and tells the same events as the single routes, one set per lead.

mod change;
mod store;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{Lead, NewConsent};
use crate::{ids::new_id, private::Private};

pub(super) use store::{Author, archive, load, restore, rivals, write};

/// A lead as it is and as it shall be.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// As it shall be.
    pub(super) lead: Lead,
    /// Whether there is none yet.
    pub(super) is_new: bool,
    /// Whether anything differs.
    pub(super) is_changed: bool,
    /// Identities that come on top.
    pub(super) added: Vec<Added>,
    /// What the person allowed or refused, on top.
    pub(super) consents: Vec<NewConsent>,
}

/// An identity that a lead gets.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) kind: &'static str,
    pub(super) value: String,
    /// Whether the lead shows it.
    pub(super) is_primary: bool,
}

impl Draft {
    /// A lead that is there.
    pub(super) const fn of(lead: Lead) -> Self {
        Self { lead, is_new: false, is_changed: false, added: Vec::new(), consents: Vec::new() }
    }

    /// A lead that is made now.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let lead = Lead {
            id: new_id(),
            status: "new".to_owned(),
            source: None,
            first_name: None,
            last_name: None,
            name: None,
            email: None,
            phone: None,
            owner_id: None,
            stage_id: None,
            stage_entered_at: None,
            won_reason: None,
            lost_reason: None,
            value: None,
            currency: None,
            tags: Vec::new(),
            custom_fields: json!({}),
            score: 0,
            timezone: None,
            locale: None,
            first_touch: None,
            last_touch: None,
            created_at: now,
            updated_at: now,
            last_activity_at: Some(now),
            deleted_at: None,
            merged_into_id: None,
            version: 1,
        };
        Self { is_new: true, is_changed: true, ..Self::of(lead) }
    }

    /// Puts a value into a field.
    pub(super) fn set<T: PartialEq>(&mut self, field: fn(&mut Lead) -> &mut T, value: T) {
        let place = field(&mut self.lead);
        if *place != value {
            *place = value;
            self.is_changed = true;
        }
    }

    /// Gives the lead an identity that nobody has. The first of its kind becomes the one that is shown.
    pub(super) fn add_identity(&mut self, kind: &'static str, value: String) {
        let shown = match kind {
            "email" => Some(&mut self.lead.email),
            "phone" => Some(&mut self.lead.phone),
            _ => None,
        };
        let is_primary = shown.is_some_and(|shown| {
            let free = shown.is_none();
            if free {
                *shown = Some(Private::new(value.clone()));
            }
            free
        });
        self.is_changed |= is_primary;
        self.added.push(Added { kind, value, is_primary });
    }

    /// Puts the lead on a stage, or takes it off. What was won or lost before belongs to the stage before.
    pub(super) fn move_to(&mut self, stage: Option<Uuid>) {
        if self.lead.stage_id != stage {
            self.lead.stage_id = stage;
            self.lead.won_reason = None;
            self.lead.lost_reason = None;
            self.is_changed = true;
        }
    }
}
