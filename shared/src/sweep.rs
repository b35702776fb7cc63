//! Due rows of all tenants, as hints: ids and delays, nothing else. And tenants in which a snooze has ended.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::{
    db::{DbError, DbResult, SystemTx},
    ids::TenantId,
    queue::{Hint, HintKind},
};

/// Rows that are due within the horizon and that nobody holds, the tenants in turn: `per_tenant` rows of one tenant and queue at most, `limit`
/// rows at most.
///
/// # Errors
/// When the database refuses.
pub async fn due(tx: &mut SystemTx, horizon: Duration, per_tenant: i32, limit: i32) -> DbResult<Vec<Hint>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    let rows: Vec<(String, Uuid, Uuid, i32)> =
        sqlx::query_as("select kind, tenant_id, id, due_in_seconds from sweep_due($1, $2, $3)")
            .bind(interval(horizon)?)
            .bind(per_tenant)
            .bind(limit)
            .fetch_all(tx.conn())
            .await?;
    let hints = rows.into_iter().filter_map(|(word, tenant, id, due_in_seconds)| {
        let delay = Duration::from_secs(due_in_seconds.try_into().unwrap_or_default());
        Hint::now(TenantId::new(tenant), kind(&word)?, id).after(delay)
    });
    Ok(hints.collect())
}

/// Rows of suspended tenants that go on all the same: mails about accounts, and jobs, of which the worker lets those rest that change anything.
///
/// # Errors
/// When the database refuses.
pub async fn suspended(tx: &mut SystemTx, limit: i32) -> DbResult<Vec<Hint>> {
    let rows: Vec<(String, Uuid, Uuid)> =
        sqlx::query_as("select kind, tenant_id, id from sweep_suspended($1)")
            .bind(limit)
            .fetch_all(tx.conn())
            .await?;
    let hints = rows
        .into_iter()
        .filter_map(|(word, tenant, id)| Some(Hint::now(TenantId::new(tenant), kind(&word)?, id)));
    Ok(hints.collect())
}

fn kind(word: &str) -> Option<HintKind> {
    match word {
        "receipt" => Some(HintKind::Receipt),
        "run" => Some(HintKind::Run),
        "effect" => Some(HintKind::Effect),
        "delivery" => Some(HintKind::Delivery),
        "job" => Some(HintKind::Job),
        _ => None,
    }
}

/// Slots of automations that begin by the clock, due within the horizon.
///
/// # Errors
/// When the database refuses.
pub async fn due_schedules(tx: &mut SystemTx, horizon: Duration, limit: i32) -> DbResult<Vec<Hint>> {
    let rows: Vec<(Uuid, Uuid, i32)> =
        sqlx::query_as("select tenant_id, automation_id, due_in_seconds from sweep_schedules($1, $2)")
            .bind(interval(horizon)?)
            .bind(limit)
            .fetch_all(tx.conn())
            .await?;
    let hints = rows.into_iter().filter_map(|(tenant, automation, due_in_seconds)| {
        let delay = Duration::from_secs(due_in_seconds.try_into().unwrap_or_default());
        Hint::now(TenantId::new(tenant), HintKind::Schedule, automation).after(delay)
    });
    Ok(hints.collect())
}

/// Businesses that are being deleted and that no worker is at, `limit` at most.
///
/// # Errors
/// When the database refuses.
pub async fn ended(tx: &mut SystemTx, limit: i32) -> DbResult<Vec<Hint>> {
    // Not a checked macro, for the same reason.
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select sweep_ended($1)").bind(limit).fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().map(|id| Hint::now(TenantId::new(id), HintKind::Tenant, id)).collect())
}

fn interval(span: Duration) -> DbResult<PgInterval> {
    PgInterval::try_from(span).map_err(|_| DbError::Defect("the horizon is no interval".to_owned()))
}

/// Tenants with a conversation whose snooze has ended, `limit` at most.
///
/// # Errors
/// When the database refuses.
pub async fn snoozed(tx: &mut SystemTx, limit: i32) -> DbResult<Vec<TenantId>> {
    // Not a checked macro, for the same reason.
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select sweep_snoozed($1)").bind(limit).fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().map(TenantId::new).collect())
}
