//! Who did what, in a chain that shows tampering.
//!
//! The chain itself – numbers without a gap, each row's hash over the one before – is made by the database when a row
//! is appended. What changed is recorded as hashes, so that erasing a person leaves the chain whole.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    crypto::sha256,
    db::{DbResult, TenantTx},
};

/// Appends one line. `actor_kind` is `user`, `apiKey`, `automation`, `system` or `lead`; `action` is `<object>.<past>`.
///
/// # Errors
/// When the database refuses.
#[expect(clippy::too_many_arguments, reason = "a line has these columns, and every caller knows them all")]
pub async fn append(
    tx: &mut TenantTx,
    actor_kind: &str,
    actor_id: Option<Uuid>,
    action: &str,
    object_kind: &str,
    object_id: Option<&str>,
    before_hash: Option<[u8; 32]>,
    after_hash: Option<[u8; 32]>,
    request_id: Option<&str>,
) -> DbResult<()> {
    sqlx::query!(
        "insert into audit_log (tenant_id, actor_kind, actor_id, action, object_kind, object_id, before, after, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tx.tenant(),
        actor_kind,
        actor_id,
        action,
        object_kind,
        object_id,
        before_hash.map(rendered),
        after_hash.map(rendered),
        request_id,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The hash that stands for a state of an object: SHA-256 of its JSON.
#[must_use]
pub fn state_hash(state: &impl serde::Serialize) -> Option<[u8; 32]> {
    serde_json::to_vec(state).ok().map(|bytes| sha256(&bytes))
}

fn rendered(hash: [u8; 32]) -> Value {
    json!({"sha256": hex::encode(hash)})
}
