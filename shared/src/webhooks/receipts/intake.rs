//! Storing a delivery, once.

use http::HeaderMap;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    crypto::sha256,
    db::{DbError, DbResult, TenantTx},
    ids::new_id,
    queue::{Hint, HintKind},
    webhooks::{Provider, normalise::KEPT_HEADERS, verify::Verified},
};

/// One genuine delivery.
pub struct Arrival<'a> {
    /// Where it was posted.
    pub source_id: Uuid,
    /// By whom.
    pub provider: Provider,
    /// What it is called.
    pub verified: &'a Verified,
    /// The query of the URL, without `?`.
    pub query: &'a str,
    /// Its headers; only the few that reading the body needs are kept.
    pub headers: &'a HeaderMap,
    /// The bytes.
    pub body: &'a [u8],
    /// For senders that cannot sign: how many are taken.
    pub limit: Option<Limit>,
}

/// A token bucket.
pub struct Limit {
    /// What it counts.
    pub bucket: String,
    /// Tokens that come back each second.
    pub per_second: f64,
    /// The most tokens that it holds.
    pub burst: f64,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Stored; the worker is told when the transaction commits.
    New(Uuid),
    /// It was here before, as this receipt.
    Duplicate(Uuid),
    /// Too many have come.
    Limited,
}

/// Stores the delivery unless it is here already.
///
/// # Errors
/// When the database refuses.
pub async fn take(tx: &mut TenantTx, arrival: &Arrival<'_>) -> DbResult<Taken> {
    let id = new_id();
    if let Some(taken) = insert(tx, arrival, id).await? {
        if let Taken::New(id) = taken {
            let hint = Hint::now(tx.tenant_id(), HintKind::Receipt, id);
            tx.hint(hint);
        }
        return Ok(taken);
    }
    // The insert has waited for a twin that committed a moment ago, which only a new statement can see.
    let twin = sqlx::query_scalar!(
        "select id from webhook_receipts where tenant_id = $1 and source_id = $2 and delivery_key = $3",
        tx.tenant(),
        arrival.source_id,
        arrival.verified.delivery_key,
    )
    .fetch_optional(tx.conn())
    .await?;
    twin.map(Taken::Duplicate).ok_or_else(|| DbError::Contention("a receipt came and went".to_owned()))
}

async fn insert(tx: &mut TenantTx, arrival: &Arrival<'_>, id: Uuid) -> DbResult<Option<Taken>> {
    let limit = arrival.limit.as_ref();
    let row = sqlx::query!(
        r#"with bucket as (
               insert into rate_buckets as b (tenant_id, name, tokens, rate, burst, refilled_at)
               select $1, $11, $13::float8 - 1, $12, $13, clock_timestamp() where $11::text is not null
               on conflict (tenant_id, name) do update
                  set tokens = least(b.burst, b.tokens + b.rate * extract(epoch from clock_timestamp() - b.refilled_at)) - 1,
                      refilled_at = clock_timestamp()
                where least(b.burst, b.tokens + b.rate * extract(epoch from clock_timestamp() - b.refilled_at)) >= 1
               returning name
           ), taken as (
               insert into webhook_receipts (tenant_id, id, source_id, provider, provider_event_id, delivery_key, body_sha256,
                                             raw, headers, query)
               select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
                where $11::text is null or exists (select from bucket)
               on conflict (tenant_id, source_id, delivery_key) do nothing
               returning id
           )
           select 'new' as "outcome!", id from taken
           union all
           select 'limited', null where $11::text is not null and not exists (select from bucket)
           union all
           select 'duplicate', r.id from webhook_receipts r
            where r.tenant_id = $1 and r.source_id = $3 and r.delivery_key = $6"#,
        tx.tenant(),
        id,
        arrival.source_id,
        arrival.provider.as_str(),
        arrival.verified.provider_event_id,
        arrival.verified.delivery_key,
        &sha256(arrival.body)[..],
        arrival.body,
        kept(arrival.headers),
        arrival.query,
        limit.map(|limit| limit.bucket.as_str()),
        limit.map(|limit| limit.per_second),
        limit.map(|limit| limit.burst),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| match (row.outcome.as_str(), row.id) {
        ("new", Some(id)) => Some(Taken::New(id)),
        ("duplicate", Some(id)) => Some(Taken::Duplicate(id)),
        ("limited", _) => Some(Taken::Limited),
        _ => None,
    }))
}

fn kept(headers: &HeaderMap) -> Value {
    let readable =
        |name: &&'static str| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.into()));
    Value::Object(KEPT_HEADERS.iter().filter_map(readable).collect::<Map<_, _>>())
}
