//! New leads that nobody owns.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Assigned, AssignmentPolicy, note::note, store, take::take};
use crate::{
    conditions::{Scope, push_condition},
    db::{DbError, DbResult, TenantTx},
    events::NewEvent,
    leads::{self, Lead, UpdatedLead},
};

/// Offers new leads to the policies for them, each to the first that fits. Answers those that got a colleague, and what is
/// to be told of it. A lead that nobody can take stays, with the reason in its history.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn welcome(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    mut newcomers: Vec<Uuid>,
) -> DbResult<(Vec<Lead>, Vec<NewEvent>)> {
    // Ids are in the order of time.
    newcomers.sort_unstable();
    let mut offers: Vec<(AssignmentPolicy, Vec<Uuid>)> = Vec::new();
    for policy in store::policies_for_new_leads(tx).await? {
        let fitting = fitting(tx, now, &policy, &newcomers).await?;
        newcomers.retain(|lead| !fitting.contains(lead));
        if !fitting.is_empty() {
            offers.push((policy, fitting));
        }
    }
    // Rotations are held in one order, as by the runs, so that nobody waits in a circle.
    offers.sort_by_key(|(policy, _)| policy.id);
    let mut assigned: Vec<Assigned> = Vec::new();
    for (policy, fitting) in offers {
        let taken = take(tx, now, &policy.rotation(), fitting.len()).await?;
        assigned.extend(fitting.into_iter().zip(&taken.turns).map(|(lead_id, turn)| Assigned {
            lead_id,
            owner: turn.owner(),
            previous: None,
            policy_id: Some(policy.id),
            absent: taken.absent.clone(),
            actor: ("system", None),
        }));
    }
    let owners: Vec<(Uuid, Uuid)> =
        assigned.iter().filter_map(|one| Some((one.lead_id, one.owner?))).collect();
    let leads = leads::set_owners(tx, &owners).await?;
    note(tx, now, &assigned).await?;
    let mut events = Vec::new();
    for lead in &leads {
        let previous = Map::from_iter([("ownerId".to_owned(), Value::Null)]);
        let told = UpdatedLead::from_previous(lead.clone(), previous).and_then(|updated| updated.events(now));
        let told = told.map_err(|_| DbError::Defect("a lead cannot be told".to_owned()))?;
        events.extend(told.into_iter().map(|event| NewEvent { source: "assignment", ..event }));
    }
    Ok((leads, events))
}

/// Those for whom the policy is, in the order in which they came.
async fn fitting(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    policy: &AssignmentPolicy,
    newcomers: &[Uuid],
) -> DbResult<Vec<Uuid>> {
    if policy.conditions.is_none() || newcomers.is_empty() {
        return Ok(newcomers.to_vec());
    }
    let Some(condition) = policy.condition() else {
        tracing::error!(policy = %policy.id, "the conditions of a policy cannot be read");
        return Ok(Vec::new());
    };
    let tenant = tx.tenant();
    let mut query: QueryBuilder<'_, Postgres> =
        QueryBuilder::new("select l.id from leads l where l.tenant_id = ");
    query.push_bind(tenant).push(" and l.id = any (").push_bind(newcomers.to_vec()).push(") and ");
    push_condition(&mut query, &condition, Scope::of(tenant, now, newcomers));
    let found: Vec<Uuid> = query.build_query_scalar().fetch_all(tx.conn()).await?;
    let found: HashSet<Uuid> = found.into_iter().collect();
    Ok(newcomers.iter().copied().filter(|lead| found.contains(lead)).collect())
}
