//! The `send-messages` worker: marks an owed message or mail, hands it to its provider, writes what came of it.

use shared::{
    app::App,
    mails,
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
    let Some(job) = dispatch::mark(app, hint).await? else { return handle_mail(app, hint).await };
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

/// Effects share one queue: what is no message may be a mail of the product itself.
async fn handle_mail(app: &App, hint: &Hint) -> WorkResult {
    let Some(job) = mails::mark(app, hint).await? else { return Ok(()) };
    let outcome = providers::send(app, job.tenant, &job.account, &job.outgoing).await?;
    mails::settle(app, &job, outcome).await?;
    Ok(())
}
