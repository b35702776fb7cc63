//! What is written down of an assignment: an entry in the lead's history, and word to the colleague.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Absent, store};
use crate::{
    db::{DbResult, TenantTx},
    ids::new_id,
    notifications::{self, NewNotification, Recipients},
};

/// A lead that got a colleague, lost one, or should have got one.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The lead.
    pub lead_id: Uuid,
    /// In charge now.
    pub owner: Option<Uuid>,
    /// In charge before.
    pub previous: Option<Uuid>,
    /// By which policy.
    pub policy_id: Option<Uuid>,
    /// Nobody could take it: why.
    pub absent: Vec<Absent>,
    /// Whose doing it was: kind and id, as in activities.
    pub actor: (&'static str, Option<Uuid>),
}

impl Assigned {
    fn activity(&self) -> Value {
        let mut data = json!({"ownerId": self.owner, "previousOwnerId": self.previous});
        if let Some(fields) = data.as_object_mut() {
            fields.extend(self.policy_id.map(|id| ("policyId".to_owned(), json!(id))));
            if self.owner.is_none() && !self.absent.is_empty() {
                fields.insert("absent".to_owned(), json!(self.absent));
            }
        }
        let title = match (self.owner, self.previous) {
            (Some(_), _) => "Assigned",
            (None, Some(_)) => "Left to nobody",
            (None, None) => "Nobody could take the lead",
        };
        json!({
            "id": new_id(), "lead_id": self.lead_id, "title": title, "data": data, "actor_kind": self.actor.0, "actor_id": self.actor.1,
        })
    }
}

/// Writes assignments down, and tells the colleagues: each hears of one lead by itself, of several at once in one word. What
/// they did themselves they know.
///
/// # Errors
/// When the database refuses.
pub async fn note(tx: &mut TenantTx, now: DateTime<Utc>, assigned: &[Assigned]) -> DbResult<()> {
    if assigned.is_empty() {
        return Ok(());
    }
    store::insert_activities(tx, now, assigned.iter().map(Assigned::activity).collect()).await?;
    let mut told: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for one in assigned {
        if let Some(owner) = one.owner.filter(|owner| Some(*owner) != one.actor.1) {
            told.entry(owner).or_default().push(one.lead_id);
        }
    }
    let notices: Vec<(Recipients, NewNotification)> =
        told.into_iter().map(|(owner, leads)| (Recipients::User(owner), notice(&leads))).collect();
    if !notices.is_empty() {
        notifications::insert_many(tx, &notices).await?;
    }
    Ok(())
}

fn notice(leads: &[Uuid]) -> NewNotification {
    let (title, lead_id) = match leads {
        [only] => ("A lead is yours now".to_owned(), Some(*only)),
        several => (format!("{} leads are yours now", several.len()), None),
    };
    let leads: Vec<&Uuid> = leads.iter().take(100).collect();
    NewNotification {
        kind: "lead.assigned".to_owned(),
        title: Some(title),
        body: None,
        data: json!({"leadIds": leads}),
        lead_id,
        dedupe_key: None,
    }
}
