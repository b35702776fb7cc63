//! The `send-messages` worker: marks an owed message, hands it to its provider, writes what came of it.

use shared::{
    app::App,
    messages::dispatch::{self, Work},
    providers,
    queue::{Hint, HintKind},
    work::WorkResult,
};

/// Looks at one effect.
///
/// # Errors
/// When the row cannot be read or claimed, or the outcome cannot be kept; the lease then ends and the sweep finds it.
pub async fn handle(app: &App, hint: &Hint) -> WorkResult {
    if hint.kind != HintKind::Effect {
        tracing::warn!(kind = ?hint.kind, "a hint for another worker");
        return Ok(());
    }
    let Some(job) = dispatch::mark(app, hint).await? else { return Ok(()) };
    match job.work {
        Work::Send => {
            let outcome = providers::send(app, job.tenant, &job.account, &job.outgoing).await?;
            dispatch::settle(app, &job, outcome).await?;
        }
        Work::Search => {
            let found = providers::search(app, &job.account, &job.outgoing).await;
            dispatch::settle_search(app, &job, found).await?;
        }
    }
    Ok(())
}
