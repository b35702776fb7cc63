//! The `sweep` schedule: every minute it hands out what is due and what nobody holds, and wakes conversations.
//!
//! A hint that was lost, a worker that died, a wait that has come to its end: the rows say so themselves. The sweep lists what will be due
//! within the next minute and a half, each tenant in its turn, and hints each row with the exact delay.

mod scores;
mod segments;

use std::time::{Duration, Instant};

use shared::{
    app::App,
    db::{DbResult, SystemReason},
    ids::TenantId,
    messages,
    scoring::Due,
    sweep,
    work::WorkResult,
};

/// How far ahead a pass looks: a little further than the next one comes.
const HORIZON: Duration = Duration::from_secs(90);
/// Rows of one tenant and queue in one pass.
const PER_TENANT: i32 = 500;
/// Rows in one pass.
const LIMIT: i32 = 5_000;
/// Businesses whose removal one tick has continued.
const ENDED: i32 = 100;
/// No pass begins later than this after the first.
const TIME: Duration = Duration::from_secs(15);
/// A pass hands out rows whether or not they were handed out before, so a full one is repeated only so often.
const PASSES: usize = 4;
/// Tenants whose conversations one tick reopens; the next tick finds the others.
const REOPENED: i32 = 200;

/// One tick.
///
/// # Errors
/// When the database cannot be reached.
pub async fn tick(app: &App) -> WorkResult {
    let began = Instant::now();
    for pass in 1..=PASSES {
        let mut tx = app.db.system(SystemReason::Sweep).await?;
        let mut hints = sweep::due(&mut tx, HORIZON, PER_TENANT, LIMIT).await?;
        if pass == 1 {
            hints.extend(sweep::due_schedules(&mut tx, HORIZON, LIMIT).await?);
            hints.extend(sweep::suspended(&mut tx, LIMIT).await?);
            hints.extend(sweep::ended(&mut tx, ENDED).await?);
        }
        tx.commit().await?;
        let (found, late) = (hints.len(), hints.iter().filter(|hint| hint.delay.is_zero()).count());
        if found > 0 {
            tracing::info!(pass, found, late, "swept");
        }
        app.queue.nudge(hints).await;
        if found < LIMIT as usize || began.elapsed() > TIME {
            break;
        }
    }
    // Each has its own time, and does its work whatever became of the others. Segments may ask for scores, so what has just happened is scored
    // first; the daily turn of everybody is in no hurry.
    let reopened = reopen(app).await;
    let scored = scores::score(app, Due::Told).await;
    let asked = segments::ask(app).await;
    let rescored = scores::score(app, Due::Everybody).await;
    reopened.and(scored).and(asked).and(rescored)
}

/// Opens conversations whose snooze has ended. A tenant that fails holds up nobody: it is found again in a minute.
async fn reopen(app: &App) -> WorkResult {
    let mut tx = app.db.system(SystemReason::Sweep).await?;
    let tenants = sweep::snoozed(&mut tx, REOPENED).await?;
    tx.commit().await?;
    for tenant in tenants {
        match reopen_of(app, tenant).await {
            Ok(reopened) => tracing::info!(%tenant, reopened, "conversations woke up"),
            Err(error) => tracing::error!(%tenant, %error, "conversations could not be reopened"),
        }
        app.db.settle().await;
    }
    Ok(())
}

async fn reopen_of(app: &App, tenant: TenantId) -> DbResult<u64> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(0) };
    let reopened = messages::reopen_snoozed(&mut tx).await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(reopened)
}
