//! What a run learns when an effect that it waited for is settled.

use serde_json::json;
use uuid::Uuid;

use crate::{
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// How the effect of a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took the message, or a person said that it did.
    Sent {
        /// The message.
        message_id: Uuid,
    },
    /// It will not be sent; `status` is the message's (failed, canceled, blocked).
    NotSent {
        /// The message.
        message_id: Uuid,
        /// Where the message ended.
        status: &'static str,
        /// Stable word.
        code: String,
        /// For people.
        reason: String,
    },
}

/// Completes or fails the step that owed the effect, and wakes its run if it waits for that.
///
/// A step that is no longer waiting, and a run that waits for something else, are left as they are.
///
/// # Errors
/// When the database refuses.
pub async fn effect_settled(tx: &mut TenantTx, run_id: Uuid, seq: i32, outcome: &Outcome) -> DbResult<()> {
    let (status, output, code, reason) = match outcome {
        Outcome::Sent { message_id } => {
            ("completed", json!({"messageId": message_id, "status": "sent"}), None, None)
        }
        Outcome::NotSent { message_id, status, code, reason } => {
            // Called back or forbidden is an answer; only an error is a failure of the step.
            let step = if *status == "failed" { "failed" } else { "completed" };
            (
                step,
                json!({"messageId": message_id, "status": status}),
                Some(code.as_str()),
                Some(reason.as_str()),
            )
        }
    };
    let woken = sqlx::query_scalar!(
        "with step as (
             update automation_run_steps
                set status = $4, output = $5, error_code = $6, error_message = $7, ended_at = now()
              where tenant_id = $1 and run_id = $2 and seq = $3 and status in ('pending', 'running', 'waiting')
             returning run_id
         )
         update automation_runs set status = 'queued', wake_at = now()
          where tenant_id = $1 and id in (select run_id from step) and status = 'waiting' and wake_kind = 'effect'
         returning id",
        tx.tenant(),
        run_id,
        seq,
        status,
        output,
        code,
        reason,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(run) = woken {
        let tenant = tx.tenant_id();
        tx.hint(Hint::now(tenant, HintKind::Run, run));
    }
    Ok(())
}
