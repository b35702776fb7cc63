//! From an e-mail address and a verified password to a session.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Account, Device, Guard, signed_in::query_account};
use crate::{
    db::{DbResult, SystemTx, TenantTx},
    ids::TenantId,
    private::Secret,
};

/// An account that an e-mail address may open, if the password is its own.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The business.
    pub tenant: TenantId,
    /// Its name, for choosing.
    pub tenant_name: String,
    /// Its name in URLs, for choosing.
    pub tenant_slug: String,
    /// The user.
    pub user_id: Uuid,
    /// The stored hash.
    pub password_hash: Secret,
    /// Whether the account knows the network, or its address was proved: whoever has merely named the address is not told of it.
    pub is_theirs: bool,
}

/// A row of `find_candidates`.
#[derive(FromRow)]
struct CandidateRow {
    tenant_id: Uuid,
    user_id: Uuid,
    tenant_name: String,
    tenant_slug: String,
    password_hash: String,
    known: bool,
    proven: bool,
}

/// A session that is about to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id, and that of its family of refresh tokens.
    pub id: Uuid,
    /// SHA-256 of the first refresh token.
    pub refresh_hash: [u8; 32],
    /// When it ends unless it is refreshed.
    pub expires_at: DateTime<Utc>,
    /// From where.
    pub device: Device,
}

/// A password that was verified against a stored hash.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The hash that it was verified against: the session begins only if it is still the user's.
    pub verified: Secret,
    /// A hash of the current kind in its place, if it was of an older one.
    pub rehashed: Option<Secret>,
}

/// Whom this address may open, in the business that is named or in all of them, and whether they know the network: those who do
/// first, then those whose address is proven, then the oldest business.
///
/// # Errors
/// When the database refuses.
pub async fn find_candidates(
    tx: &mut SystemTx,
    guard: &Guard,
    email: &str,
    tenant: Option<&str>,
) -> DbResult<Vec<(Candidate, bool)>> {
    // Not the checked macro: it would explain the statement as the owner of the schema, who may not call the function.
    let rows: Vec<CandidateRow> = sqlx::query_as("select * from find_candidates($1, $2, $3)")
        .bind(email)
        .bind(tenant)
        .bind(guard.networks())
        .fetch_all(tx.conn())
        .await?;
    let candidates = rows.into_iter().map(|row| {
        let candidate = Candidate {
            tenant: TenantId::new(row.tenant_id),
            tenant_name: row.tenant_name,
            tenant_slug: row.tenant_slug,
            user_id: row.user_id,
            password_hash: Secret::new(row.password_hash),
            is_theirs: row.known || row.proven,
        };
        (candidate, row.known)
    });
    Ok(candidates.collect())
}

/// Begins a session and rewrites an old hash, in one statement. `None` when the password was changed or the user disabled
/// since it was verified, or when a second step is asked for.
///
/// # Errors
/// When the database refuses.
pub async fn sign_in(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    user: Uuid,
    proof: &Proof,
    session: &NewSession,
) -> DbResult<Option<Account>> {
    let account = query_account!(
        "with u as (
             update users set last_login_at = $3, password_hash = coalesce($4, password_hash)
              where tenant_id = $1 and id = $2 and status = 'active' and password_hash = $5 and mfa_secret is null
             returning *
         ), session as (
             insert into sessions (tenant_id, id, user_id, family_id, refresh_hash, session_version, authenticated_at,
                                   last_used_at, expires_at, user_agent, ip_hash, created_at, updated_at)
             select u.tenant_id, $6, u.id, $6, $7, u.session_version, $3, $3, $8, $9, $10, $3, $3 from u
         )",
        "from u",
        tx.tenant(),
        user,
        now,
        proof.rehashed.as_ref().map(Secret::expose),
        proof.verified.expose(),
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
