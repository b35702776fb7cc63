//! The life of a definition after it was drafted: published, paused, resumed, archived.

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    graph::{Definition, GRAPH_SCHEMA},
    model::{Automation, Version},
    store::query_automations,
};
use crate::{
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// Freezes the definition as the next version and lets it start runs. Publishing without a change makes no new version. The caller has locked
/// the row.
///
/// # Errors
/// When the database refuses.
pub async fn publish(
    tx: &mut TenantTx,
    id: Uuid,
    definition: &Definition,
    by: Option<Uuid>,
) -> DbResult<Option<Automation>> {
    let (graph, hash) = definition.to_graph();
    let automation = query_automations!(
        "with current as (
             select v.version from automation_versions v join automations p
                 on p.tenant_id = v.tenant_id and p.id = v.automation_id and p.current_version = v.version
              where v.tenant_id = $1 and v.automation_id = $2 and v.sha256 = $4
         ), made as (
             insert into automation_versions (tenant_id, automation_id, version, graph, graph_schema, sha256, published_by)
             select $1, $2, 1 + coalesce(max(v.version), 0), $3, $5, $4, $6
               from automation_versions v where v.tenant_id = $1 and v.automation_id = $2
             having not exists (select from current)
             returning version
         ), a as (
             update automations set
                    status = 'active', draft = null, pause_policy = null, published_at = now(),
                    current_version = coalesce((select version from made), (select version from current)),
                    trigger_type = $3::jsonb -> 'trigger' ->> 'type', trigger = $3 -> 'trigger', steps = $3 -> 'steps',
                    reentry = nullif($3 -> 'reentry', 'null'), goal = nullif($3 -> 'goal', 'null'),
                    caps = nullif($3 -> 'caps', 'null')
              where tenant_id = $1 and id = $2
             returning automations.*
         )",
        "from a",
        tx.tenant(),
        id,
        graph,
        hash.as_slice(),
        GRAPH_SCHEMA,
        by,
    )
    .fetch_optional(tx.conn())
    .await?;
    release_held(tx, id).await?;
    Ok(automation)
}

/// What happens to runs under way while an automation is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PausePolicy {
    /// They stop at their next step and go on from there.
    #[default]
    Hold,
    /// They are cancelled.
    Drop,
}

/// Stops an active automation from starting and moving runs. `None` when it is not active.
///
/// # Errors
/// When the database refuses.
pub async fn pause(tx: &mut TenantTx, id: Uuid, policy: PausePolicy) -> DbResult<Option<Automation>> {
    let word = match policy {
        PausePolicy::Hold => "hold",
        PausePolicy::Drop => "drop",
    };
    let paused = query_automations!(
        "with a as (
             update automations set status = 'paused', pause_policy = $3
              where tenant_id = $1 and id = $2 and status = 'active'
             returning automations.*
         )",
        "from a",
        tx.tenant(),
        id,
        word,
    )
    .fetch_optional(tx.conn())
    .await?;
    if paused.is_some() && policy == PausePolicy::Drop {
        cancel_runs_of(tx, id).await?;
    }
    Ok(paused)
}

/// Lets a paused automation go on. `None` when it is not paused.
///
/// # Errors
/// When the database refuses.
pub async fn resume(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Automation>> {
    let resumed = query_automations!(
        "with a as (
             update automations set status = 'active', pause_policy = null
              where tenant_id = $1 and id = $2 and status = 'paused' and current_version is not null
             returning automations.*
         )",
        "from a",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    if resumed.is_some() {
        release_held(tx, id).await?;
    }
    Ok(resumed)
}

/// Takes an automation out of use and cancels its runs. Its history stays. False when there is none, or it was archived before.
///
/// # Errors
/// When the database refuses.
pub async fn archive(tx: &mut TenantTx, id: Uuid) -> DbResult<bool> {
    let done = sqlx::query!(
        "update automations set status = 'archived' where tenant_id = $1 and id = $2 and status <> 'archived'",
        tx.tenant(),
        id,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if done > 0 {
        cancel_runs_of(tx, id).await?;
    }
    Ok(done > 0)
}

/// The published versions, latest first.
///
/// # Errors
/// When the database refuses.
pub async fn versions(tx: &mut TenantTx, id: Uuid) -> DbResult<Vec<Version>> {
    let versions = sqlx::query_as!(
        Version,
        r#"select version, graph, encode(sha256, 'hex') as "sha256!", published_by, published_at
             from automation_versions where tenant_id = $1 and automation_id = $2 order by version desc limit 1000"#,
        tx.tenant(),
        id,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(versions)
}

/// Makes the runs due that a claim put aside while the automation was paused: queued without a time.
async fn release_held(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    let released = sqlx::query_scalar!(
        "update automation_runs set wake_at = now()
          where tenant_id = $1 and automation_id = $2 and status = 'queued' and wake_at is null
         returning id",
        tx.tenant(),
        id,
    )
    .fetch_all(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    // One look at the tenant claims a whole batch; the sweep covers what is beyond it.
    for run in released.into_iter().take(10) {
        tx.hint(Hint::now(tenant, HintKind::Run, run));
    }
    Ok(())
}

/// Asks all runs under way to stop; those that rest stop at once.
async fn cancel_runs_of(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    let runs = sqlx::query_scalar!(
        "select id from automation_runs
          where tenant_id = $1 and automation_id = $2 and status in ('queued', 'waiting', 'running')",
        tx.tenant(),
        id,
    )
    .fetch_all(tx.conn())
    .await?;
    super::runs::cancel_all(tx, &runs).await
}
