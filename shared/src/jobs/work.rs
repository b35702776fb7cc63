//! A job's life under a worker: claimed, moved portion by portion, ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{JobActor, JobKind, JobTrouble, parts, store::hint};
use crate::{
    db::{DbError, DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// So often a job may be begun without getting any further.
const ATTEMPTS: i32 = 5;
/// Longer than the worker may run (60 s), so that a holder whose lease has ended is dead.
const LEASE_SECONDS: f64 = 75.0;
/// The pause after the first failed attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A job that this worker holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The job.
    pub id: Uuid,
    /// What it does.
    pub kind: JobKind,
    /// What was asked for.
    pub request: Value,
    /// Who asked.
    pub actor: JobActor,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// How far it has come; none at the beginning.
    pub cursor: Option<Value>,
    epoch: i64,
    attempts: i32,
}

/// What came of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The job is this worker's.
    Held(Box<Held>),
    /// It was cancelled, or was begun too often, and has ended.
    Ended,
    /// It is not due, done, held by another worker, or of a kind that this one does not know.
    Refused,
}

/// What a portion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Leads made.
    pub created: i32,
    /// Rows or leads by which something changed.
    pub updated: i32,
    /// Those by which nothing changed.
    pub skipped: i32,
    /// Those refused.
    pub failed: i32,
}

/// What is to be done behind a portion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The next one.
    Next,
    /// Nothing more: somebody asked the job to end. To be committed.
    Cancelled,
    /// Nothing at all: another worker has taken over. To be rolled back.
    Lost,
}

impl Held {
    /// What the job says in its own words.
    ///
    /// # Errors
    /// When what is stored cannot be read, which would be a defect.
    pub fn read<T: DeserializeOwned>(value: &Value) -> DbResult<T> {
        T::deserialize(value).map_err(|error| DbError::Defect(format!("a job cannot be read: {error}")))
    }
}

/// Takes hold of a due job for `LEASE_SECONDS` and counts the attempt. Commit before the work begins. A job of a kind that this worker does not
/// know waits untouched for one that does: while a release rolls out, older workers meet jobs of newer ones. A suspended business
/// reads and exports, so that its jobs of other kinds wait too, unless somebody asked them to end.
///
/// # Errors
/// When the database refuses.
pub async fn claim(tx: &mut TenantTx, id: Uuid) -> DbResult<Claim> {
    let suspended = tx.settings().suspended;
    let row = sqlx::query!(
        r#"update jobs
              set lease_epoch = lease_epoch + 1, attempts = attempts + 1, started_at = coalesce(started_at, now()),
                  status = case when cancel_requested_at is not null then 'cancelled' when attempts >= $4 then 'failed' else 'running' end,
                  lease_until = case when cancel_requested_at is null and attempts < $4 then now() + make_interval(secs => $3) end,
                  finished_at = case when cancel_requested_at is not null or attempts >= $4 then now() end,
                  error_code = case when cancel_requested_at is null and attempts >= $4 then 'stalled' end,
                  error_detail = case when cancel_requested_at is null and attempts >= $4
                                      then coalesce(error_detail, 'The job was begun five times and got no further.') end
            where tenant_id = $1 and id = $2 and status in ('queued', 'running') and next_attempt_at <= now() + interval '1 second'
              and (lease_until is null or lease_until < now()) and kind = any ($5)
              and (not $6 or kind = $7 or cancel_requested_at is not null)
           returning kind, status, params -> 'request' as "request!", params -> 'actor' as "actor!", cursor, lease_epoch, attempts, created_at"#,
        tx.tenant(),
        id,
        LEASE_SECONDS,
        ATTEMPTS,
        &JobKind::WORDS as &[&str],
        suspended,
        JobKind::Export.word(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(Claim::Refused) };
    if row.status != "running" {
        parts::forget_inputs(tx, id).await?;
        return Ok(Claim::Ended);
    }
    let Some(kind) = JobKind::parse(&row.kind) else { return Ok(Claim::Refused) };
    Ok(Claim::Held(Box::new(Held {
        id,
        kind,
        request: row.request,
        actor: Held::read(&row.actor)?,
        asked_at: row.created_at,
        cursor: row.cursor,
        epoch: row.lease_epoch,
        attempts: row.attempts,
    })))
}

/// Writes down what a portion did and where the next one begins, and holds the job for longer. Part of the portion's transaction.
///
/// # Errors
/// When the database refuses.
pub async fn advance(tx: &mut TenantTx, held: &mut Held, cursor: Value, done: Progress) -> DbResult<Advance> {
    let cancelled = sqlx::query_scalar!(
        r#"update jobs
              set cursor = $4, created_count = created_count + $5, updated_count = updated_count + $6,
                  skipped_count = skipped_count + $7, failed_count = failed_count + $8, attempts = 0, error_detail = null,
                  lease_until = clock_timestamp() + make_interval(secs => $9),
                  status = case when cancel_requested_at is not null then 'cancelled' else status end,
                  finished_at = case when cancel_requested_at is not null then now() end
            where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'running'
           returning cancel_requested_at is not null as "cancelled!""#,
        tx.tenant(),
        held.id,
        held.epoch,
        cursor,
        done.created,
        done.updated,
        done.skipped,
        done.failed,
        LEASE_SECONDS,
    )
    .fetch_optional(tx.conn())
    .await?;
    match cancelled {
        None => Ok(Advance::Lost),
        Some(true) => {
            parts::forget_inputs(tx, held.id).await?;
            Ok(Advance::Cancelled)
        }
        Some(false) => {
            held.cursor = Some(cursor);
            held.attempts = 0;
            Ok(Advance::Next)
        }
    }
}

/// Says how many there are in all.
///
/// # Errors
/// When the database refuses.
pub async fn set_total(tx: &mut TenantTx, held: &Held, total: i64) -> DbResult<()> {
    sqlx::query!(
        "update jobs set total_count = $4 where tenant_id = $1 and id = $2 and lease_epoch = $3",
        tx.tenant(),
        held.id,
        held.epoch,
        i32::try_from(total).unwrap_or(i32::MAX),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a job that has come to its end.
///
/// # Errors
/// When the database refuses.
pub async fn finish(tx: &mut TenantTx, held: &Held, result: Value) -> DbResult<()> {
    end(tx, held, "completed", Some(result), None).await
}

/// Ends a job that cannot go on. What it did before is counted.
///
/// # Errors
/// When the database refuses.
pub async fn fail(tx: &mut TenantTx, held: &Held, trouble: &JobTrouble) -> DbResult<()> {
    end(tx, held, "failed", None, Some(trouble)).await
}

async fn end(
    tx: &mut TenantTx,
    held: &Held,
    status: &str,
    result: Option<Value>,
    trouble: Option<&JobTrouble>,
) -> DbResult<()> {
    let ended = sqlx::query!(
        "update jobs set status = $4, result = $5, error_code = $6, error_detail = $7, finished_at = now(), lease_until = null
          where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'running'",
        tx.tenant(),
        held.id,
        held.epoch,
        status,
        result,
        trouble.map(|trouble| trouble.code.as_str()),
        trouble.map(|trouble| trouble.detail.as_str()),
    )
    .execute(tx.conn())
    .await?;
    if ended.rows_affected() > 0 {
        parts::forget_inputs(tx, held.id).await?;
    }
    Ok(())
}

/// Lets go of a job whose worker has no more time; the next one goes on at once.
///
/// # Errors
/// When the database refuses.
pub async fn release(tx: &mut TenantTx, held: &Held) -> DbResult<()> {
    sqlx::query!(
        "update jobs set lease_until = null, next_attempt_at = now()
          where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'running'",
        tx.tenant(),
        held.id,
        held.epoch,
    )
    .execute(tx.conn())
    .await?;
    hint(tx, held.id);
    Ok(())
}

/// Lets go of a job that could not be moved, for a while.
///
/// # Errors
/// When the database refuses.
pub async fn put_off(tx: &mut TenantTx, held: &Held, detail: &str) -> DbResult<()> {
    let pause = FIRST_PAUSE * 2_u32.pow(u32::try_from(held.attempts.clamp(1, 8) - 1).unwrap_or_default());
    sqlx::query!(
        "update jobs set lease_until = null, next_attempt_at = now() + make_interval(secs => $4), error_detail = $5
          where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'running'",
        tx.tenant(),
        held.id,
        held.epoch,
        pause.as_secs_f64(),
        detail,
    )
    .execute(tx.conn())
    .await?;
    if let Some(hint) = Hint::now(tx.tenant_id(), HintKind::Job, held.id).after(pause) {
        tx.hint(hint);
    }
    Ok(())
}

/// Clears away at night: uploads that nobody has touched for a day end as `failed` (`abandoned`), written files go after seven days, what stood in bad
/// rows after thirty, and jobs ninety days after their end. Says how many rows that were.
///
/// # Errors
/// When the database refuses.
pub async fn purge(tx: &mut TenantTx) -> DbResult<i64> {
    let purged = sqlx::query_scalar!(
        r#"with abandoned as (
               update jobs set status = 'failed', error_code = 'abandoned', finished_at = now(),
                      error_detail = 'No part came for a day, so those that had come were removed.'
                where tenant_id = $1 and status = 'awaitingParts' and created_at < now() - interval '1 day'
                  and not exists (select from job_parts p where p.tenant_id = $1 and p.job_id = jobs.id
                                     and p.updated_at > now() - interval '1 day')
               returning id
           ), inputs as (
               delete from job_parts p using jobs j
                where p.tenant_id = $1 and j.tenant_id = $1 and j.id = p.job_id
                  and (p.job_id in (select id from abandoned)
                    or p.role = 'input' and j.status in ('completed', 'failed', 'cancelled')
                    or p.role = 'output' and j.finished_at < now() - interval '7 days')
               returning 1
           ), "values" as (
               update job_errors set value = null
                where tenant_id = $1 and value is not null and created_at < now() - interval '30 days' returning 1
           ), old as (
               delete from jobs where tenant_id = $1 and finished_at < now() - interval '90 days' returning 1
           )
           select (select count(*) from abandoned) + (select count(*) from inputs) + (select count(*) from "values")
                  + (select count(*) from old) as "purged!""#,
        tx.tenant(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(purged)
}
