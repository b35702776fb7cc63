//! Starting runs by hand.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    http::{Check, FieldErrors},
    queue::{Hint, HintKind},
};

/// What is to be started.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Execute {
    /// The people, 1000 at most; without any, one run that is about nobody.
    pub lead_ids: Vec<Uuid>,
    /// Those who belong to this segment now, 10,000 at most, instead of named people.
    pub segment_id: Option<Uuid>,
    /// `event` in conditions and texts.
    #[schema(value_type = Object)]
    pub payload: Map<String, Value>,
    /// Starts nothing and tells what would happen.
    pub dry_run: bool,
}

impl Check for Execute {
    fn check(&self, errors: &mut FieldErrors) {
        if self.lead_ids.len() > 1_000 {
            errors.add("/leadIds", "too_many_values", "At most 1000 people can be started at once.");
        }
        if self.segment_id.is_some() && !self.lead_ids.is_empty() {
            errors.add("/segmentId", "ambiguous", "Name people or a segment, not both.");
        }
        if serde_json::to_vec(&self.payload).map_or(0, |bytes| bytes.len()) > 16_384 {
            errors.add("/payload", "too_long", "At most 16 KiB are taken.");
        }
    }
}

/// What was started.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Executed {
    /// The runs.
    pub run_ids: Vec<Uuid>,
    /// Who was left out, and why.
    pub skipped: Vec<Skipped>,
    /// A dry run: what would happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Vec<super::engine::Rehearsal>>,
}

/// A person who was left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The person.
    pub lead_id: Option<Uuid>,
    /// `not_found` or `reentry`.
    pub reason: &'static str,
}

/// Starts a run of the published version for each person whom the rule of re-entry lets in.
///
/// # Errors
/// When the database refuses.
pub async fn execute(
    tx: &mut TenantTx,
    automation: Uuid,
    request: &Execute,
    own_records_of: Owners<'_>,
) -> DbResult<Executed> {
    let asked: Vec<Option<Uuid>> = if request.lead_ids.is_empty() && request.segment_id.is_none() {
        vec![None]
    } else {
        request.lead_ids.iter().copied().map(Some).collect()
    };
    let rows = sqlx::query!(
        r#"with asked as (
               select distinct a.id, (a.id is null or l.id is not null) as known
                 from unnest($3::uuid[]) as a (id)
                 left join leads l on l.tenant_id = $1 and l.id = a.id and l.deleted_at is null
                      and ($4::uuid[] is null or l.owner_id = any ($4))
           ), enrolled as (
               insert into automation_runs (tenant_id, id, automation_id, version, lead_id, entry_key, context, depth)
               select $1, new_id(), p.id, p.current_version, a.id, entry_key(p.reentry, p.id, a.id, new_id()), $5, 1
                 from asked a join automations p on p.tenant_id = $1 and p.id = $2
                where a.known
               on conflict (tenant_id, automation_id, entry_key) do nothing
               returning id, lead_id
           )
           select a.id as lead_id, a.known as "known!", e.id as "run_id?"
             from asked a left join enrolled e on e.lead_id is not distinct from a.id"#,
        tx.tenant(),
        automation,
        &asked as &[Option<Uuid>],
        own_records_of,
        json!({"event": request.payload}),
    )
    .fetch_all(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    let mut executed = Executed::default();
    for row in rows {
        match row.run_id {
            Some(run) => {
                tx.hint(Hint::now(tenant, HintKind::Run, run));
                executed.run_ids.push(run);
            }
            None => {
                let reason = if row.known { "reentry" } else { "not_found" };
                executed.skipped.push(Skipped { lead_id: row.lead_id, reason });
            }
        }
    }
    Ok(executed)
}
