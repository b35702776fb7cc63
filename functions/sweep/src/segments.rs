//! Live segments are asked about once a minute, so that who comes and who goes is told.

use std::time::{Duration, Instant};

use shared::{
    app::App,
    clock,
    config::AppEnv,
    db::{DbResult, SystemReason},
    ids::TenantId,
    segments,
    work::{WorkError, WorkResult},
};
use uuid::Uuid;

/// No segment is asked later than this after the first.
const TIME: Duration = Duration::from_secs(12);
/// Segments that are asked in one tick; the others' turn comes first in the next one.
const LIMIT: i32 = 500;
/// A segment that took long rests longer, so that asking never takes more than a fiftieth of the database's time.
const REST: u32 = 50;

/// Asks the segments whose turn it is, while there is time.
///
/// # Errors
/// When the database cannot be reached, or when asking a segment failed; the others are asked all the same.
pub(super) async fn ask(app: &App) -> WorkResult {
    let began = Instant::now();
    let mut tx = app.db.system(SystemReason::Sweep).await?;
    let due = segments::due(&mut tx, LIMIT).await?;
    tx.commit().await?;
    let mut failure = None;
    for (tenant, segment) in due {
        if began.elapsed() > TIME {
            break;
        }
        if let Err(error) = ask_one(app, tenant, segment).await {
            tracing::error!(%tenant, %segment, %error, "a segment could not be asked");
            failure = Some(error);
        }
        app.db.settle().await;
    }
    failure.map_or(Ok(()), |error| Err(WorkError::from(error)))
}

async fn ask_one(app: &App, tenant: TenantId, segment: Uuid) -> DbResult<()> {
    let began = Instant::now();
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(()) };
    let Some(evaluation) = segments::evaluate(&mut tx, clock::now(), segment).await? else { return Ok(()) };
    let pause = pause(app).max(began.elapsed() * REST);
    segments::rest(&mut tx, segment, pause).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    if evaluation != segments::Evaluation::default() {
        let segments::Evaluation { entered, exited } = evaluation;
        tracing::info!(%tenant, %segment, entered, exited, "a segment was asked");
    }
    Ok(())
}

/// A developer does not wait for the minute.
fn pause(app: &App) -> Duration {
    match app.config.app_env {
        AppEnv::Local | AppEnv::Test => Duration::ZERO,
        AppEnv::Staging | AppEnv::Production => Duration::from_secs(55),
    }
}
