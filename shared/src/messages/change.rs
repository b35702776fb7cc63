//! Changing a message that has not left: another time, or not at all.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Message, model::query_messages};
use crate::{
    automations::settled::{Outcome, effect_settled},
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// Calls a message back. `None` when it is on its way already, or was never to leave.
///
/// # Errors
/// When the database refuses.
pub async fn cancel(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid) -> DbResult<Option<Message>> {
    let message = query_messages!(
        r#"with e as (
            update effects set state = 'suppressed', error_code = 'canceled'
             where tenant_id = $1 and message_id = $2 and state = 'planned'
            returning message_id
        ), m as (
            update messages m
               set status = 'canceled', status_rank = 60,
                   history = m.history || jsonb_build_array(jsonb_build_object('status', 'canceled', 'at', $3::timestamptz))
              from e where m.tenant_id = $1 and m.id = e.message_id
            returning m.*
        )"#,
        "from m",
        tx.tenant(),
        id,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(message) = message else { return Ok(None) };
    let step = sqlx::query!(
        "select run_id, run_seq from effects where tenant_id = $1 and message_id = $2",
        tx.tenant(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some((run, seq)) = step.and_then(|row| row.run_id.zip(row.run_seq)) {
        let outcome = Outcome::NotSent {
            message_id: id,
            status: "canceled",
            code: "canceled".to_owned(),
            reason: "It was called back before it was sent.".to_owned(),
        };
        effect_settled(tx, run, seq, &outcome).await?;
    }
    Ok(Some(message))
}

/// Gives a waiting message another time. `None` when it is on its way already.
///
/// # Errors
/// When the database refuses.
pub async fn reschedule(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    send_at: DateTime<Utc>,
) -> DbResult<Option<Message>> {
    let message = query_messages!(
        r#"with e as (
            update effects set next_attempt_at = $4
             where tenant_id = $1 and message_id = $2 and state = 'planned' and attempt = 0
            returning message_id
        ), m as (
            update messages m
               set status = 'scheduled', status_rank = 0, send_at = $4,
                   history = m.history || jsonb_build_array(jsonb_build_object('status', 'scheduled', 'at', $3::timestamptz))
              from e where m.tenant_id = $1 and m.id = e.message_id
            returning m.*
        )"#,
        "from m",
        tx.tenant(),
        id,
        now,
        send_at,
    )
    .fetch_optional(tx.conn())
    .await?;
    if message.is_some() {
        let effect = sqlx::query_scalar!(
            "select id from effects where tenant_id = $1 and message_id = $2",
            tx.tenant(),
            id
        )
        .fetch_one(tx.conn())
        .await?;
        let (tenant, wait) = (tx.tenant_id(), (send_at - now).to_std().unwrap_or_default());
        if let Some(hint) = Hint::now(tenant, HintKind::Effect, effect).after(wait) {
            tx.hint(hint);
        }
    }
    Ok(message)
}

/// Notes that a colleague decided about a message whose answer was lost, by sending it again.
///
/// # Errors
/// When the database refuses.
pub async fn resolve_unknown(tx: &mut TenantTx, id: Uuid, by: Option<Uuid>) -> DbResult<()> {
    sqlx::query!(
        "update effects set state = 'not_sent', settle_after = null, resolved_by = $3, resolved_at = now()
          where tenant_id = $1 and message_id = $2 and state = 'unknown'",
        tx.tenant(),
        id,
        by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
