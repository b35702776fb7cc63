//! Writing what walks want written: one statement per kind, for any number of runs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    calls::Call,
    claim::LEASE_SECONDS,
    model::{ActivityRow, HttpRequest, Notice, NoticeTo, Outgoing, StepRow},
};
use crate::{
    auth::Role,
    crypto::{AddressHasher, sha256},
    db::{DbError, DbResult, TenantTx},
    ids::new_id,
    messages::{self, PlannedMessage, RunStep},
};

/// How a run's row is after the walk.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct RunRow {
    pub(super) id: Uuid,
    pub(super) epoch: i64,
    pub(super) status: &'static str,
    pub(super) current_step: Option<String>,
    pub(super) step_seq: i32,
    pub(super) due_now: bool,
    pub(super) wake_at: Option<DateTime<Utc>>,
    pub(super) wake_kind: Option<&'static str>,
    pub(super) wait_event: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) exit_reason: Option<String>,
    pub(super) context: Value,
    pub(super) ended: bool,
}

/// Columns of leads; a move to another stage is also an activity. The rows are locked, so their new values replace the old ones as wholes.
pub(super) async fn leads(tx: &mut TenantTx, changes: &HashMap<Uuid, Map<String, Value>>) -> DbResult<()> {
    let rows: Vec<Value> = changes
        .iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(id, fields)| json!({"id": id, "fields": fields}))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with c as (
             select * from jsonb_to_recordset($2) as c (id uuid, fields jsonb)
         ), moved as (
             insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind)
             select $1, new_id(), b.id, 'stage', 'Stage changed',
                    jsonb_build_object('fromStageId', b.stage_id, 'toStageId', c.fields ->> 'stage_id',
                                       'secondsInStage', extract(epoch from now() - b.stage_entered_at)::bigint), 'automation'
               from c join leads b on b.tenant_id = $1 and b.id = c.id
              where c.fields ? 'stage_id' and c.fields ->> 'stage_id' is distinct from b.stage_id::text
         )
         update leads l
            set status = p.status, source = p.source, first_name = p.first_name, last_name = p.last_name, score = coalesce(p.score, 0),
                score_given = b.score_given + coalesce(p.score, 0) - b.score, timezone = p.timezone, locale = p.locale, owner_id = p.owner_id, tags = p.tags, custom_fields = p.custom_fields,
                stage_id = p.stage_id,
                stage_entered_at = case when p.stage_id is distinct from l.stage_id then now() else l.stage_entered_at end,
                won_reason = case when p.stage_id is not distinct from l.stage_id then l.won_reason end,
                lost_reason = case when p.stage_id is not distinct from l.stage_id then l.lost_reason end
           from c
           join leads b on b.tenant_id = $1 and b.id = c.id
          cross join lateral jsonb_populate_record(b, c.fields) p
          where l.tenant_id = $1 and l.id = c.id",
        tx.tenant(),
        Value::Array(rows),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Activities, and that something happened with their leads.
pub(super) async fn activities(tx: &mut TenantTx, rows: &[ActivityRow]) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with a as (
             select * from jsonb_to_recordset($2) as a (id uuid, lead_id uuid, kind text, title text, body text, due_at timestamptz,
                                                        assignee_id uuid, run_id uuid, dedupe_key text)
         ), touched as (
             update leads set last_activity_at = greatest(last_activity_at, now())
              where tenant_id = $1 and id in (select lead_id from a)
         )
         insert into activities (tenant_id, id, lead_id, kind, title, body, due_at, assignee_id, actor_kind, actor_id, dedupe_key)
         select $1, a.id, a.lead_id, a.kind, a.title, a.body, a.due_at, a.assignee_id, 'automation', a.run_id, a.dedupe_key from a
         on conflict (tenant_id, dedupe_key) do nothing",
        tx.tenant(),
        Json(rows) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notifications, one for each colleague that a notice is for.
pub(super) async fn notices(tx: &mut TenantTx, notices: &[Notice]) -> DbResult<()> {
    if notices.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = notices
        .iter()
        .map(|notice| {
            let (user, roles) = match notice.to {
                NoticeTo::User(user) => (Some(user), Vec::new()),
                NoticeTo::Role(least) => (None, Role::ALL.iter().filter(|role| **role >= least).map(|role| role.as_str()).collect()),
            };
            json!({
                "user_id": user, "roles": roles, "kind": notice.kind, "title": notice.title, "body": notice.body,
                "data": notice.data, "lead_id": notice.lead_id, "dedupe_key": notice.dedupe_key,
            })
        })
        .collect();
    sqlx::query!(
        "insert into notifications (tenant_id, id, user_id, kind, title, body, data, lead_id, dedupe_key)
         select $1, new_id(), u.id, n.kind, n.title, n.body, n.data, n.lead_id, n.dedupe_key
           from jsonb_to_recordset($2) as n (user_id uuid, roles text[], kind text, title text, body text, data jsonb, lead_id uuid,
                                             dedupe_key text)
           join users u on u.tenant_id = $1 and u.status = 'active' and (u.id = n.user_id or u.role = any(n.roles))
         on conflict (tenant_id, user_id, dedupe_key) do nothing",
        tx.tenant(),
        Value::Array(rows),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Messages of steps. The answers are in their order: the step's output, and whether the run waits for the message to be settled.
pub(super) async fn messages(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    outgoing: Vec<(Uuid, Outgoing)>,
) -> DbResult<Vec<(Value, bool)>> {
    let planned = outgoing
        .into_iter()
        .map(|(run, out)| {
            let key = format!("run:{run}:{}", out.seq);
            let mut message = PlannedMessage::new(out.lead_id, out.channel, out.purpose, out.body, key);
            message.subject = out.subject.map(Into::into);
            message.html = out.html.map(Into::into);
            message.template = out.template;
            message.run = Some(RunStep { run_id: run, seq: out.seq });
            message
        })
        .collect();
    let planned = messages::plan(tx, hasher, now, planned).await?;
    let answer = |planned: messages::Planned| {
        let output = json!({
            "messageId": planned.message_id, "status": planned.status.word(), "sendAt": planned.send_at, "verdicts": planned.verdicts,
        });
        (output, planned.effect_id.is_some())
    };
    Ok(planned.into_iter().map(answer).collect())
}

/// Steps begun and ended. A row that was begun in another look keeps its beginning.
pub(super) async fn steps(tx: &mut TenantTx, rows: &[StepRow]) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into automation_run_steps as s (tenant_id, run_id, seq, step_id, type, status, output, error_code, error_message,
                                                started_at, ended_at)
         select $1, x.run_id, x.seq, x.step_id, x.type, x.status, x.output, x.error_code, x.error_message,
                clock_timestamp(), case when x.ended then clock_timestamp() end
           from jsonb_to_recordset($2) as x (run_id uuid, seq int, step_id text, type text, status text, output jsonb, error_code text,
                                             error_message text, ended boolean)
         on conflict (tenant_id, run_id, seq) do update
            set status = excluded.status, output = coalesce(excluded.output, s.output), error_code = excluded.error_code,
                error_message = excluded.error_message, ended_at = excluded.ended_at",
        tx.tenant(),
        Json(rows) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One row of the statement that marks requests as begun.
#[derive(Serialize)]
pub(super) struct CallRow {
    pub(super) id: Uuid,
    pub(super) run_id: Uuid,
    pub(super) run_seq: i32,
    pub(super) epoch: i64,
    pub(super) idem_key: String,
    pub(super) payload: Option<HttpRequest>,
    pub(super) sha256: Option<String>,
}

impl CallRow {
    pub(super) fn new(run: Uuid, seq: i32, epoch: i64, request: Option<HttpRequest>) -> Self {
        let bytes = request.as_ref().and_then(|request| serde_json::to_vec(request).ok());
        Self {
            id: new_id(),
            run_id: run,
            run_seq: seq,
            epoch,
            idem_key: format!("run:{run}:{seq}"),
            payload: request,
            sha256: bytes.map(|bytes| hex::encode(sha256(&bytes))),
        }
    }
}

/// Marks requests as begun. One that was begun before is repeated as it was, with the same key.
pub(super) async fn calls(tx: &mut TenantTx, rows: &[CallRow]) -> DbResult<Vec<Call>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let marked = sqlx::query!(
        r#"insert into effects as e (tenant_id, id, kind, run_id, run_seq, idem_key, request_sha256, payload, state, attempt, dispatch_epoch,
                                     dispatched_at)
           select $1, x.id, 'httpCall', x.run_id, x.run_seq, x.idem_key, decode(x.sha256, 'hex'), coalesce(x.payload, '{}'), 'dispatching',
                  1, x.epoch, now()
             from jsonb_to_recordset($2) as x (id uuid, run_id uuid, run_seq int, epoch bigint, idem_key text, payload jsonb, sha256 text)
           on conflict (tenant_id, idem_key) do update
              set state = 'dispatching', attempt = e.attempt + 1, dispatch_epoch = excluded.dispatch_epoch, dispatched_at = now()
           returning e.id, e.run_id as "run_id!", e.run_seq as "run_seq!", e.dispatch_epoch, e.attempt, e.idem_key,
                     e.payload as "payload: Json<HttpRequest>""#,
        tx.tenant(),
        Json(rows) as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let calls = marked.into_iter().map(|row| Call {
        effect_id: row.id,
        run_id: row.run_id,
        seq: row.run_seq,
        epoch: row.dispatch_epoch,
        attempt: row.attempt,
        idem_key: row.idem_key,
        request: row.payload.0,
    });
    Ok(calls.collect())
}

/// The runs themselves, each under the epoch of its claim.
pub(super) async fn runs(tx: &mut TenantTx, rows: &[RunRow]) -> DbResult<()> {
    let written = sqlx::query!(
        "update automation_runs r
            set status = x.status, current_step = x.current_step, step_seq = x.step_seq,
                wake_at = case when x.due_now then now() else x.wake_at end, wake_kind = x.wake_kind, wait_event = x.wait_event,
                lease_until = case when x.status = 'running' then now() + make_interval(secs => $3) end,
                claims_since_progress = 0, error_code = x.error_code, error_message = x.error_message,
                error_step = case when x.error_code is not null then x.current_step end, exit_reason = x.exit_reason,
                context = x.context, finished_at = case when x.ended then now() end
           from jsonb_to_recordset($2) as x (id uuid, epoch bigint, status text, current_step text, step_seq int, due_now boolean,
                                             wake_at timestamptz, wake_kind text, wait_event text, error_code text, error_message text,
                                             exit_reason text, context jsonb, ended boolean)
          where r.tenant_id = $1 and r.id = x.id and r.lease_epoch = x.epoch and r.status = 'running'",
        tx.tenant(),
        Json(rows) as _,
        LEASE_SECONDS,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    // The rows are locked since they were found to be held, so this cannot happen; if it does, nothing may be kept.
    if written == rows.len() as u64 {
        Ok(())
    } else {
        Err(DbError::Contention("a run was lost in its own transaction".to_owned()))
    }
}
