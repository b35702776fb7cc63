//! The second step of a login: a code of an app, or a recovery code.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Account, Issued, NewSession, Proof, signed_in::query_account};
use crate::{
    auth::totp,
    crypto::{OpaqueToken, Purpose, SecretBoxKeys},
    db::{DbError, DbResult, TenantTx, TokenUse},
    private::Secret,
};

/// What became of a first code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Logins ask for a code from now on.
    Active,
    /// The code was wrong.
    Wrong,
    /// Nothing waits for a first code.
    NothingPending,
}

/// Keeps a seed until its first code shows that an app has it. False when a second step is active already.
///
/// # Errors
/// When the database refuses.
pub async fn begin_mfa(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    user: Uuid,
    seed: &[u8],
    recovery: &[Secret],
) -> DbResult<bool> {
    let sealed = keys
        .seal(tx.tenant(), Purpose::MfaSecret, seed)
        .map_err(|error| DbError::Defect(error.to_string()))?;
    let hashes = recovery_hashes(recovery);
    let begun = sqlx::query!(
        "update users set mfa_pending_secret = $3, recovery_hashes = $4
          where tenant_id = $1 and id = $2 and mfa_secret is null",
        tx.tenant(),
        user,
        sealed,
        &hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(begun.rows_affected() == 1)
}

fn recovery_hashes(codes: &[Secret]) -> Vec<Vec<u8>> {
    codes.iter().filter_map(|code| totp::recovery_hash(code.expose())).map(|hash| hash.to_vec()).collect()
}

/// Puts other recovery codes in place of those that a user has; false without a second step.
///
/// # Errors
/// When the database refuses.
pub async fn renew_recovery_codes(tx: &mut TenantTx, user: Uuid, codes: &[Secret]) -> DbResult<bool> {
    let renewed = sqlx::query!(
        "update users set recovery_hashes = $3 where tenant_id = $1 and id = $2 and mfa_secret is not null",
        tx.tenant(),
        user,
        &recovery_hashes(codes),
    )
    .execute(tx.conn())
    .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Takes the first code of a pending seed, which makes it the one that logins ask for.
///
/// # Errors
/// When the database refuses, or the seed does not open.
pub async fn confirm_mfa(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    now: DateTime<Utc>,
    user: Uuid,
    code: &Secret,
) -> DbResult<Confirmation> {
    let pending = sqlx::query_scalar!(
        "select mfa_pending_secret from users where tenant_id = $1 and id = $2 for update",
        tx.tenant(),
        user,
    )
    .fetch_optional(tx.conn())
    .await?
    .flatten();
    let Some(sealed) = pending else { return Ok(Confirmation::NothingPending) };
    let seed = keys
        .open(tx.tenant(), Purpose::MfaSecret, &sealed)
        .map_err(|error| DbError::Defect(error.to_string()))?;
    let Some(step) = totp::matching_step(&seed, code.expose(), now, None) else {
        return Ok(Confirmation::Wrong);
    };
    sqlx::query!(
        "update users set mfa_secret = mfa_pending_secret, mfa_pending_secret = null, mfa_last_step = $3
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        user,
        step,
    )
    .execute(tx.conn())
    .await?;
    Ok(Confirmation::Active)
}

/// Takes a code of the app or a recovery code; whether it was good. Either works once.
///
/// # Errors
/// When the database refuses, or the seed does not open.
pub async fn spend_code(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    now: DateTime<Utc>,
    user: Uuid,
    code: &Secret,
) -> DbResult<bool> {
    // Two requests with one code come one after the other, so that the second finds the step spent.
    let row = sqlx::query!(
        "select mfa_secret, mfa_last_step from users where tenant_id = $1 and id = $2 for update",
        tx.tenant(),
        user,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some((sealed, last)) = row.and_then(|row| Some((row.mfa_secret?, row.mfa_last_step))) else {
        return Ok(false);
    };
    let seed = keys
        .open(tx.tenant(), Purpose::MfaSecret, &sealed)
        .map_err(|error| DbError::Defect(error.to_string()))?;
    let step = totp::matching_step(&seed, code.expose(), now, last);
    let recovery = totp::recovery_hash(code.expose()).map(|hash| hash.to_vec());
    if step.is_none() && recovery.is_none() {
        return Ok(false);
    }
    let spent = sqlx::query!(
        "update users
            set mfa_last_step = coalesce($3, mfa_last_step), recovery_hashes = array_remove(recovery_hashes, $4)
          where tenant_id = $1 and id = $2 and ($3::bigint is not null or $4 = any (recovery_hashes))",
        tx.tenant(),
        user,
        step,
        recovery,
    )
    .execute(tx.conn())
    .await?;
    Ok(spent.rows_affected() == 1)
}

/// Ends the second step; whether there was one.
///
/// # Errors
/// When the database refuses.
pub async fn remove_mfa(tx: &mut TenantTx, user: Uuid) -> DbResult<bool> {
    let removed = sqlx::query!(
        "update users
            set mfa_secret = null, mfa_pending_secret = null, mfa_last_step = null, recovery_hashes = '{}'
          where tenant_id = $1 and id = $2 and mfa_secret is not null",
        tx.tenant(),
        user,
    )
    .execute(tx.conn())
    .await?;
    Ok(removed.rows_affected() == 1)
}

/// Opens the second step for a user whose password was verified. `None` when none is asked for, or the password was
/// changed since.
///
/// # Errors
/// When the database refuses.
pub async fn open_challenge(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    user: Uuid,
    proof: &Proof,
    token: &OpaqueToken,
) -> DbResult<Option<Issued>> {
    let issued = Issued::new(now, TokenUse::Mfa);
    let opened = sqlx::query!(
        "with u as (
             update users set password_hash = coalesce($4, password_hash)
              where tenant_id = $1 and id = $2 and status = 'active' and password_hash = $3 and mfa_secret is not null
             returning tenant_id, id
         )
         insert into one_time_tokens (tenant_id, id, kind, hash, user_id, expires_at)
         select u.tenant_id, $5, 'mfa', $6, u.id, $7 from u",
        tx.tenant(),
        user,
        proof.verified.expose(),
        proof.rehashed.as_ref().map(Secret::expose),
        issued.id,
        &token.hash()[..],
        issued.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok((opened.rows_affected() == 1).then_some(issued))
}

/// Spends the second step and begins the session. `None` when it was spent meanwhile or the user may not sign in.
///
/// # Errors
/// When the database refuses.
pub async fn enter_by_challenge(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    token: Uuid,
    session: &NewSession,
) -> DbResult<Option<Account>> {
    let account = query_account!(
        "with spent as (
             update one_time_tokens set used_at = $3
              where tenant_id = $1 and id = $2 and kind = 'mfa' and used_at is null and expires_at > now()
             returning user_id
         ), u as (
             update users set last_login_at = $3
              where tenant_id = $1 and id in (select user_id from spent) and status = 'active'
             returning *
         ), session as (
             insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, session_version, authenticated_at,
                                   last_used_at, expires_at, user_agent, ip_hash, created_at, updated_at)
             select u.tenant_id, $4, u.id, $4, $5, u.session_version, $3, $3, $6, $7, $8, $3, $3 from u
         )",
        "from u",
        tx.tenant(),
        token,
        now,
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
