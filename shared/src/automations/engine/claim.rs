//! Claiming: one statement takes a batch of due runs under a lease.
//!
//! The count of claims is raised before any work is done, so that a run whose work kills its worker is not tried for ever: at the limit it
//! goes to a person instead. The epoch is raised too; whoever comes back late with an older one can write nothing.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    flush,
    model::{Claimed, Notice, NoticeTo},
};
use crate::{
    auth::Role,
    db::{DbResult, TenantTx},
};

/// How many runs one claim takes.
pub const BATCH: i64 = 100;
/// How often a run may be claimed without getting any further.
const MAX_CLAIMS: i32 = 5;
/// Longer than the worker function may live, so that a worker that lost its lease is dead.
pub(super) const LEASE_SECONDS: f64 = 45.0;

struct Row {
    id: Uuid,
    status: String,
    automation_id: Uuid,
    version: i32,
    lead_id: Option<Uuid>,
    current_step: Option<String>,
    step_seq: i32,
    wake_kind: Option<String>,
    lease_epoch: i64,
    context: Value,
    depth: i16,
}

/// Takes the run that a hint named, if it is due, and others that are. Runs that were cancelled end here, runs of a paused automation are put
/// aside, and runs that were claimed too often go to a person.
///
/// # Errors
/// When the database refuses.
pub async fn claim(tx: &mut TenantTx, prefer: Option<Uuid>) -> DbResult<Vec<Claimed>> {
    let rows = take(tx, prefer).await?;
    let stuck: Vec<Notice> = rows.iter().filter(|row| row.status == "attention").map(stuck_notice).collect();
    flush::notices(tx, &stuck).await?;
    let mine = rows.into_iter().filter(|row| row.status == "running").map(|row| Claimed {
        id: row.id,
        automation_id: row.automation_id,
        version: row.version,
        lead_id: row.lead_id,
        current_step: row.current_step,
        step_seq: row.step_seq,
        wake_kind: row.wake_kind,
        lease_epoch: row.lease_epoch,
        context: row.context,
        depth: row.depth,
    });
    Ok(mine.collect())
}

async fn take(tx: &mut TenantTx, prefer: Option<Uuid>) -> DbResult<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        r#"with preferred as (
               select id from automation_runs
                where tenant_id = $1 and id = $2
                  and (status in ('queued', 'waiting') and wake_at <= now() or status = 'running' and lease_until < now())
                  for update skip locked
           ), due as (
               select id from automation_runs
                where tenant_id = $1 and status in ('queued', 'waiting') and wake_at <= now()
                order by wake_at limit $3 for update skip locked
           ), lost as (
               select id from automation_runs
                where tenant_id = $1 and status = 'running' and lease_until < now()
                limit $3 for update skip locked
           ), chosen as (
               select r.id, case when r.cancel_requested_at is not null then 'cancelled'
                                 when a.status = 'paused' then 'queued'
                                 when r.claims_since_progress >= $4 then 'attention'
                                 else 'running' end as verdict
                 from (select id from preferred union select id from due union select id from lost) found
                 join automation_runs r on r.tenant_id = $1 and r.id = found.id
                 join automations a on a.tenant_id = $1 and a.id = r.automation_id
           )
           update automation_runs r
              set status = c.verdict,
                  lease_epoch = r.lease_epoch + 1,
                  lease_until = case when c.verdict = 'running' then now() + make_interval(secs => $5) end,
                  claims_since_progress = r.claims_since_progress + (c.verdict = 'running')::int,
                  started_at = coalesce(r.started_at, now()),
                  wake_at = case when c.verdict = 'running' then r.wake_at end,
                  finished_at = case when c.verdict = 'cancelled' then now() end,
                  error_code = case when c.verdict = 'attention' then 'stalled' end,
                  error_message = case when c.verdict = 'attention' then 'The run was begun five times and got no further.' end,
                  error_step = case when c.verdict = 'attention' then r.current_step end
             from chosen c
            where r.tenant_id = $1 and r.id = c.id
           returning r.id, r.status, r.automation_id, r.version, r.lead_id, r.current_step, r.step_seq, r.wake_kind,
                     r.lease_epoch, r.context, r.depth"#,
        tx.tenant(),
        prefer,
        BATCH,
        MAX_CLAIMS,
        LEASE_SECONDS,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

fn stuck_notice(row: &Row) -> Notice {
    Notice {
        to: NoticeTo::Role(Role::Manager),
        kind: "automation.failed",
        title: Some("An automation run needs a look".to_owned()),
        body: "The run was begun five times and got no further.".to_owned(),
        lead_id: row.lead_id,
        data: json!({"runId": row.id, "automationId": row.automation_id, "step": row.current_step, "code": "stalled"}),
        dedupe_key: format!("run:{}:{}:stalled", row.id, row.lease_epoch),
    }
}
