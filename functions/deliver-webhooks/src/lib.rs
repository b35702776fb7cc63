//! The `deliver-webhooks` worker: tells endpoints what happened.
//!
//! Claim and commit, call, settle and commit: nothing outside is called within a transaction. A worker that dies
//! between the call and the settling leaves a lease that ends, and the try is made again under the same `webhook-id`.

use shared::{
    app::App,
    clock,
    crypto::random_bytes,
    net::OutboundClient,
    queue::Hint,
    webhooks::deliveries::{self, Claim, Owed, verdict},
    work::WorkResult,
};

/// Looks at one delivery.
///
/// # Errors
/// When the row cannot be read or claimed.
pub async fn handle(app: &App, hint: &Hint) -> WorkResult {
    let Some(mut tx) = app.db.open_tenant(hint.tenant).await? else { return Ok(()) };
    if tx.settings().suspended {
        // The delivery waits; the sweep hints it again once the business is back.
        return Ok(());
    }
    let claim = deliveries::claim(&mut tx, hint.id).await?;
    tx.commit().await?;
    match claim {
        Claim::Held(owed) => deliver(app, hint, &owed).await,
        Claim::Disabled | Claim::Refused => Ok(()),
    }
}

async fn deliver(app: &App, hint: &Hint, owed: &Owed) -> WorkResult {
    let client = match OutboundClient::new(&app.config) {
        Ok(client) => client,
        Err(error) => {
            // The lease ends and the delivery comes again.
            tracing::error!(%error, "no client for deliveries");
            return Ok(());
        }
    };
    let now = clock::now();
    let target = (owed.url.as_str(), &owed.signed_with);
    let (made, result) =
        deliveries::attempt(&client, app.secret_box(), target, now, owed.body.expose()).await;
    let [spread] = random_bytes::<1>().unwrap_or_default();
    let verdict = verdict(result, owed.attempt, spread);
    let Some(mut tx) = app.db.open_tenant(hint.tenant).await? else { return Ok(()) };
    deliveries::settle(&mut tx, now, owed, &made, &verdict).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(())
}
