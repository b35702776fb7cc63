//! What providers report about messages of ours.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Channel, Status,
    model::query_messages,
    suppress::{Reason, suppress},
};
use crate::{
    automations::settled::{Outcome, effect_settled},
    crypto::AddressHasher,
    db::{DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
};

/// A report about one message.
#[derive(Clone, Debug)]
pub struct StatusUpdate {
    /// The provider's word.
    pub provider: &'static str,
    /// The provider's id of the message.
    pub provider_ref: String,
    /// The effect that sent it, where the provider gives back what we sent along: finds a message whose answer was lost.
    pub effect_id: Option<Uuid>,
    /// How far it is.
    pub status: Status,
    /// When, by the provider's clock.
    pub at: DateTime<Utc>,
    /// The provider's code of a failure.
    pub code: Option<String>,
    /// The provider's words about a failure.
    pub reason: Option<String>,
    /// Whether the address will never work.
    pub permanent: bool,
}

/// Notes a report. The status only rises; the history keeps every report. Answers the message, if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn apply_status(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    update: StatusUpdate,
) -> DbResult<Option<Uuid>> {
    let Some(target) = lock(tx, &update).await? else { return Ok(None) };
    let advances = update.status.rank() > target.status_rank;
    let failure = is_failure(update.status).then(|| failure(&update));
    let message = query_messages!(
        r#"with m as (
            update messages
               set history = history || jsonb_build_array(jsonb_build_object('status', $3::text, 'at', $4::timestamptz)),
                   status = case when $5 then $3 else status end,
                   status_rank = case when $5 then $6 else status_rank end,
                   provider_ref = coalesce(provider_ref, $7), provider = coalesce(provider, $8),
                   sent_at = case when $6 >= 30 then coalesce(sent_at, $4) else sent_at end,
                   delivered_at = case when $3 in ('delivered', 'read') then coalesce(delivered_at, $4) else delivered_at end,
                   read_at = case when $3 = 'read' then coalesce(read_at, $4) else read_at end,
                   failure = case when $5 then $9 else failure end
             where tenant_id = $1 and id = $2
            returning *
        )"#,
        "from m",
        tx.tenant(),
        target.id,
        update.status.word(),
        update.at,
        advances,
        update.status.rank(),
        update.provider_ref,
        update.provider,
        failure,
    )
    .fetch_one(tx.conn())
    .await?;
    settle_unknown(tx, &update, target.id).await?;
    if is_failure(update.status)
        && update.permanent
        && let (Some(channel), Some(to)) = (Channel::parse(&message.channel), &message.to)
    {
        suppress(tx, hasher, now, (channel, to.expose()), Reason::Bounce).await?;
    }
    if let (true, Some(kind)) = (advances, told(update.status)) {
        tell(tx, kind, &message, update.at).await?;
    }
    Ok(Some(target.id))
}

/// Tells an event about a message's new status; telling the same status twice is one event.
pub(super) async fn tell(
    tx: &mut TenantTx,
    kind: EventKind,
    message: &super::Message,
    at: DateTime<Utc>,
) -> DbResult<()> {
    let depth = match message.run_id {
        // Without the run's depth two automations could answer each other for ever.
        Some(run) => sqlx::query_scalar!(
            "select depth from automation_runs where tenant_id = $1 and id = $2",
            tx.tenant(),
            run
        )
        .fetch_optional(tx.conn())
        .await?
        .unwrap_or_default(),
        None => 0,
    };
    let event = NewEvent {
        kind,
        subject_id: message.id,
        lead_id: Some(message.lead_id),
        payload: serde_json::to_value(message).unwrap_or_default(),
        previous: None,
        source: "message",
        dedupe_key: format!("{}:{}", message.id, message.status),
        cause: Cause { run_id: message.run_id, depth },
        occurred_at: at,
    };
    emit(tx, &[event]).await
}

struct Target {
    id: Uuid,
    status_rank: i16,
}

async fn lock(tx: &mut TenantTx, update: &StatusUpdate) -> DbResult<Option<Target>> {
    let target = sqlx::query_as!(
        Target,
        "select id, status_rank from messages
          where tenant_id = $1 and direction = 'outbound'
            and id = coalesce(
                (select id from messages where tenant_id = $1 and provider = $2 and provider_ref = $3),
                (select message_id from effects where tenant_id = $1 and id = $4))
          for update",
        tx.tenant(),
        update.provider,
        update.provider_ref,
        update.effect_id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(target)
}

/// A report about a send whose answer was lost says what became of it.
async fn settle_unknown(tx: &mut TenantTx, update: &StatusUpdate, message_id: Uuid) -> DbResult<()> {
    let settled = sqlx::query!(
        "update effects set state = 'accepted', provider_ref = coalesce(provider_ref, $3), resolved_at = now(),
                            settle_after = null, error_code = null, error_detail = null
          where tenant_id = $1 and message_id = $2 and state = 'unknown'
         returning run_id, run_seq",
        tx.tenant(),
        message_id,
        update.provider_ref,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some((run, seq)) = settled.and_then(|row| row.run_id.zip(row.run_seq)) {
        effect_settled(tx, run, seq, &Outcome::Sent { message_id }).await?;
    }
    Ok(())
}

const fn is_failure(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Undelivered)
}

const fn told(status: Status) -> Option<EventKind> {
    match status {
        Status::Delivered => Some(EventKind::MessageDelivered),
        Status::Failed | Status::Undelivered => Some(EventKind::MessageFailed),
        _ => None,
    }
}

fn failure(update: &StatusUpdate) -> Value {
    json!({
        "class": if update.permanent { "permanent" } else { "transient" },
        "code": update.code.as_deref().unwrap_or("undelivered"),
        "reason": update.reason.as_deref().unwrap_or("The provider could not deliver the message."),
    })
}
