//! Scores follow what happens with people, at a distance of a minute.

use std::time::{Duration, Instant};

use shared::{
    app::App,
    clock,
    config::AppEnv,
    db::{DbError, DbResult, SystemReason},
    ids::TenantId,
    scoring::{self, Due, Overlap, Scored},
    work::{WorkError, WorkResult},
};

/// Businesses of each sort that one tick looks at; the others' turn comes in the next one.
const LIMIT: i32 = 200;
/// Portions of one business and sort in one tick.
const PORTIONS: usize = 20;
/// No portion begins later than this after the first of its sort.
const TIME: Duration = Duration::from_secs(6);

/// Scores those whose turn it is, while there is time.
///
/// # Errors
/// When the database cannot be reached, or when a business could not be scored; the others are all the same.
pub(super) async fn score(app: &App, due: Due) -> WorkResult {
    let mut tx = app.db.system(SystemReason::Sweep).await?;
    let tenants = scoring::due(&mut tx, due, LIMIT).await?;
    tx.commit().await?;
    let failure = rounds(app, due, tenants).await;
    failure.map_or(Ok(()), |error| Err(WorkError::from(error)))
}

/// A portion of each business in its turn, so that one with many leads holds up nobody. Answers the last failure.
async fn rounds(app: &App, due: Due, mut tenants: Vec<TenantId>) -> Option<DbError> {
    let began = Instant::now();
    let mut failure = None;
    for _ in 0..PORTIONS {
        let mut unfinished = Vec::new();
        for tenant in tenants {
            if began.elapsed() > TIME {
                return failure;
            }
            let scored = score_some(app, due, tenant).await;
            app.db.settle().await;
            match scored {
                Ok(Scored { more: true, .. }) => unfinished.push(tenant),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%tenant, %error, "leads could not be scored");
                    failure = Some(error);
                }
            }
        }
        tenants = unfinished;
    }
    failure
}

async fn score_some(app: &App, due: Due, tenant: TenantId) -> DbResult<Scored> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(Scored::default()) };
    let scored = scoring::catch_up(&mut tx, clock::now(), due, overlap(app)).await?;
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
