//! How an effect ends or waits; the statements that marking and settling share.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{
    Job,
    mark::Claimed,
    policy::{AfterLoss, HELD, SEARCH_AFTER},
};
use crate::{
    automations::settled::{Outcome as StepOutcome, effect_settled},
    clock,
    db::{DbResult, TenantTx},
    events::EventKind,
    messages::{Verdict, model::query_messages, report::tell},
    queue::{Hint, HintKind},
};

/// Why a marked effect is not called for after all.
pub(super) enum Stop<'a> {
    /// Somebody called it back.
    Canceled,
    /// The address must be left alone.
    Suppressed {
        /// Since what.
        reason: &'a str,
    },
    /// It cannot be sent.
    Failed {
        /// Stable word.
        code: &'a str,
        /// For people.
        reason: &'a str,
    },
}

/// Ends a marked effect without a call.
pub(super) async fn stop(tx: &mut TenantTx, id: Uuid, claimed: &Claimed, why: Stop<'_>) -> DbResult<()> {
    let (status, state, code, reason) = match why {
        Stop::Canceled => {
            ("canceled", "suppressed", "canceled", "It was called back before it was sent.".to_owned())
        }
        Stop::Suppressed { reason } => (
            "blocked",
            "suppressed",
            "suppressed",
            format!("The address must be left alone since: {reason}."),
        ),
        Stop::Failed { code, reason } => ("failed", "failed", code, reason.to_owned()),
    };
    let verdict = Verdict {
        rule: if state == "suppressed" { "suppression" } else { "connection" }.to_owned(),
        outcome: "blocked".to_owned(),
        reason: reason.clone(),
    };
    let failure = (status == "failed").then(|| json!({"class": "permanent", "code": code, "reason": reason}));
    let message = query_messages!(
        r#"with ended as (
            update effects set state = $3, lease_until = null, error_code = $4, error_detail = $5
             where tenant_id = $1 and id = $2
            returning message_id
        ), m as (
            update messages m
               set status = $6, status_rank = case when $6 = 'failed' then 45 else 60 end,
                   failure = coalesce($7, m.failure),
                   verdicts = case when $6 = 'canceled' then m.verdicts else m.verdicts || $8::jsonb end,
                   history = case when m.status = $6 then m.history
                       else m.history || jsonb_build_array(jsonb_build_object('status', $6::text, 'at', now())) end
              from ended where m.tenant_id = $1 and m.id = ended.message_id
            returning m.*
        )"#,
        "from m",
        tx.tenant(),
        id,
        state,
        code,
        reason,
        status,
        failure,
        json!([verdict]),
    )
    .fetch_one(tx.conn())
    .await?;
    if status == "failed" {
        tell(tx, EventKind::MessageFailed, &message, clock::now()).await?;
    }
    if let Some((run, seq)) = claimed.run_id.zip(claimed.run_seq) {
        let outcome =
            StepOutcome::NotSent { message_id: claimed.message_id, status, code: code.to_owned(), reason };
        effect_settled(tx, run, seq, &outcome).await?;
    }
    Ok(())
}

/// Puts a marked effect back because its account is paused. The try does not count.
pub(super) async fn hold(tx: &mut TenantTx, id: Uuid, claimed: &Claimed) -> DbResult<()> {
    back(tx, id, (claimed.epoch, claimed.message_id), claimed.attempt - 1, HELD).await?;
    Ok(())
}

/// Back to `planned`, if the epoch is still ours: not before `wait` has passed.
pub(super) async fn back(
    tx: &mut TenantTx,
    id: Uuid,
    (epoch, message_id): (i64, Uuid),
    attempt: i32,
    wait: Duration,
) -> DbResult<bool> {
    let moved = sqlx::query_scalar!(
        "with e as (
             update effects
                set state = 'planned', attempt = $4, lease_until = null, settle_after = null,
                    next_attempt_at = now() + make_interval(secs => $5)
              where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'
             returning id
         ), m as (
             update messages set status = 'queued', status_rank = 10
              where tenant_id = $1 and id = $6 and status in ('sending', 'unknown') and exists (select from e)
         )
         select id from e",
        tx.tenant(),
        id,
        epoch,
        attempt.max(0),
        wait.as_secs_f64(),
        message_id,
    )
    .fetch_optional(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    if moved.is_some()
        && let Some(hint) = Hint::now(tenant, HintKind::Effect, id).after(wait)
    {
        tx.hint(hint);
    }
    Ok(moved.is_some())
}

/// Perhaps sent. Either the provider is asked later, or only a callback or a person can tell; then the run goes on.
pub(super) async fn to_unknown(
    tx: &mut TenantTx,
    id: Uuid,
    job: &Job,
    rule: AfterLoss,
    reason: &str,
) -> DbResult<()> {
    let search = (rule == AfterLoss::Search).then_some(SEARCH_AFTER.as_secs_f64());
    let moved = sqlx::query_scalar!(
        "with e as (
             update effects
                set state = 'unknown', lease_until = null, error_code = 'answer_lost', error_detail = $5,
                    settle_after = now() + make_interval(secs => $4)
              where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'
             returning id
         ), m as (
             update messages
                set status = 'unknown', status_rank = 25,
                    failure = jsonb_build_object('class', 'transient', 'code', 'answer_lost', 'reason', $5::text),
                    history = history || jsonb_build_array(jsonb_build_object('status', 'unknown', 'at', now()))
              where tenant_id = $1 and id = $6 and status_rank < 25 and exists (select from e)
         )
         select id from e",
        tx.tenant(),
        id,
        job.epoch,
        search,
        reason,
        job.message_id,
    )
    .fetch_optional(tx.conn())
    .await?;
    if moved.is_some()
        && search.is_none()
        && let Some((run, seq)) = job.run
    {
        let outcome = StepOutcome::NotSent {
            message_id: job.message_id,
            status: "unknown",
            code: "answer_lost".to_owned(),
            reason: reason.to_owned(),
        };
        effect_settled(tx, run, seq, &outcome).await?;
    }
    Ok(())
}
