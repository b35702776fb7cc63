//! The `nightly` schedule: due dates that have passed, and what has outlived its use.
//!
//! Each tenant's work is one transaction under one slot, so five schedulers at once do it once, a tick that dies half-way
//! is continued by the next, and a tenant whose work fails holds up nobody.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::json;
use shared::{
    app::App,
    clock,
    config::AppEnv,
    db::{DbResult, SystemReason},
    finance,
    ids::TenantId,
    jobs, nightly,
    work::{WorkError, WorkResult},
};

const NAME: &str = "nightly";

/// One tick.
///
/// # Errors
/// When the database cannot be reached, or when a tenant's work failed; the others' is done.
pub async fn tick(app: &App) -> WorkResult {
    let now = clock::now();
    let slot = slot(app, now);
    let mut tx = app.db.system(SystemReason::Nightly).await?;
    let tenants = nightly::tenants(&mut tx).await?;
    let throttles = nightly::purge_throttles(&mut tx).await?;
    nightly::prepare_month(&mut tx).await?;
    tx.commit().await?;
    let (mut done, mut failure) = (0_usize, None);
    for tenant in &tenants {
        match visit(app, now, slot, *tenant).await {
            Ok(visited) => done += usize::from(visited),
            Err(error) => {
                tracing::error!(%tenant, %error, "a tenant's nightly work failed");
                failure = Some(error);
            }
        }
        app.db.settle().await;
    }
    if done > 0 || throttles > 0 {
        tracing::info!(tenants = tenants.len(), done, throttles, "nightly");
    }
    failure.map_or(Ok(()), |error| Err(WorkError::from(error)))
}

/// The night that an instant belongs to. A developer does not wait for the night: there each minute is one.
fn slot(app: &App, now: DateTime<Utc>) -> DateTime<Utc> {
    let length = match app.config.app_env {
        AppEnv::Local | AppEnv::Test => TimeDelta::minutes(1),
        AppEnv::Staging | AppEnv::Production => TimeDelta::days(1),
    };
    now.duration_trunc(length).unwrap_or(now)
}

/// Does a tenant's work unless somebody has done it in this slot.
async fn visit(app: &App, now: DateTime<Utc>, slot: DateTime<Utc>, tenant: TenantId) -> DbResult<bool> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(false) };
    if !nightly::take_slot(&mut tx, NAME, slot).await? {
        return Ok(false);
    }
    let overdue = finance::mark_overdue(&mut tx, now).await?;
    let purged = nightly::purge(&mut tx, now).await?;
    let jobs = jobs::purge(&mut tx).await?;
    let detail = json!({
        "overdue": overdue, "idempotencyKeys": purged.idempotency_keys, "oneTimeTokens": purged.one_time_tokens,
        "sessions": purged.sessions, "buckets": purged.buckets, "rawReceipts": purged.raw_receipts, "sandboxDeliveries": purged.sandbox_deliveries,
        "jobs": jobs,
    });
    nightly::finish_slot(&mut tx, NAME, slot, detail).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    if overdue > 0 || jobs > 0 || purged != nightly::Purged::default() {
        tracing::info!(
            %tenant,
            overdue,
            idempotency_keys = purged.idempotency_keys,
            one_time_tokens = purged.one_time_tokens,
            sessions = purged.sessions,
            buckets = purged.buckets,
            raw_receipts = purged.raw_receipts,
            sandbox_deliveries = purged.sandbox_deliveries,
            jobs,
            "nightly work done"
        );
    }
    Ok(true)
}
