//! Taking turns.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Availability, Rotation, store,
    store::Colleague,
    turns::{self, Player},
};
use crate::db::{DbResult, TenantTx};

/// What became of one lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was this colleague's turn.
    Taken(Uuid),
    /// Nobody could take it, so it goes to whom the policy names for that.
    Fallback(Uuid),
    /// Nobody can take it.
    Nobody,
}

impl Turn {
    /// The colleague.
    #[must_use]
    pub const fn owner(self) -> Option<Uuid> {
        match self {
            Self::Taken(user) | Self::Fallback(user) => Some(user),
            Self::Nobody => None,
        }
    }
}

/// Why somebody was left out who is no colleague, or no longer.
pub const UNKNOWN: &str = "unknown";

/// Why a colleague was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Absent {
    /// The colleague.
    pub user_id: Uuid,
    /// `unknown`, `inactive`, `away`, `offDuty` or `full`.
    pub reason: &'static str,
}

/// What became of some leads.
#[derive(Clone, Debug)]
pub struct Taken {
    /// One for each lead.
    pub turns: Vec<Turn>,
    /// Who was left out, in the end.
    pub absent: Vec<Absent>,
}

/// Takes turns for `count` leads. The rotation is held until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn take(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    rotation: &Rotation,
    count: usize,
) -> DbResult<Taken> {
    let kept = store::lock_turns(tx, &rotation.name).await?;
    // Only now, so that what the turns before have given out is seen.
    let ids: Vec<Uuid> =
        rotation.members.iter().map(|member| member.user_id).chain(rotation.fallback).collect();
    let limited = rotation.members.iter().filter(|member| member.capacity.is_some());
    let limited: Vec<Uuid> = limited.map(|member| member.user_id).collect();
    let known: HashMap<Uuid, Colleague> = store::colleagues(tx, &ids, &limited)
        .await?
        .into_iter()
        .map(|colleague| (colleague.id, colleague))
        .collect();
    let mut absent = Vec::new();
    let mut players = Vec::new();
    for member in &rotation.members {
        let Some(colleague) = known.get(&member.user_id) else {
            absent.push(Absent { user_id: member.user_id, reason: UNKNOWN });
            continue;
        };
        if let Some(reason) = absence(tx, now, rotation, colleague) {
            absent.push(Absent { user_id: member.user_id, reason });
            continue;
        }
        players.push(Player {
            user: member.user_id,
            weight: member.weight.into(),
            owed: kept.get(member.user_id.to_string()).and_then(Value::as_i64).unwrap_or_default(),
            room: member.capacity.map(|capacity| i64::from(capacity) - colleague.open),
        });
    }
    let fallback = rotation.fallback.filter(|id| known.get(id).is_some_and(|colleague| colleague.active));
    let none = fallback.map_or(Turn::Nobody, Turn::Fallback);
    let turns: Vec<Turn> = (0..count).map(|_| turns::next(&mut players).map_or(none, Turn::Taken)).collect();
    let full = players.iter().filter(|player| player.room.is_some_and(|room| room <= 0));
    absent.extend(full.map(|player| Absent { user_id: player.user, reason: "full" }));
    if turns.iter().any(|turn| matches!(turn, Turn::Taken(_))) {
        store::write_turns(tx, &rotation.name, owed(&kept, rotation, &players)).await?;
    }
    Ok(Taken { turns, absent })
}

fn absence(
    tx: &TenantTx,
    now: DateTime<Utc>,
    rotation: &Rotation,
    colleague: &Colleague,
) -> Option<&'static str> {
    if !colleague.active {
        return Some("inactive");
    }
    let stored = colleague.availability.clone().and_then(|stored| serde_json::from_value(stored).ok());
    let availability: Availability = stored.unwrap_or_default();
    let own = colleague.timezone.as_ref().and_then(|zone| zone.parse().ok());
    availability.absence(now, own.unwrap_or_else(|| tx.zone()), rotation.working_hours)
}

/// What is owed to each member: whoever was not asked keeps what they had, whoever is no member is forgotten.
fn owed(kept: &Value, rotation: &Rotation, players: &[Player]) -> Value {
    let owed = |id: Uuid| {
        let asked = players.iter().find(|player| player.user == id).map(|player| json!(player.owed));
        asked.or_else(|| kept.get(id.to_string()).cloned()).unwrap_or_else(|| json!(0))
    };
    rotation.members.iter().map(|member| (member.user_id.to_string(), owed(member.user_id))).collect()
}
