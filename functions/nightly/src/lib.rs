//! The `nightly` schedule: due dates that have passed, trials that are over, and what has outlived its use.
//!
//! Each tenant's work is one transaction under one slot, so five schedulers at once do it once, a tick that dies half-way
//! is continued by the next, and a tenant whose work fails holds up nobody.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::{
    accounts,
    app::App,
    audit, clock,
    config::AppEnv,
    db::{DbResult, SystemReason},
    finance,
    ids::TenantId,
    jobs, nightly, privacy,
    work::{WorkError, WorkResult},
};

const NAME: &str = "nightly";
/// Transactions of a hundred persons each that one tenant gets in a night.
const FORGET_ROUNDS: usize = 100;

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
    // Last, since others who add to the business's audit log wait from here on.
    let trial_ended = accounts::end_trial(&mut tx).await?;
    let mut detail = json!({
        "trialEnded": trial_ended, "overdue": overdue, "idempotencyKeys": purged.idempotency_keys, "oneTimeTokens": purged.one_time_tokens,
        "sessions": purged.sessions, "buckets": purged.buckets, "rawReceipts": purged.raw_receipts, "sandboxDeliveries": purged.sandbox_deliveries,
        "jobs": jobs, "turns": purged.turns,
    });
    nightly::finish_slot(&mut tx, NAME, slot, detail.clone()).await?;
    let head = audit::head(&mut tx).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    match head {
        // An anchor outside the database: a chain that is written anew later does not have it.
        Some(head) => tracing::info!(%tenant, seq = head.seq, hash = head.hash, "audit log anchored"),
        None => tracing::error!(%tenant, "the audit log has lost its head"),
    }
    if trial_ended {
        tracing::warn!(%tenant, "a trial is over; the business is suspended");
    }
    let forgotten = forget(app, now, slot, tenant, &mut detail).await?;
    if overdue > 0 || jobs > 0 || forgotten > 0 || purged != nightly::Purged::default() {
        tracing::info!(
            %tenant,
            overdue,
            idempotency_keys = purged.idempotency_keys,
            one_time_tokens = purged.one_time_tokens,
            sessions = purged.sessions,
            buckets = purged.buckets,
            raw_receipts = purged.raw_receipts,
            sandbox_deliveries = purged.sandbox_deliveries,
            turns = purged.turns,
            forgotten,
            jobs,
            "nightly work done"
        );
    }
    Ok(true)
}

/// Forgets who has been in the bin for a month, a hundred persons per transaction, and notes on the slot how many they were.
/// What a tick that dies leaves undone is done the next night.
async fn forget(
    app: &App,
    now: DateTime<Utc>,
    slot: DateTime<Utc>,
    tenant: TenantId,
    detail: &mut Value,
) -> DbResult<usize> {
    let (mut leads, mut buyers) = (0, 0);
    for round in 0..FORGET_ROUNDS {
        app.db.settle().await;
        let Some(mut tx) = app.db.open_tenant(tenant).await? else { break };
        let forgotten = privacy::forget_due(&mut tx, app.secret_box(), now, round == 0).await?;
        leads += forgotten.leads;
        buyers += forgotten.buyers;
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("forgottenLeads".to_owned(), leads.into());
            fields.insert("forgottenBuyers".to_owned(), buyers.into());
        }
        nightly::finish_slot(&mut tx, NAME, slot, detail.clone()).await?;
        let hints = tx.commit().await?;
        app.queue.nudge(hints).await;
        if !forgotten.more {
            break;
        }
    }
    Ok(leads)
}
