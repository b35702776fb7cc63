//! What a user signs in with, and how it changes.
//!
//! A new password ends every session, the one that asks included: whoever asked gets a new one with the answer, and an
//! access token from before is refused with its next request. What is open by mail ends as well, see [`super::one_time`].

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Account, NewSession, one_time::close_tokens, signed_in::query_account};
use crate::{
    db::{DbResult, SystemTx, TenantTx},
    ids::TenantId,
    private::{Private, Secret},
};

/// What a user is recognised by.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The business.
    pub tenant: TenantId,
    /// The user.
    pub user: Uuid,
    /// The address.
    pub email: Private<String>,
    /// The name.
    pub name: Private<String>,
    /// The password's hash.
    pub password_hash: Option<Secret>,
    /// Whether a code is asked for as well.
    pub mfa: bool,
}

/// What an active user is recognised by.
///
/// # Errors
/// When the database refuses.
pub async fn find_credentials(tx: &mut TenantTx, user: Uuid) -> DbResult<Option<Credentials>> {
    let row = sqlx::query!(
        r#"select email, name, password_hash, mfa_secret is not null as "mfa!" from users
            where tenant_id = $1 and id = $2 and status = 'active'"#,
        tx.tenant(),
        user,
    )
    .fetch_optional(tx.conn())
    .await?;
    let tenant = TenantId::new(tx.tenant());
    Ok(row.map(|row| Credentials {
        tenant,
        user,
        email: row.email.into(),
        name: row.name.into(),
        password_hash: row.password_hash.map(Secret::new),
        mfa: row.mfa,
    }))
}

/// Sets a password in place of one that was verified, ends all sessions and begins one. `None` when the password was
/// changed meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn change_password(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    user: Uuid,
    (verified, new): (&Secret, &Secret),
    session: &NewSession,
) -> DbResult<Option<Account>> {
    let account = query_account!(
        "with u as (
             update users set password_hash = $4, session_version = session_version + 1
              where tenant_id = $1 and id = $2 and status = 'active' and password_hash = $5
             returning *
         ), ended as (
             update sessions s set revoked_at = now(), revoked_reason = 'password_changed' from u
              where s.tenant_id = $1 and s.user_id = u.id and s.revoked_at is null
         ), session as (
             insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, session_version, authenticated_at,
                                   last_used_at, expires_at, user_agent, ip_hash, created_at, updated_at)
             select u.tenant_id, $6, u.id, $6, $7, u.session_version, $3, $3, $8, $9, $10, $3, $3 from u
         )",
        "from u",
        tx.tenant(),
        user,
        now,
        new.expose(),
        verified.expose(),
        session.id,
        &session.refresh_hash[..],
        session.expires_at,
        session.device.user_agent.as_ref().map(|agent| agent.expose().as_str()),
        &session.device.address_hash[..],
    )
    .fetch_optional(tx.conn())
    .await?;
    if account.is_some() {
        close_tokens(tx, user).await?;
    }
    Ok(account)
}

/// Spends a reset, sets the password, ends all sessions and takes the mail as proof of the address. `None` when the reset
/// was spent meanwhile, the user may not sign in or has another address by now.
///
/// # Errors
/// When the database refuses.
pub async fn reset_password(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    token: Uuid,
    password_hash: &Secret,
) -> DbResult<Option<Account>> {
    // The user's row is locked before the token's: two links of one user, followed at once, wait in one order.
    let account = query_account!(
        "with owner as (
             select u.id, u.email from users u join one_time_tokens o on o.tenant_id = $1 and o.user_id = u.id
              where u.tenant_id = $1 and u.status = 'active' and o.id = $2 and o.kind = 'reset' for update of u
         ), spent as (
             update one_time_tokens o set used_at = $3 from owner
              where o.tenant_id = $1 and o.id = $2 and o.used_at is null and o.expires_at > now()
                and o.payload->>'email' = owner.email
             returning o.user_id
         ), u as (
             update users
                set password_hash = $4, session_version = session_version + 1,
                    email_verified_at = coalesce(email_verified_at, $3)
              where tenant_id = $1 and id in (select user_id from spent)
             returning *
         ), ended as (
             update sessions s set revoked_at = now(), revoked_reason = 'password_reset' from u
              where s.tenant_id = $1 and s.user_id = u.id and s.revoked_at is null
         )",
        "from u",
        tx.tenant(),
        token,
        now,
        password_hash.expose(),
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(account) = &account {
        close_tokens(tx, account.id).await?;
    }
    Ok(account)
}

/// An address that was proved.
#[derive(Clone, Debug)]
pub struct ProvedEmail {
    /// The user.
    pub user: Uuid,
    /// The address from before.
    pub former: Private<String>,
    /// The address that was proved, the user's from now on.
    pub email: Private<String>,
}

/// Spends the proof of an address and makes the address the user's. When it is another one, what is open by mail ends. `None`
/// when the proof was spent meanwhile, the user may not sign in, or the sessions that asked for another address have ended.
///
/// # Errors
/// [`EMAIL_TAKEN`](super::EMAIL_TAKEN) when a colleague has the address by now.
pub async fn prove_email(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    token: Uuid,
) -> DbResult<Option<ProvedEmail>> {
    let row = sqlx::query!(
        r#"with former as (
             select u.id, u.email, u.session_version from users u
               join one_time_tokens o on o.tenant_id = $1 and o.user_id = u.id
              where u.tenant_id = $1 and u.status = 'active' and o.id = $2 and o.kind = 'verify' for update of u
         ), spent as (
             update one_time_tokens o set used_at = $3 from former f
              where o.tenant_id = $1 and o.id = $2 and o.used_at is null and o.expires_at > now()
                and (o.payload->>'email' = f.email or (o.payload->>'sessionVersion')::integer = f.session_version)
             returning o.user_id, o.payload->>'email' as email
         ), u as (
             update users u set email = spent.email, email_verified_at = $3 from spent
              where u.tenant_id = $1 and u.id = spent.user_id
             returning u.id, u.email
         )
         select u.id as "id!", former.email as "former!", u.email as "email!" from u join former on former.id = u.id"#,
        tx.tenant(),
        token,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.former != row.email {
        close_tokens(tx, row.id).await?;
    }
    Ok(Some(ProvedEmail { user: row.id, former: row.former.into(), email: row.email.into() }))
}

/// An account whose password somebody forgot.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    /// The business.
    pub tenant: TenantId,
    /// The user.
    pub user: Uuid,
}

/// The accounts that an address may choose a new password for, at most `most`: first those that have proved the address, since
/// anybody may register a business with anybody's. `tenant` is the id or slug of the one that is meant.
///
/// # Errors
/// When the database refuses.
pub async fn find_forgotten(
    tx: &mut SystemTx,
    email: &str,
    tenant: Option<&str>,
    most: i32,
) -> DbResult<Vec<Forgotten>> {
    // Not the checked macro: it would explain the statement as the owner of the schema, who may not call the function.
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as("select tenant_id, user_id from find_resets($1, $2, $3)")
        .bind(email)
        .bind(tenant)
        .bind(most)
        .fetch_all(tx.conn())
        .await?;
    let found = rows.into_iter().map(|(tenant, user)| Forgotten { tenant: TenantId::new(tenant), user });
    Ok(found.collect())
}

/// Notes that the user has just proved to be the one who signed in.
///
/// # Errors
/// When the database refuses.
pub async fn refresh_proof(tx: &mut TenantTx, now: DateTime<Utc>, session: Uuid) -> DbResult<()> {
    sqlx::query!(
        "update sessions set authenticated_at = $3 where tenant_id = $1 and id = $2",
        tx.tenant(),
        session,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
