//! A receipt's life after it was stored: claimed, read, settled.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
    webhooks::{Provider, normalise::Raw},
};

/// So many attempts are made; the next one quarantines. Claims are counted, so that a receipt that kills its worker is
/// bounded as well.
const ATTEMPTS: i32 = 5;
/// The pause after the first attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// So many attempts may wait for something that is under way.
const WAITING_ATTEMPTS: i32 = 3;
/// Longer than the worker may run (60 s), so that a holder whose lease has ended is dead.
const LEASE_SECONDS: f64 = 75.0;

/// A receipt that this worker holds.
pub struct Claimed {
    /// The receipt.
    pub id: Uuid,
    /// Where it was posted.
    pub source_id: Uuid,
    /// By whom.
    pub provider: Provider,
    /// The settings of the source.
    pub settings: Value,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    delivery_key: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    attempts: i32,
    epoch: i64,
}

/// What came of a claim.
pub enum Claim {
    /// The receipt is this worker's.
    Held(Box<Claimed>),
    /// It was tried too often and is quarantined now.
    Exhausted,
    /// It is not due, done, or held by another worker.
    Refused,
}

/// How a receipt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its events were applied.
    Processed,
    /// It was understood, and there was nothing to do.
    Ignored,
    /// A person has to look at it.
    Quarantined,
}

/// What is wrong with a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A stable snake_case word.
    pub code: String,
    /// For people; never a value of the body.
    pub detail: String,
}

impl fmt::Debug for Claimed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Claimed").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Claimed {
    /// Whether waiting may still help: later attempts take what they find.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.attempts <= WAITING_ATTEMPTS
    }

    /// What the normaliser reads.
    #[must_use]
    pub fn raw(&self) -> Raw<'_> {
        Raw {
            delivery_key: &self.delivery_key,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            received_at: self.received_at,
        }
    }
}

/// Takes hold of a due receipt for `LEASE_SECONDS` and counts the attempt. Commit before the work begins.
///
/// # Errors
/// When the database refuses.
pub async fn claim(tx: &mut TenantTx, id: Uuid) -> DbResult<Claim> {
    let row = sqlx::query!(
        r#"update webhook_receipts r
              set attempts = r.attempts + 1, lease_epoch = r.lease_epoch + 1,
                  lease_until = now() + make_interval(secs => $3),
                  status = case when r.attempts >= $4 then 'quarantined' else r.status end,
                  error_code = case when r.attempts >= $4 then coalesce(r.error_code, 'attempts_exhausted') else r.error_code end
             from webhook_sources s
            where r.tenant_id = $1 and r.id = $2 and s.tenant_id = $1 and s.id = r.source_id
              and r.status = 'received' and r.next_attempt_at <= now() + interval '1 second'
              and (r.lease_until is null or r.lease_until < now())
           returning r.source_id, r.provider, r.raw, r.headers, r.query, r.received_at, r.attempts, r.lease_epoch, r.status,
                     s.settings,
                     coalesce((select o.delivery_key from webhook_receipts o where o.tenant_id = $1 and o.id = r.replay_of_id),
                              r.delivery_key) as "delivery_key!""#,
        tx.tenant(),
        id,
        LEASE_SECONDS,
        ATTEMPTS,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(Claim::Refused) };
    let (Ok(provider), "received") = (row.provider.parse::<Provider>(), row.status.as_str()) else {
        return Ok(Claim::Exhausted);
    };
    Ok(Claim::Held(Box::new(Claimed {
        id,
        source_id: row.source_id,
        provider,
        settings: row.settings,
        received_at: row.received_at,
        delivery_key: row.delivery_key,
        query: row.query,
        headers: headers(&row.headers),
        body: row.raw.unwrap_or_default(),
        attempts: row.attempts,
        epoch: row.lease_epoch,
    })))
}

/// Ends the receipt's life with what was understood. `false` when another worker has taken over: roll back then.
///
/// # Errors
/// When the database refuses.
pub async fn settle(
    tx: &mut TenantTx,
    claimed: &Claimed,
    outcome: Outcome,
    canonical: Value,
    trouble: Option<&Trouble>,
) -> DbResult<bool> {
    let status = match outcome {
        Outcome::Processed => "processed",
        Outcome::Ignored => "ignored",
        Outcome::Quarantined => "quarantined",
    };
    let done = sqlx::query!(
        "update webhook_receipts
            set status = $4, canonical = $5, error_code = $6, error_detail = $7, lease_until = null, processed_at = now()
          where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'received'",
        tx.tenant(),
        claimed.id,
        claimed.epoch,
        status,
        canonical,
        trouble.map(|trouble| trouble.code.as_str()),
        trouble.map(|trouble| trouble.detail.as_str()),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets go of a receipt that could not be read: it is tried again a little later, or quarantined after the last attempt.
///
/// # Errors
/// When the database refuses.
pub async fn put_off(tx: &mut TenantTx, claimed: &Claimed, trouble: &Trouble) -> DbResult<()> {
    let last = claimed.attempts >= ATTEMPTS;
    let delay = FIRST_PAUSE * 2_u32.pow(u32::try_from(claimed.attempts.clamp(1, 10) - 1).unwrap_or_default());
    sqlx::query!(
        "update webhook_receipts
            set status = case when $6 then 'quarantined' else status end, error_code = $4, error_detail = $5,
                lease_until = null, next_attempt_at = now() + make_interval(secs => $7)
          where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'received'",
        tx.tenant(),
        claimed.id,
        claimed.epoch,
        trouble.code,
        trouble.detail,
        last,
        delay.as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    if !last && let Some(hint) = Hint::now(tx.tenant_id(), HintKind::Receipt, claimed.id).after(delay) {
        tx.hint(hint);
    }
    Ok(())
}

fn headers(stored: &Value) -> HeaderMap {
    let pairs = stored.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect()
}
