//! What the night forgets: who has been in the bin for a month, what was written behind an erasure, and buyers whom no law
//! wants kept any longer.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{erase, retained, subject::gather, tell};
use crate::{
    crypto::SecretBoxKeys,
    db::{DbResult, TenantTx},
};

/// How long a lead stays in the bin.
const KEEP_IN_BIN: Duration = Duration::days(30);
/// How long whoever was erased is looked at again.
const LOOK_AGAIN: Duration = Duration::days(3);
/// Persons of one transaction.
const BATCH: i64 = 100;

/// What was forgotten in one transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Leads that had been in the bin for a month.
    pub leads: usize,
    /// Documents whose buyer is kept no longer.
    pub buyers: u64,
    /// Whether there is more of it.
    pub more: bool,
}

/// Forgets a batch of what is due. The first batch of a night also looks again at who was erased lately.
///
/// # Errors
/// When the database refuses.
pub async fn forget_due(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    now: DateTime<Utc>,
    first: bool,
) -> DbResult<Forgotten> {
    let due = due(tx, now).await?;
    if !due.is_empty() {
        let subject = gather(tx, &due).await?;
        erase(tx, keys, now, &subject).await?;
        tell(tx, now, &subject.leads, "nightly").await?;
    }
    let mut buyers = 0;
    if first {
        let lately = erased_lately(tx, now).await?;
        if !lately.is_empty() {
            let subject = gather(tx, &lately).await?;
            erase(tx, keys, now, &subject).await?;
        }
        buyers = forget_buyers(tx, now).await?;
    }
    let more = i64::try_from(due.len()).unwrap_or(BATCH) >= BATCH;
    Ok(Forgotten { leads: due.len(), buyers, more })
}

/// Those in the bin for a month. Absorbed leads go with their survivor.
async fn due(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<Vec<Uuid>> {
    let due = sqlx::query_scalar!(
        "select id from leads
          where tenant_id = $1 and deleted_at < $2 and erased_at is null and merged_into_id is null
          order by deleted_at limit $3 for update skip locked",
        tx.tenant(),
        now - KEEP_IN_BIN,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(due)
}

async fn erased_lately(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<Vec<Uuid>> {
    let lately = sqlx::query_scalar!(
        "select id from leads where tenant_id = $1 and erased_at > $2 order by erased_at",
        tx.tenant(),
        now - LOOK_AGAIN,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(lately)
}

async fn forget_buyers(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<u64> {
    let forgotten = sqlx::query!(
        "update invoices set buyer_sealed = null
          where tenant_id = $1 and buyer_sealed is not null
            and issue_date < date_trunc('year', $2::timestamptz)::date - make_interval(years => $3)",
        tx.tenant(),
        now,
        retained::KEEP_YEARS,
    )
    .execute(tx.conn())
    .await?;
    Ok(forgotten.rows_affected())
}
