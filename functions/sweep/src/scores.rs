//! Scores follow what happens with people, at a distance of a minute.

use std::time::{Duration, Instant};

use shared::{
    app::App,
    clock,
    config::AppEnv,
    db::{DbResult, SystemReason},
    ids::TenantId,
    scoring::{self, Overlap, Scored},
    work::{WorkError, WorkResult},
};

use super::TIME;

/// Businesses that one tick looks at; the others' turn comes in the next one.
const LIMIT: i32 = 200;
/// Portions of one business in one tick, so that one with many leads holds up nobody.
const PORTIONS: usize = 20;

/// Scores what is due, while there is time.
///
/// # Errors
/// When the database cannot be reached, or when a business could not be scored; the others are all the same.
pub(super) async fn score(app: &App, began: Instant) -> WorkResult {
    let mut tx = app.db.system(SystemReason::Sweep).await?;
    let due = scoring::due(&mut tx, LIMIT).await?;
    tx.commit().await?;
    let mut failure = None;
    for tenant in due {
        for _ in 0..PORTIONS {
            if began.elapsed() > TIME {
                return failure.map_or(Ok(()), |error| Err(WorkError::from(error)));
            }
            let scored = score_some(app, tenant).await;
            app.db.settle().await;
            match scored {
                Ok(Scored { more: true, .. }) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%tenant, %error, "leads could not be scored");
                    failure = Some(error);
                    break;
                }
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(WorkError::from(error)))
}

async fn score_some(app: &App, tenant: TenantId) -> DbResult<Scored> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(Scored::default()) };
    let scored = scoring::catch_up(&mut tx, clock::now(), overlap(app)).await?;
    app.queue.nudge(tx.commit().await?).await;
    if scored.changed > 0 {
        tracing::info!(%tenant, changed = scored.changed, "leads got another score");
    }
    Ok(scored)
}

/// No function of ours lives longer than this with a transaction open; on a laptop none does for long.
fn overlap(app: &App) -> Overlap {
    match app.config.app_env {
        AppEnv::Local | AppEnv::Test => Overlap(Duration::from_secs(2)),
        AppEnv::Staging | AppEnv::Production => Overlap(Duration::from_secs(30)),
    }
}
