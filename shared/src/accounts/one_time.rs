//! Tokens that travel by mail, or between the two steps of a login, and are good once.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    crypto::OpaqueToken,
    db::{DbResult, TenantTx, TokenUse},
    ids::new_id,
};

/// A token that is open.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    /// Its id.
    pub id: Uuid,
    /// When it lapses.
    pub expires_at: DateTime<Utc>,
}

impl Issued {
    /// A new one of a kind.
    pub(super) fn new(now: DateTime<Utc>, kind: TokenUse) -> Self {
        Self { id: new_id(), expires_at: now + lifetime(kind) }
    }
}

/// How long each kind is good. A reset opens an account, so it lapses soon; an invitation may be for someone who starts
/// next week.
const fn lifetime(kind: TokenUse) -> TimeDelta {
    match kind {
        TokenUse::Invite => TimeDelta::days(7),
        TokenUse::Verify => TimeDelta::days(1),
        TokenUse::Mfa => TimeDelta::minutes(10),
        TokenUse::Reset | TokenUse::Unsubscribe | TokenUse::Preferences | TokenUse::Invoice => {
            TimeDelta::hours(1)
        }
    }
}

/// Keeps the hash of a user's token.
///
/// # Errors
/// When the database refuses.
pub async fn issue_token(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    kind: TokenUse,
    user: Uuid,
    payload: &Value,
    token: &OpaqueToken,
) -> DbResult<Issued> {
    let issued = Issued::new(now, kind);
    sqlx::query!(
        "insert into one_time_tokens (tenant_id, id, kind, hash, user_id, payload, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        tx.tenant(),
        issued.id,
        kind.word(),
        &token.hash()[..],
        user,
        payload,
        issued.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(issued)
}
