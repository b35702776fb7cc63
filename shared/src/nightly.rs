//! The work of a night: one slot per tenant, taken by whoever inserts it first.
//!
//! The slot is written in the transaction that does the work, so it is done once however many schedulers tick, and a
//! tenant whose work failed is free for the next tick.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use crate::{
    db::{DbResult, SystemTx, TenantTx},
    ids::TenantId,
};

/// How long webhook bodies, what was understood of them and what the sandbox sent are kept.
const KEEP_RAW: Duration = Duration::days(30);
/// How long a one-time token is remembered after it has expired: a late second use is told so instead of "unknown".
const KEEP_TOKENS: Duration = Duration::days(7);

/// How long a session is remembered after it has expired: a login from its network counts as coming from home.
const KEEP_SESSIONS: Duration = Duration::days(90);

/// How long it is remembered whose turn it is among colleagues who were named on the spot.
const KEEP_TURNS: Duration = Duration::days(90);

/// What was cleared away of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Stored answers of idempotency keys.
    pub idempotency_keys: i64,
    /// One-time tokens.
    pub one_time_tokens: i64,
    /// Sessions, with the refresh tokens that were spent in them.
    pub sessions: i64,
    /// Buckets that have long been full again.
    pub buckets: i64,
    /// Raw bodies of webhooks, with what was understood of them.
    pub raw_receipts: i64,
    /// What the sandbox sent.
    pub sandbox_deliveries: i64,
    /// Rotations of colleagues who were named on the spot, and are not named any more.
    pub turns: i64,
    /// Slots of nights long past.
    pub slots: i64,
}

/// Tenants that nightly work is done for.
///
/// # Errors
/// When the database refuses.
pub async fn tenants(tx: &mut SystemTx) -> DbResult<Vec<TenantId>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    let ids: Vec<Uuid> = sqlx::query_scalar("select sweep_tenants()").fetch_all(tx.conn()).await?;
    Ok(ids.into_iter().map(TenantId::new).collect())
}

/// Forgets attempts that no longer slow anybody down, and buckets that are full again. They belong to no tenant.
///
/// # Errors
/// When the database refuses.
pub async fn purge_throttles(tx: &mut SystemTx) -> DbResult<i64> {
    let purged = sqlx::query_scalar!(
        r#"with attempts as (
               delete from throttles
                where updated_at < now() - interval '1 day' and (blocked_until is null or blocked_until < now()) returning 1
           ), buckets as (
               delete from rate_limits where full_at < now() returning 1
           )
           select (select count(*) from attempts) + (select count(*) from buckets) as "purged!""#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(purged)
}

/// Makes the partition of the month that comes, so that its first event waits for nothing.
///
/// # Errors
/// When the database refuses.
pub async fn prepare_month(tx: &mut SystemTx) -> DbResult<()> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    sqlx::query("select ensure_cta_month(date_trunc('month', now(), 'UTC') + interval '32 days')")
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Takes a slot; false when somebody has it. Whoever is taking it at the same moment is waited for.
///
/// # Errors
/// When the database refuses.
pub async fn take_slot(tx: &mut TenantTx, name: &str, slot: DateTime<Utc>) -> DbResult<bool> {
    let taken = sqlx::query!(
        "insert into cron_slots (tenant_id, name, slot) values ($1, $2, $3) on conflict (tenant_id, name, slot) do nothing",
        tx.tenant(),
        name,
        slot,
    )
    .execute(tx.conn())
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Notes on a slot what was done in it.
///
/// # Errors
/// When the database refuses.
pub async fn finish_slot(
    tx: &mut TenantTx,
    name: &str,
    slot: DateTime<Utc>,
    detail: serde_json::Value,
) -> DbResult<()> {
    sqlx::query!(
        "update cron_slots set finished_at = now(), detail = $4 where tenant_id = $1 and name = $2 and slot = $3",
        tx.tenant(),
        name,
        slot,
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Clears away what has outlived its use.
///
/// # Errors
/// When the database refuses.
pub async fn purge(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<Purged> {
    let purged = sqlx::query_as!(
        Purged,
        r#"with keys as (
               delete from idempotency_keys where tenant_id = $1 and created_at < now() - interval '24 hours' returning 1
           ), tokens as (
               delete from one_time_tokens where tenant_id = $1 and expires_at < $2 returning 1
           ), sessions as (
               delete from sessions where tenant_id = $1 and expires_at < $5 returning 1
           ), buckets as (
               delete from rate_buckets where tenant_id = $1 and updated_at < now() - interval '1 day' returning 1
           ), receipts as (
               update webhook_receipts
                  set raw = null, canonical = null, headers = '{}', query = '', raw_purged_at = coalesce(raw_purged_at, $4)
                where tenant_id = $1 and received_at < $3 and status <> 'received'
                  and (raw is not null or canonical is not null or query <> '') returning 1
           ), sandbox as (
               delete from sandbox_deliveries where tenant_id = $1 and first_at < $3 returning 1
           ), turns as (
               delete from assignment_turns where tenant_id = $1 and name like 'list:%' and updated_at < $6 returning 1
           ), slots as (
               delete from cron_slots where tenant_id = $1 and name = 'nightly' and slot < $3 returning 1
           )
           select (select count(*) from keys) as "idempotency_keys!", (select count(*) from tokens) as "one_time_tokens!",
                  (select count(*) from sessions) as "sessions!", (select count(*) from buckets) as "buckets!",
                  (select count(*) from receipts) as "raw_receipts!", (select count(*) from sandbox) as "sandbox_deliveries!",
                  (select count(*) from turns) as "turns!", (select count(*) from slots) as "slots!""#,
        tx.tenant(),
        now - KEEP_TOKENS,
        now - KEEP_RAW,
        now,
        now - KEEP_SESSIONS,
        now - KEEP_TURNS,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(purged)
}
