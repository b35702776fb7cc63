//! The `run-jobs` worker: imports, exports and changes of many leads, a portion at a time; and the end of a large business.
//!
//! A job is claimed and the claim committed, so that even a job that kills its worker is counted. Then each portion is one transaction with its
//! counts and the place that the job has come to. What cannot be applied is tried again in smaller portions, down to a single row,
//! and that row is refused by itself. After forty seconds the job is let go and hinted anew, so a large one does not keep
//! a worker from others for longer.

mod ended;
mod task;

use std::time::{Duration, Instant};

use shared::{
    app::App,
    db::{DbError, TenantTx},
    ids::TenantId,
    jobs::{self, Claim, Held, JobKind},
    queue::{Hint, HintKind},
    work::WorkResult,
};

use task::{Moved, Task};

/// No portion is begun later than this: the function may live for sixty seconds.
const TIME: Duration = Duration::from_secs(40);
/// Transactions that met another one are begun anew so often before the job is put off.
const ROUNDS: usize = 4;

/// Looks at one job, or at one business that is being deleted.
///
/// # Errors
/// When the row cannot be read or claimed.
pub async fn handle(app: &App, hint: &Hint) -> WorkResult {
    if hint.kind == HintKind::Tenant {
        ended::remove(app, hint.tenant).await
    } else {
        move_job(app, hint).await
    }
}

async fn move_job(app: &App, hint: &Hint) -> WorkResult {
    let Some(mut tx) = app.db.open_tenant(hint.tenant).await? else { return Ok(()) };
    let claim = jobs::claim(&mut tx, hint.id).await?;
    app.queue.nudge(tx.commit().await?).await;
    match claim {
        Claim::Held(mut held) => work(app, hint.tenant, &mut held).await,
        Claim::Ended | Claim::Refused => Ok(()),
    }
}

/// The transaction of the next portion. A business that has been suspended meanwhile exports and changes nothing: its other jobs
/// are let go of, and go on from where they are when it is active again.
async fn open(app: &App, tenant: TenantId, held: &Held) -> Result<Option<TenantTx>, DbError> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(None) };
    if !tx.settings().suspended || held.kind == JobKind::Export {
        return Ok(Some(tx));
    }
    jobs::release(&mut tx, held).await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(None)
}

async fn work(app: &App, tenant: TenantId, held: &mut Held) -> WorkResult {
    let began = Instant::now();
    let mut task = Task::of(held);
    let (mut most, mut give_up, mut meetings) = (task.portion(), false, 0);
    loop {
        let Some(mut tx) = open(app, tenant, held).await? else { return Ok(()) };
        match task.step(&mut tx, held, most, give_up).await {
            Ok(Moved::Lost) => return Ok(()),
            Ok(moved) => {
                let release = moved == Moved::On && began.elapsed() > TIME;
                if release {
                    jobs::release(&mut tx, held).await?;
                }
                app.queue.nudge(tx.commit().await?).await;
                if release || moved == Moved::Ended {
                    return Ok(());
                }
                (most, give_up, meetings) = (task.portion(), false, 0);
            }
            Err(error @ (DbError::Unavailable(_) | DbError::UnsafeRole(_))) => return Err(error.into()),
            Err(error) => {
                drop(tx);
                app.db.settle().await;
                task.forget();
                meetings += usize::from(matches!(error, DbError::Contention(_)));
                let met = matches!(error, DbError::Contention(_)) && meetings < ROUNDS;
                tracing::warn!(%error, job = %held.id, most, "a portion was refused");
                if !met && (give_up || meetings >= ROUNDS) {
                    return put_off(app, tenant, held).await;
                }
                // A row that is refused on and on fails alone.
                give_up = !met && most == 1;
                most = if met { most } else { (most / 10).max(1) };
            }
        }
    }
}

async fn put_off(app: &App, tenant: TenantId, held: &Held) -> WorkResult {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(()) };
    jobs::put_off(&mut tx, held, "The database refused the job again and again.").await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(())
}
