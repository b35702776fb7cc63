//! The `run-automations` worker: moves runs that are due.
//!
//! A hint names one run, and a look takes a whole batch of the tenant's due ones with it, so that a thousand hints cost about as much
//! as the work that they announce. What the engine promises is in `shared::automations::engine`; here is only the order of things:
//! claim, commit; progress, commit; make the requests that were marked; settle each.

mod finished;
mod requests;

use std::time::{Duration, Instant};

use shared::{
    app::App,
    automations::{
        engine::{self, BATCH, Claimed, Progress},
        schedule,
    },
    crypto::AddressHasher,
    db::{DbError, TenantTx},
    ids::TenantId,
    queue::{Hint, HintKind},
    work::WorkResult,
};

/// No batch is begun later than this: the function may live for thirty seconds.
const TIME: Duration = Duration::from_secs(12);

/// Looks at what a hint names: a run and others of its tenant, or a slot of a schedule.
///
/// # Errors
/// When the rows cannot be read or claimed.
pub async fn handle(app: &App, hint: &Hint) -> WorkResult {
    if hint.kind == HintKind::Schedule { tick(app, hint).await } else { move_runs(app, hint).await }
}

/// Starts the runs of a slot, portion by portion.
async fn tick(app: &App, hint: &Hint) -> WorkResult {
    let began = Instant::now();
    while began.elapsed() < TIME {
        let Some(mut tx) = open(app, hint.tenant).await? else { return Ok(()) };
        let more = schedule::tick(&mut tx, hint.id).await?;
        app.queue.nudge(tx.commit().await?).await;
        if !more {
            return Ok(());
        }
    }
    app.queue.nudge(vec![Hint::now(hint.tenant, hint.kind, hint.id)]).await;
    Ok(())
}

async fn move_runs(app: &App, hint: &Hint) -> WorkResult {
    if finished::knows(hint.id) {
        return Ok(());
    }
    let Some(turn) = app.limits.take_turn(hint).await else { return Ok(()) };
    let result = look(app, hint).await;
    if app.limits.end_turn(turn).await {
        app.queue.nudge(vec![Hint::now(hint.tenant, hint.kind, hint.id)]).await;
    }
    result
}

async fn look(app: &App, hint: &Hint) -> WorkResult {
    let began = Instant::now();
    let mut prefer = Some(hint.id);
    while began.elapsed() < TIME {
        let Some(mut tx) = open(app, hint.tenant).await? else { return Ok(()) };
        let claimed = engine::claim(&mut tx, prefer.take()).await?;
        app.queue.nudge(tx.commit().await?).await;
        let full = i64::try_from(claimed.len()).is_ok_and(|count| count >= BATCH);
        if claimed.is_empty() || !(progress(app, hint.tenant, claimed).await? || full) {
            return Ok(());
        }
    }
    // What is left is due and its next hint comes with the sweep; this one makes it sooner.
    app.queue.nudge(vec![Hint::now(hint.tenant, hint.kind, hint.id)]).await;
    Ok(())
}

/// A transaction of a tenant that works. A suspended one rests until it is active again.
async fn open(app: &App, tenant: TenantId) -> Result<Option<TenantTx>, DbError> {
    Ok(app.db.open_tenant(tenant).await?.filter(|tx| !tx.settings().suspended))
}

/// Moves a batch. True when one of its runs is due again at once.
async fn progress(app: &App, tenant: TenantId, claimed: Vec<Claimed>) -> Result<bool, DbError> {
    let progress = match attempt(app, tenant, claimed.clone(), None).await {
        Ok(progress) => progress,
        Err(error @ (DbError::Unavailable(_) | DbError::UnsafeRole(_))) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, runs = claimed.len(), "a batch was refused; its runs are taken one at a time");
            app.db.settle().await;
            one_at_a_time(app, tenant, claimed).await?
        }
    };
    let settled = requests::make(app, tenant, progress.calls).await?;
    Ok(progress.again || settled)
}

async fn attempt(
    app: &App,
    tenant: TenantId,
    claimed: Vec<Claimed>,
    failure: Option<&DbError>,
) -> Result<Progress, DbError> {
    let hasher = AddressHasher::new(app.secret_box()).map_err(|error| DbError::Defect(error.to_string()))?;
    let Some(mut tx) = open(app, tenant).await? else { return Ok(Progress::default()) };
    let progress = engine::progress(&mut tx, &hasher, claimed, failure).await?;
    app.queue.nudge(tx.commit().await?).await;
    finished::remember(&progress.completed);
    Ok(progress)
}

/// The run whose writes are refused fails alone. One that met another transaction keeps its lease and is claimed again when that ends.
async fn one_at_a_time(app: &App, tenant: TenantId, claimed: Vec<Claimed>) -> Result<Progress, DbError> {
    let mut all = Progress::default();
    for run in claimed {
        let mut result = attempt(app, tenant, vec![run.clone()], None).await;
        if let Err(error @ (DbError::Constraint(_) | DbError::Defect(_))) = &result {
            app.db.settle().await;
            result = attempt(app, tenant, vec![run.clone()], Some(error)).await;
        }
        match result {
            Ok(progress) => {
                all.calls.extend(progress.calls);
                all.again |= progress.again;
            }
            Err(error @ (DbError::Unavailable(_) | DbError::UnsafeRole(_))) => return Err(error),
            Err(error) => {
                tracing::error!(%error, run = %run.id, "a run could not be moved");
                app.db.settle().await;
            }
        }
    }
    Ok(all)
}
