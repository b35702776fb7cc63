//! Tokens that travel by mail, or between the two steps of a login, and are good once.
//!
//! An open token is a right that outlives the moment of its making. So whatever ends a user's sessions ends these rights too:
//! whoever knew a password until just now must not keep a link with which the account becomes theirs.

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

/// Keeps the hash of a proof of an address, in place of those that were asked for other addresses. It remembers which sessions
/// were good when this one asked: the proof of another address dies with them. `None` when the session is gone.
///
/// # Errors
/// When the database refuses.
pub async fn issue_proof(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (user, session): (Uuid, Uuid),
    email: &str,
    token: &OpaqueToken,
) -> DbResult<Option<Issued>> {
    let issued = Issued::new(now, TokenUse::Verify);
    // The user before the tokens, as whoever ends them does.
    sqlx::query!("select from users where tenant_id = $1 and id = $2 for key share", tx.tenant(), user)
        .execute(tx.conn())
        .await?;
    // The version is the session's and not the user's: a password that changes at this very moment has raised the user's.
    let done = sqlx::query!(
        "with closed as (
             update one_time_tokens set used_at = now()
              where tenant_id = $1 and user_id = $3 and kind = 'verify' and used_at is null and payload->>'email' <> $6
         )
         insert into one_time_tokens (tenant_id, id, kind, hash, user_id, payload, expires_at)
         select s.tenant_id, $2, 'verify', $5, s.user_id,
                jsonb_build_object('email', $6::text, 'sessionVersion', s.session_version), $7
           from sessions s where s.tenant_id = $1 and s.id = $4 and s.user_id = $3",
        tx.tenant(),
        issued.id,
        user,
        session,
        &token.hash()[..],
        email,
        issued.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok((done.rows_affected() == 1).then_some(issued))
}

/// Ends every open token with which the account could be entered or become somebody else's: resets, half-done logins, proofs of
/// another address. A statement of its own, so that it sees what was committed while the user's row was waited for.
///
/// # Errors
/// When the database refuses.
pub(super) async fn close_tokens(tx: &mut TenantTx, user: Uuid) -> DbResult<()> {
    sqlx::query!(
        "update one_time_tokens o set used_at = now() from users u
          where o.tenant_id = $1 and o.user_id = $2 and o.used_at is null and u.tenant_id = $1 and u.id = $2
            and (o.kind in ('reset', 'mfa') or (o.kind = 'verify' and o.payload->>'email' is distinct from u.email))",
        tx.tenant(),
        user,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends every open invitation of a user.
///
/// # Errors
/// When the database refuses.
pub(super) async fn close_invites(tx: &mut TenantTx, user: Uuid) -> DbResult<()> {
    sqlx::query!(
        "update one_time_tokens set used_at = now()
          where tenant_id = $1 and user_id = $2 and kind = 'invite' and used_at is null",
        tx.tenant(),
        user,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
