//! Jobs as the API sees them.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{Job, JobActor, JobFilter, NewJob, parts};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{Actor, Keyset, KeysetValue, ListQuery, Page},
    ids::new_id,
    queue::{Hint, HintKind},
};

/// Selects jobs with the checked macro. The head is empty or a `with …`; the tail begins with `from` and calls the row `j`.
macro_rules! query_jobs {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::jobs::Job,
            $head + r#" select j.id, j.kind, j.status, j.total_count as total, j.created_count as created,
                      j.updated_count as updated, j.skipped_count as skipped, j.failed_count as failed,
                      coalesce((j.params -> 'request' ->> 'dryRun')::boolean, false) as "dry_run!",
                      coalesce(j.params -> 'request', '{}') as "request!", j.result,
                      case when j.error_code is not null
                           then jsonb_build_object('code', j.error_code, 'detail', coalesce(j.error_detail, '')) end as "error: _",
                      j.attempts, j.cancel_requested_at, j.created_by, j.created_at, j.started_at, j.finished_at "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_jobs;

/// Whose jobs a caller sees: all, or those that they asked for themselves.
#[must_use]
pub fn seen_by(actor: &Actor) -> Option<Uuid> {
    actor.own_records_of().map(|_| actor.id())
}

/// Writes a job down. A worker looks at it as soon as this is committed, unless parts are still to come.
///
/// # Errors
/// When the database refuses.
pub async fn insert(tx: &mut TenantTx, now: DateTime<Utc>, actor: &Actor, new: NewJob) -> DbResult<Job> {
    let id = new_id();
    let job = query_jobs!(
        "with j as (
             insert into jobs (tenant_id, id, kind, status, params, created_by, next_attempt_at, created_at, updated_at)
             values ($1, $2, $3, case when $4 then 'awaitingParts' else 'queued' end, $5, $6, now(), $7, $7)
             returning *
         )",
        "from j",
        tx.tenant(),
        id,
        new.kind.word(),
        new.awaits_parts,
        json!({"request": new.request, "actor": JobActor::of(actor)}),
        actor.user_id(),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    if !new.awaits_parts {
        hint(tx, id);
    }
    Ok(job)
}

pub(super) fn hint(tx: &mut TenantTx, id: Uuid) {
    tx.hint(Hint::now(tx.tenant_id(), HintKind::Job, id));
}

/// One job.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid, seen_by: Option<Uuid>) -> DbResult<Option<Job>> {
    let job = query_jobs!(
        "",
        "from jobs j where j.tenant_id = $1 and j.id = $2 and ($3::uuid is null or j.created_by = $3)",
        tx.tenant(),
        id,
        seen_by,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(job)
}

/// One page of jobs.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    query: &ListQuery<JobFilter>,
    seen_by: Option<Uuid>,
) -> DbResult<Page<Job>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from jobs j where j.tenant_id = "));
        select.push_bind(tenant);
        push_any(&mut select, "j.kind", &query.filter.kind);
        push_any(&mut select, "j.status", &query.filter.status);
        if let Some(user) = seen_by {
            select.push(" and j.created_by = ").push_bind(user);
        }
        select
    };
    let mut select = filtered(
        "select j.id, j.kind, j.status, j.total_count as total, j.created_count as created, j.updated_count as updated,
                j.skipped_count as skipped, j.failed_count as failed,
                coalesce((j.params -> 'request' ->> 'dryRun')::boolean, false) as dry_run, coalesce(j.params -> 'request', '{}') as request, j.result,
                case when j.error_code is not null
                     then jsonb_build_object('code', j.error_code, 'detail', coalesce(j.error_detail, '')) end as error,
                j.attempts, j.cancel_requested_at, j.created_by, j.created_at, j.started_at, j.finished_at",
    );
    push_page(&mut select, "j", &query.page);
    let rows = select.build_query_as::<Job>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |job| Keyset { value: KeysetValue::Time(job.created_at), id: job.id });
    if query.page.include_total {
        page.total = Some(filtered("select count(*)").build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

/// What asking a job to end did.
#[derive(Clone, Debug)]
pub enum Cancelled {
    /// It has ended, or ends after the portion that is under way.
    Accepted(Box<Job>),
    /// It had ended before.
    Ended,
    /// There is no such job.
    Unknown,
}

/// Ends a job. One that nobody works on ends at once, the others after the portion that is under way; what was done stays done and is counted.
///
/// # Errors
/// When the database refuses.
pub async fn cancel(tx: &mut TenantTx, id: Uuid, seen_by: Option<Uuid>) -> DbResult<Cancelled> {
    let job = query_jobs!(
        "with j as (
             update jobs set cancel_requested_at = coalesce(cancel_requested_at, now()), next_attempt_at = now(),
                    status = case when status = 'running' then status else 'cancelled' end,
                    finished_at = case when status <> 'running' then now() end
              where tenant_id = $1 and id = $2 and ($3::uuid is null or created_by = $3)
                and status in ('awaitingParts', 'queued', 'running')
             returning *
         )",
        "from j",
        tx.tenant(),
        id,
        seen_by,
    )
    .fetch_optional(tx.conn())
    .await?;
    match job {
        Some(job) => {
            if job.status == "cancelled" {
                parts::forget_inputs(tx, id).await?;
            } else {
                hint(tx, id);
            }
            Ok(Cancelled::Accepted(Box::new(job)))
        }
        None => match find(tx, id, seen_by).await? {
            Some(job) if job.status == "cancelled" => Ok(Cancelled::Accepted(Box::new(job))),
            Some(_) => Ok(Cancelled::Ended),
            None => Ok(Cancelled::Unknown),
        },
    }
}
