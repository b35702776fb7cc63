//! The settling transaction.

use std::time::Duration;

use serde_json::json;

use super::{
    Job, MAX_TRIES, backoff,
    outcome::{back, to_unknown},
    policy::{HELD, after_loss},
};
use crate::{
    app::App,
    automations::settled::{Outcome as StepOutcome, effect_settled},
    clock, crypto,
    db::{DbError, DbResult, TenantTx},
    events::EventKind,
    messages::{model::query_messages, report::tell},
    notifications::{self, NewNotification, Recipients},
    providers::{Cause, FailureClass, Outcome, Search},
};

/// Writes what came of a call. Without the epoch nothing is changed: another worker has taken over.
///
/// # Errors
/// When the database refuses or is lost; the lease then ends and the provider's class decides.
pub async fn settle(app: &App, job: &Job, outcome: Outcome) -> DbResult<()> {
    let Some(mut tx) = app.db.open_tenant(job.tenant).await? else { return Ok(()) };
    let id = job.outgoing.effect_id;
    match outcome {
        Outcome::Accepted { provider_ref } => accepted(&mut tx, job, &provider_ref).await?,
        Outcome::Rejected(class, cause) => failed(&mut tx, job, class, &cause).await?,
        Outcome::Retry(_, cause) if job.attempt >= MAX_TRIES => {
            failed(&mut tx, job, FailureClass::Transient, &cause).await?;
        }
        Outcome::Retry(asked, cause) => again(&mut tx, job, asked, &cause).await?,
        Outcome::AccountRefused(cause) => {
            if back(&mut tx, id, (job.epoch, job.message_id), job.attempt - 1, HELD).await? {
                pause_account(&mut tx, job, &cause).await?;
            }
        }
        Outcome::Ambiguous(cause) => {
            let age = (clock::now() - job.outgoing.first_tried_at).to_std().unwrap_or_default();
            match after_loss(job.account.provider.capability(), job.attempt, age) {
                super::policy::AfterLoss::Repeat => again(&mut tx, job, None, &cause).await?,
                rule => to_unknown(&mut tx, id, job, rule, &cause.reason).await?,
            }
        }
    }
    finish(app, tx).await
}

/// Writes what a search found.
///
/// # Errors
/// As [`settle`].
pub async fn settle_search(app: &App, job: &Job, found: Search) -> DbResult<()> {
    let Some(mut tx) = app.db.open_tenant(job.tenant).await? else { return Ok(()) };
    match found {
        Search::Found { provider_ref } => accepted(&mut tx, job, &provider_ref).await?,
        Search::Absent if job.attempt >= MAX_TRIES => {
            let cause = Cause {
                code: "not_sent".into(),
                reason: "The provider never got it.".into(),
                http_status: None,
            };
            failed(&mut tx, job, FailureClass::Transient, &cause).await?;
        }
        Search::Absent => {
            let cause = Cause {
                code: "not_sent".into(),
                reason: "The provider never got it.".into(),
                http_status: None,
            };
            again(&mut tx, job, None, &cause).await?;
        }
        Search::Unclear => {
            // Asked for a day, then left to a callback or a person.
            let age = clock::now() - job.outgoing.first_tried_at;
            let rule = if age.num_hours() < 24 {
                super::policy::AfterLoss::Search
            } else {
                super::policy::AfterLoss::Wait
            };
            to_unknown(
                &mut tx,
                job.outgoing.effect_id,
                job,
                rule,
                "The provider could not say whether it was sent.",
            )
            .await?;
        }
    }
    finish(app, tx).await
}

async fn finish(app: &App, tx: TenantTx) -> DbResult<()> {
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(())
}

/// The provider has it. A callback may have said more already, so the status only rises. An id that the provider gives
/// twice stays with the first message.
async fn accepted(tx: &mut TenantTx, job: &Job, provider_ref: &str) -> DbResult<()> {
    let message = query_messages!(
        r#"with e as (
            update effects
               set state = 'accepted', lease_until = null, settle_after = null, error_code = null, error_detail = null,
                   provider = $4, resolved_at = now(),
                   provider_ref = case when exists (select from effects o where o.tenant_id = $1 and o.provider = $4
                                                       and o.provider_ref = $5 and o.id <> $2) then null else $5 end
             where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'
            returning message_id
        ), m as (
            update messages m
               set status = case when status_rank < 30 then 'sent' else status end, status_rank = greatest(status_rank, 30),
                   history = history || jsonb_build_array(jsonb_build_object('status', 'sent', 'at', now())),
                   provider = $4, from_address = coalesce(from_address, $6), failure = null,
                   sent_at = coalesce(sent_at, now()),
                   provider_ref = coalesce(provider_ref, case when exists (
                       select from messages o where o.tenant_id = $1 and o.provider = $4 and o.provider_ref = $5
                                                and o.id <> m.id) then null else $5 end)
              from e where m.tenant_id = $1 and m.id = e.message_id
            returning m.*
        )"#,
        "from m",
        tx.tenant(),
        job.outgoing.effect_id,
        job.epoch,
        job.account.provider.word(),
        provider_ref,
        job.account.from(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(message) = message else { return Ok(()) };
    tell(tx, EventKind::MessageSent, &message, clock::now()).await?;
    if let Some((run, seq)) = job.run {
        effect_settled(tx, run, seq, &StepOutcome::Sent { message_id: job.message_id }).await?;
    }
    Ok(())
}

async fn failed(tx: &mut TenantTx, job: &Job, class: FailureClass, cause: &Cause) -> DbResult<()> {
    let message = query_messages!(
        r#"with e as (
            update effects
               set state = 'failed', lease_until = null, settle_after = null, error_code = $4, error_detail = $5,
                   http_status = $6
             where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'
            returning message_id
        ), m as (
            update messages m
               set status = case when status_rank < 45 then 'failed' else status end, status_rank = greatest(status_rank, 45),
                   failure = $7, provider = $8,
                   history = history || jsonb_build_array(jsonb_build_object('status', 'failed', 'at', now()))
              from e where m.tenant_id = $1 and m.id = e.message_id
            returning m.*
        )"#,
        "from m",
        tx.tenant(),
        job.outgoing.effect_id,
        job.epoch,
        cause.code,
        cause.reason,
        cause.http_status.and_then(|status| i16::try_from(status).ok()),
        json!({"class": class.word(), "code": cause.code, "reason": cause.reason}),
        job.account.provider.word(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(message) = message else { return Ok(()) };
    tell(tx, EventKind::MessageFailed, &message, clock::now()).await?;
    if let Some((run, seq)) = job.run {
        let outcome = StepOutcome::NotSent {
            message_id: job.message_id,
            status: "failed",
            code: cause.code.clone(),
            reason: cause.reason.clone(),
        };
        effect_settled(tx, run, seq, &outcome).await?;
    }
    Ok(())
}

/// Another try with the same key, after a wait.
async fn again(tx: &mut TenantTx, job: &Job, asked: Option<Duration>, cause: &Cause) -> DbResult<()> {
    let random = crypto::random_bytes::<8>().map_err(|error| DbError::Defect(error.to_string()))?;
    let wait = backoff(job.attempt, asked, u64::from_le_bytes(random));
    if back(tx, job.outgoing.effect_id, (job.epoch, job.message_id), job.attempt, wait).await? {
        sqlx::query!(
            "update effects set error_code = $3, error_detail = $4, http_status = $5 where tenant_id = $1 and id = $2",
            tx.tenant(),
            job.outgoing.effect_id,
            cause.code,
            cause.reason,
            cause.http_status.and_then(|status| i16::try_from(status).ok()),
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The provider no longer knows the account: everything through it is held, and the administrators hear of it once.
async fn pause_account(tx: &mut TenantTx, job: &Job, cause: &Cause) -> DbResult<()> {
    let Some(connection) = job.connection_id else { return Ok(()) };
    let paused = sqlx::query!(
        "update connections set status = 'paused', status_reason = $3
          where tenant_id = $1 and id = $2 and status = 'active' returning name, version",
        tx.tenant(),
        connection,
        format!("{}: {}", cause.code, cause.reason),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(paused) = paused else { return Ok(()) };
    let notification = NewNotification {
        kind: "connection.paused".to_owned(),
        title: Some(format!("{} was paused", paused.name)),
        body: Some(
            "The provider refused the account. Messages wait until it is mended and resumed.".to_owned(),
        ),
        data: json!({"connectionId": connection}),
        lead_id: None,
        dedupe_key: Some(format!("connection:{connection}:{}", paused.version)),
    };
    notifications::insert_many(tx, &[(Recipients::Role("admin".to_owned()), notification)]).await?;
    Ok(())
}
