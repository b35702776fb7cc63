//! The `ingest-receipts` worker: what a provider said becomes people, activities and events.
//!
//! A receipt is claimed and the claim committed, so that even a receipt that kills its worker is counted. Then it is
//! read by the pure normaliser, and everything that follows is written in one transaction together with the receipt's
//! end. Whatever is repeated (a redelivery, a replay, a second worker after a lease has ended) meets the same keys and
//! changes nothing.

mod apply;
mod bookings;
mod messages;
mod money;
mod people;
mod signals;

use serde_json::to_value;
use shared::{
    app::App,
    clock,
    db::{DbError, DbResult},
    ids::TenantId,
    queue::Hint,
    webhooks::{
        normalise::{Event, Normalised, normalise},
        receipts::{self, Claim, Claimed, Outcome, Trouble},
    },
    work::WorkResult,
};
use uuid::Uuid;

use apply::{Failed, Ingest};

/// Transactions that met another one are begun anew so often before the message is given back.
const ROUNDS: usize = 4;

/// Looks at one receipt.
///
/// # Errors
/// When the row cannot be read or claimed.
pub async fn handle(app: &App, hint: &Hint) -> WorkResult {
    let Some(mut tx) = app.db.open_tenant(hint.tenant).await? else { return Ok(()) };
    if tx.settings().suspended {
        // The receipt waits; the sweep hints it again once the business is back.
        return Ok(());
    }
    let claim = receipts::claim(&mut tx, hint.id).await?;
    tx.commit().await?;
    match claim {
        Claim::Held(receipt) => read(app, hint.tenant, &receipt).await,
        Claim::Exhausted => {
            tracing::error!(receipt = %hint.id, "receipt quarantined: it was tried too often");
            Ok(())
        }
        Claim::Refused => Ok(()),
    }
}

async fn read(app: &App, tenant: TenantId, receipt: &Claimed) -> WorkResult {
    match normalise(receipt.provider, &receipt.raw(), &receipt.settings) {
        Ok(said) => write(app, tenant, receipt, &said).await,
        Err(error) => {
            let trouble = Trouble { code: error.code.to_owned(), detail: error.detail };
            Ok(put_off(app, tenant, receipt, &trouble).await?)
        }
    }
}

async fn write(app: &App, tenant: TenantId, receipt: &Claimed, said: &Normalised) -> WorkResult {
    for _ in 1..ROUNDS {
        match apply(app, tenant, receipt, said).await {
            Err(DbError::Contention(_)) => app.db.settle().await,
            done => return finish(app, tenant, receipt, done).await,
        }
    }
    let done = apply(app, tenant, receipt, said).await;
    finish(app, tenant, receipt, done).await
}

/// A database that is away gives the message back; one that refuses the receipt's content will refuse it again.
async fn finish(app: &App, tenant: TenantId, receipt: &Claimed, done: DbResult<()>) -> WorkResult {
    match done {
        Err(error @ (DbError::Constraint(_) | DbError::Defect(_))) => {
            tracing::error!(%error, receipt = %receipt.id, "receipt refused by the database");
            app.db.settle().await;
            let trouble = Trouble { code: "database_refused".to_owned(), detail: error.to_string() };
            Ok(put_off(app, tenant, receipt, &trouble).await?)
        }
        done => Ok(done?),
    }
}

async fn put_off(app: &App, tenant: TenantId, receipt: &Claimed, trouble: &Trouble) -> DbResult<()> {
    tracing::warn!(code = trouble.code, receipt = %receipt.id, "receipt put off");
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(()) };
    receipts::put_off(&mut tx, receipt, trouble).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(())
}

/// Writes down everything that was said, tells the events and ends the receipt: all or nothing.
async fn apply(app: &App, tenant: TenantId, receipt: &Claimed, said: &Normalised) -> DbResult<()> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(()) };
    let mut ingest = Ingest::new(app, &mut tx, receipt, clock::now());
    let mut too_early = false;
    let mut troubles: Vec<String> =
        said.errors.iter().map(|bad| format!("#{}: {}", bad.index, bad.error)).collect();
    for (index, canonical) in said.events.iter().enumerate() {
        match ingest.apply(canonical).await {
            Ok(()) => {}
            Err(Failed::Element(trouble)) => {
                troubles.push(format!("#{index}: {}: {}", trouble.code, trouble.detail));
            }
            Err(Failed::TooEarly) => too_early = true,
            Err(Failed::Database(error)) => return Err(error),
        }
    }
    if too_early && receipt.is_fresh() {
        // Everything is rolled back and done again a little later: a report may overtake the answer to its sending.
        drop(tx);
        app.db.settle().await;
        let trouble = Trouble {
            code: "message_unknown".to_owned(),
            detail: "no such message was sent, yet".to_owned(),
        };
        return put_off(app, tenant, receipt, &trouble).await;
    }
    ingest.tell().await?;
    let people: Vec<Uuid> = ingest.people.into_iter().collect();
    receipts::note_people(&mut tx, receipt, &people).await?;
    let canonical = to_value(&said.events).unwrap_or_default();
    let (outcome, trouble) = judge(said, &troubles);
    if !receipts::settle(&mut tx, receipt, outcome, canonical, trouble.as_ref()).await? {
        // Another worker has taken over; what was written here is rolled back.
        return Ok(());
    }
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(())
}

/// One bad element quarantines the receipt for a person to see; the others are applied all the same.
fn judge(said: &Normalised, troubles: &[String]) -> (Outcome, Option<Trouble>) {
    if !troubles.is_empty() {
        let detail: String = troubles.join("; ").chars().take(1000).collect();
        return (Outcome::Quarantined, Some(Trouble { code: "elements_refused".to_owned(), detail }));
    }
    let idle = said.events.iter().all(|canonical| matches!(canonical.event, Event::Ignored { .. }));
    (if idle { Outcome::Ignored } else { Outcome::Processed }, None)
}
