//! Requests of `webhook` steps: begun, made, settled.
//!
//! The request is written down and marked as begun in the transaction that reached the step; the run keeps its lease while it is made.
//! A worker that dies in between leaves the run to the next claim, which repeats the request as it was with the same
//! `Idempotency-Key`. An answer that may come again (429, 5xx, no answer) is asked for three times more, with growing pauses.

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::{HttpRequest, wake};
use crate::{
    db::{DbResult, TenantTx},
    ids::new_id,
    queue::{Hint, HintKind},
};

/// Tries of one request.
const MAX_ATTEMPTS: i32 = 4;
/// The longest pause that a target may ask for.
const MAX_PAUSE_SECONDS: i64 = 3_600;

/// A request that is marked as begun.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its effect.
    pub effect_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The step's place in the run.
    pub seq: i32,
    /// The epoch of the claim that began it.
    pub epoch: i64,
    /// Which try it is.
    pub attempt: i32,
    /// The same for each try.
    pub idem_key: String,
    /// The request.
    pub request: HttpRequest,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// With a status from 200 to 299.
    Answered {
        /// The status.
        status: u16,
        /// The answer: JSON, or a text.
        body: Value,
    },
    /// With another status, or without any.
    Failed {
        /// The status, if there was an answer.
        status: Option<u16>,
        /// Stable word.
        code: &'static str,
        /// For people.
        message: String,
        /// Whether it may work later.
        retryable: bool,
        /// When the target wants to be asked again, in seconds.
        retry_after: Option<i64>,
    },
}

/// What is written of an outcome.
struct Settlement {
    effect: &'static str,
    step: &'static str,
    pause: Option<Duration>,
    http_status: Option<i16>,
    code: Option<&'static str>,
    message: Option<String>,
    output: Value,
    saved: Option<Value>,
}

impl Settlement {
    fn of(call: &Call, outcome: CallOutcome) -> Self {
        let small = |status: u16| i16::try_from(status).ok();
        match outcome {
            CallOutcome::Answered { status, body } => Self {
                effect: "accepted",
                step: "completed",
                pause: None,
                http_status: small(status),
                code: None,
                message: None,
                output: json!({"status": status}),
                saved: call.request.save_as.as_ref().map(|name| json!({name: body})),
            },
            CallOutcome::Failed { status, code, message, retryable, retry_after } => {
                let pause =
                    (retryable && call.attempt < MAX_ATTEMPTS).then(|| pause(call.attempt, retry_after));
                Self {
                    effect: if pause.is_some() { "rejected" } else { "failed" },
                    step: if pause.is_some() { "waiting" } else { "failed" },
                    pause,
                    http_status: status.and_then(small),
                    code: Some(code),
                    message: Some(message),
                    output: json!({"status": status}),
                    saved: None,
                }
            }
        }
    }
}

/// 1, 2, 4 seconds, up to half as much again so that many do not come at once; longer when the target says so.
fn pause(attempt: i32, retry_after: Option<i64>) -> Duration {
    let base = 1_000_i64 << attempt.clamp(1, 10).saturating_sub(1);
    let spread = i64::from(new_id().as_bytes().last().copied().unwrap_or_default());
    let own = Duration::milliseconds(base + base * spread / 512);
    retry_after.map_or(own, |seconds| own.max(Duration::seconds(seconds.clamp(0, MAX_PAUSE_SECONDS))))
}

/// Writes down how a request ended and makes the run due: now, or after a pause. True when it is due now. A worker whose claim is over writes
/// nothing.
///
/// # Errors
/// `automation_runs_context_check` when the answer is too large to keep.
pub async fn settle_call(tx: &mut TenantTx, call: &Call, outcome: CallOutcome) -> DbResult<bool> {
    let settled = Settlement::of(call, outcome);
    let pause = settled.pause.map(|pause| pause.num_milliseconds());
    let owned = sqlx::query_scalar!(
        r#"with owned as (
               select id from automation_runs
                where tenant_id = $1 and id = $2 and lease_epoch = $3 and status = 'running' for update
           ), effect as (
               update effects set state = $5, http_status = $6, error_code = $7, error_detail = $8
                where tenant_id = $1 and id = $4 and exists (select from owned)
           ), step as (
               update automation_run_steps
                  set status = $9, attempt = $10, output = $11, error_code = $7, error_message = $8,
                      ended_at = case when $9 <> 'waiting' then clock_timestamp() end
                where tenant_id = $1 and run_id in (select id from owned) and seq = $12
           )
           update automation_runs r
              set status = case when $13::bigint is null then 'queued' else 'waiting' end,
                  wake_at = now() + make_interval(secs => coalesce($13, 0) / 1000.0), wake_kind = $14, lease_until = null,
                  claims_since_progress = 0,
                  context = case when $15::jsonb is null then r.context
                                 else r.context || jsonb_build_object('vars', coalesce(r.context -> 'vars', '{}') || $15) end
            where r.tenant_id = $1 and r.id in (select id from owned)
           returning r.id"#,
        tx.tenant(),
        call.run_id,
        call.epoch,
        call.effect_id,
        settled.effect,
        settled.http_status,
        settled.code,
        settled.message,
        settled.step,
        call.attempt,
        settled.output,
        call.seq,
        pause,
        if settled.pause.is_some() { wake::RETRY } else { wake::EFFECT },
        settled.saved,
    )
    .fetch_optional(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    if let (Some(run), Some(pause)) = (owned, settled.pause)
        && let Some(hint) =
            pause.to_std().ok().and_then(|pause| Hint::now(tenant, HintKind::Run, run).after(pause))
    {
        tx.hint(hint);
    }
    Ok(owned.is_some() && settled.pause.is_none())
}
