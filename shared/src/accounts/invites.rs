//! Invitations: a token by mail that is good once, for choosing a first password.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Account, Issued, NewSession, one_time::close_invites, one_time::issue_token, signed_in::query_account,
};
use crate::{
    crypto::OpaqueToken,
    db::{DbResult, TenantTx, TokenUse},
    private::Secret,
};

/// Invites again whoever has never chosen a password, with a link in place of every earlier one; somebody who was disabled
/// meanwhile is invited once more. `None` for those who have a password.
///
/// # Errors
/// When the database refuses.
pub async fn renew_invite(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    user: Uuid,
    token: &OpaqueToken,
) -> DbResult<Option<Issued>> {
    let invited = sqlx::query!(
        "update users set status = 'invited'
          where tenant_id = $1 and id = $2 and password_hash is null and status in ('invited', 'disabled')",
        tx.tenant(),
        user,
    )
    .execute(tx.conn())
    .await?;
    if invited.rows_affected() == 0 {
        return Ok(None);
    }
    close_invites(tx, user).await?;
    issue_token(tx, now, TokenUse::Invite, user, &serde_json::json!({}), token).await.map(Some)
}

/// Spends the invitation, sets the password, proves the address and begins a session, in one statement. `None` when the
/// invitation was used meanwhile or the user is not invited any more.
///
/// # Errors
/// When the database refuses.
pub async fn accept_invite(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    token: Uuid,
    password_hash: &Secret,
    session: &NewSession,
) -> DbResult<Option<Account>> {
    // The user's row is locked before the token's, as where an invitation is sent again.
    let account = query_account!(
        "with invited as (
             select u.id from users u join one_time_tokens o on o.tenant_id = $1 and o.user_id = u.id
              where u.tenant_id = $1 and u.status = 'invited' and o.id = $2 and o.kind = 'invite' for update of u
         ), spent as (
             update one_time_tokens o set used_at = $3 from invited
              where o.tenant_id = $1 and o.id = $2 and o.used_at is null and o.expires_at > now()
             returning o.user_id
         ), u as (
             update users
                set password_hash = $4, status = 'active', email_verified_at = $3, last_login_at = $3
              where tenant_id = $1 and id in (select user_id from spent)
             returning *
         ), session as (
             insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, session_version, authenticated_at,
                                   last_used_at, expires_at, user_agent, ip_hash, created_at, updated_at)
             select u.tenant_id, $5, u.id, $5, $6, u.session_version, $3, $3, $7, $8, $9, $3, $3 from u
         )",
        "from u",
        tx.tenant(),
        token,
        now,
        password_hash.expose(),
        session.id,
        &session.refresh_hash[..],
        session.expires_at,
        session.device.user_agent.as_ref().map(|agent| agent.expose().as_str()),
        &session.device.address_hash[..],
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(account)
}
