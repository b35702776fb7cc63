//! A delivery's tries: claimed, made, settled.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Body, SCHEMA_VERSION};
use crate::{
    db::{DbResult, TenantTx},
    private::Private,
    queue::{Hint, HintKind},
    webhooks::endpoints::SignedWith,
};

/// Longer than the worker may run (30 s), so that a holder whose lease has ended is dead.
const LEASE_SECONDS: f64 = 45.0;
/// So long may an endpoint fail before its owners are warned, and before it is disabled.
const WARN_AFTER_HOURS: i32 = 24;
const DISABLE_AFTER_HOURS: i32 = 72;

/// A delivery that this worker holds.
pub struct Owed {
    /// The delivery.
    pub id: Uuid,
    /// To whom.
    pub endpoint_id: Uuid,
    /// Where.
    pub url: String,
    /// What signs it.
    pub signed_with: SignedWith,
    /// What is delivered.
    pub body: Private<Body>,
    /// Which try this is, from 1.
    pub attempt: i32,
    epoch: i64,
}

/// What came of a claim.
pub enum Claim {
    /// The delivery is this worker's.
    Held(Box<Owed>),
    /// Its endpoint was disabled meanwhile; the delivery has failed.
    Disabled,
    /// It is not due, done, or held by another worker.
    Refused,
}

/// What a try showed.
#[derive(Clone, Debug, Default)]
pub struct Try {
    /// The answer's status, when there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// The beginning of the answer.
    pub excerpt: Option<Private<String>>,
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable snake_case word.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// What follows from a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Another try after the pause.
    Retry(Failure, Duration),
    /// That was the last try.
    Failed(Failure),
    /// The receiver wants no more deliveries (410).
    Gone(Failure),
}

/// Takes hold of a due delivery for `LEASE_SECONDS` and counts the try. Commit before the call.
///
/// # Errors
/// When the database refuses.
pub async fn claim(tx: &mut TenantTx, id: Uuid) -> DbResult<Claim> {
    let row = sqlx::query!(
        r#"update webhook_deliveries d
              set state = case when w.status = 'active' then 'delivering' else 'failed' end,
                  error_code = case when w.status = 'active' then d.error_code else 'endpoint_disabled' end,
                  attempt = d.attempt + case when w.status = 'active' then 1 else 0 end,
                  lease_epoch = d.lease_epoch + 1, lease_until = now() + make_interval(secs => $3)
             from webhook_endpoints w, events e
            where d.tenant_id = $1 and d.id = $2
              and w.tenant_id = $1 and w.id = d.endpoint_id and e.tenant_id = $1 and e.id = d.event_id
              and (d.state = 'pending' and d.next_attempt_at <= now() + interval '1 second'
                   or d.state = 'delivering' and d.lease_until < now())
           returning d.state, d.endpoint_id, d.attempt, d.lease_epoch, w.url, w.secret_sealed,
                     case when w.previous_expires_at > now() then w.previous_secret_sealed end as previous_sealed,
                     e.id as event_id, e.type as kind, e.payload, e.previous, e.occurred_at"#,
        tx.tenant(),
        id,
        LEASE_SECONDS,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(Claim::Refused) };
    if row.state != "delivering" {
        return Ok(Claim::Disabled);
    }
    Ok(Claim::Held(Box::new(Owed {
        id,
        endpoint_id: row.endpoint_id,
        url: row.url,
        signed_with: SignedWith { sealed: row.secret_sealed, previous_sealed: row.previous_sealed },
        attempt: row.attempt,
        epoch: row.lease_epoch,
        body: Private::new(Body {
            id: row.event_id,
            kind: row.kind,
            schema_version: SCHEMA_VERSION,
            occurred_at: row.occurred_at,
            tenant_id: tx.tenant(),
            data: row.payload,
            previous: row.previous,
        }),
    })))
}

/// Writes down what a try showed and what follows from it, for the delivery and for its endpoint. Nothing is written when
/// another worker has taken over.
///
/// # Errors
/// When the database refuses.
pub async fn settle(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    owed: &Owed,
    made: &Try,
    verdict: &Verdict,
) -> DbResult<()> {
    let (state, failure, pause) = match verdict {
        Verdict::Delivered => ("delivered", None, None),
        Verdict::Retry(failure, pause) => ("pending", Some(failure), Some(*pause)),
        Verdict::Failed(failure) | Verdict::Gone(failure) => ("failed", Some(failure), None),
    };
    let settled = sqlx::query_scalar!(
        r#"with d as (
               update webhook_deliveries
                  set state = $4, response_status = $5, response_ms = $6, response_excerpt = $7, error_code = $8,
                      error_detail = $9, lease_until = null, next_attempt_at = now() + make_interval(secs => $10),
                      delivered_at = case when $4 = 'delivered' then now() end, history = history || $11::jsonb
                where tenant_id = $1 and id = $2 and state = 'delivering' and lease_epoch = $3
               returning endpoint_id
           )
           select endpoint_id from d"#,
        tx.tenant(),
        owed.id,
        owed.epoch,
        state,
        made.status.and_then(|status| i16::try_from(status).ok()),
        i32::try_from(made.took.as_millis()).unwrap_or(i32::MAX),
        made.excerpt.as_ref().map(|excerpt| excerpt.expose().as_str()),
        failure.map(|failure| failure.code),
        failure.map(|failure| failure.detail.as_str()),
        pause.unwrap_or_default().as_secs_f64(),
        entry(now, owed, made, failure),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(endpoint) = settled else { return Ok(()) };
    match (failure, pause) {
        (None, _) => recover(tx, endpoint).await?,
        (Some(failure), _) => blame(tx, endpoint, matches!(verdict, Verdict::Gone(_)), failure).await?,
    }
    if let Some(hint) =
        pause.and_then(|pause| Hint::now(tx.tenant_id(), HintKind::Delivery, owed.id).after(pause))
    {
        tx.hint(hint);
    }
    Ok(())
}

/// A list of one, which is appended to the history.
fn entry(now: DateTime<Utc>, owed: &Owed, made: &Try, failure: Option<&Failure>) -> Value {
    json!([{
        "at": now, "attempt": owed.attempt, "status": made.status, "ms": made.took.as_millis(),
        "error": failure.map(|failure| failure.code),
    }])
}

/// One success ends a bad time. The row is written only then, so that a healthy endpoint is never a contended one.
async fn recover(tx: &mut TenantTx, endpoint: Uuid) -> DbResult<()> {
    sqlx::query!(
        "update webhook_endpoints set failing_since = null, warned_at = null, consecutive_failures = 0
          where tenant_id = $1 and id = $2 and failing_since is not null",
        tx.tenant(),
        endpoint,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes a failure; warns the admins after a day of them, and disables the endpoint after three or when it is gone.
async fn blame(tx: &mut TenantTx, endpoint: Uuid, gone: bool, failure: &Failure) -> DbResult<()> {
    sqlx::query!(
        "with before as (
             select id, url, failing_since, warned_at, status from webhook_endpoints
              where tenant_id = $1 and id = $2 for no key update
         ), w as (
             update webhook_endpoints e
                set consecutive_failures = e.consecutive_failures + 1,
                    failing_since = coalesce(e.failing_since, now()),
                    warned_at = case when e.failing_since < now() - make_interval(hours => $4)
                                     then coalesce(e.warned_at, now()) end,
                    status = case when $3 or e.failing_since < now() - make_interval(hours => $5)
                                  then 'disabled' else e.status end,
                    disabled_reason = case when $3 then 'gone'
                                           when e.failing_since < now() - make_interval(hours => $5) then 'failing'
                                           else e.disabled_reason end
               from before
              where e.tenant_id = $1 and e.id = before.id and before.status = 'active'
             returning e.id, e.url, e.status, e.disabled_reason, e.warned_at, e.failing_since, before.warned_at as warned_before
         )
         insert into notifications (tenant_id, id, user_id, kind, title, body, data, dedupe_key)
         select $1, new_id(), u.id,
                case w.status when 'disabled' then 'webhookEndpoint.disabled' else 'webhookEndpoint.failing' end,
                case w.status when 'disabled' then 'A webhook endpoint was disabled' else 'A webhook endpoint is failing' end,
                case w.disabled_reason
                     when 'gone' then 'It answered that it is gone (410).'
                     when 'failing' then 'Every delivery has failed for three days: ' || $6
                     else 'Every delivery has failed for a day: ' || $6 end,
                jsonb_build_object('endpointId', w.id, 'url', w.url),
                w.status || ':' || w.id || ':' || coalesce(w.failing_since, now())
           from w join users u on u.tenant_id = $1 and u.role in ('owner', 'admin') and u.status = 'active'
          where w.status = 'disabled' or (w.warned_at is not null and w.warned_before is null)
         on conflict (tenant_id, user_id, dedupe_key) do nothing",
        tx.tenant(),
        endpoint,
        gone,
        WARN_AFTER_HOURS,
        DISABLE_AFTER_HOURS,
        failure.detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
