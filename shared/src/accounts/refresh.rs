//! The exchange of a refresh token: one conditional update decides who rotates, everybody gets the same successor.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Account, signed_in::query_account};
use crate::{
    auth::{
        Role,
        refresh::{ABSOLUTE_LIFETIME, GRACE, IDLE_LIFETIME, RefreshKeys},
    },
    crypto::OpaqueToken,
    db::{DbResult, RefreshGrant, RefreshMatch, TenantTx},
    private::Private,
};

/// What became of a refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// The successor, which this call or a parallel one made.
    Issued(Account, OpaqueToken),
    /// An old token came back: somebody has a copy. The family has to end.
    Reused,
    /// The session is over.
    Over,
}

/// Rotates the live token, or answers its parent with the successor that was made while that is still in its grace.
///
/// # Errors
/// When the database refuses.
pub async fn rotate(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    keys: &RefreshKeys,
    grant: &RefreshGrant,
    token: &OpaqueToken,
) -> DbResult<Rotation> {
    if !grant.live {
        return Ok(Rotation::Over);
    }
    if grant.matched == RefreshMatch::Current {
        let successor = keys.successor(token);
        if let Some(account) = exchange(tx, now, grant.session_id, token, &successor).await? {
            return Ok(Rotation::Issued(account, successor));
        }
    }
    if grant.matched != RefreshMatch::Spent
        && let Some((account, stored)) = find_in_grace(tx, grant.session_id, token).await?
        && let Some(successor) = keys.issued_successor(token, &stored)
    {
        return Ok(Rotation::Issued(account, successor));
    }
    // A live token that could not be exchanged lost a race against a logout or two rotations: no sign of a copy.
    Ok(if grant.matched == RefreshMatch::Current { Rotation::Over } else { Rotation::Reused })
}

async fn exchange(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    session: Uuid,
    token: &OpaqueToken,
    successor: &OpaqueToken,
) -> DbResult<Option<Account>> {
    let account = query_account!(
        "with s as (
             update sessions
                set previous_hash = refresh_hash, refresh_hash = $4, rotated_at = clock_timestamp(), last_used_at = $5,
                    expires_at = least($6::timestamptz, created_at + make_interval(secs => $7))
              where tenant_id = $1 and id = $2 and refresh_hash = $3 and revoked_at is null
             returning user_id
         )",
        "from s join users u on u.tenant_id = $1 and u.id = s.user_id",
        tx.tenant(),
        session,
        &token.hash()[..],
        &successor.hash()[..],
        now,
        now + IDLE_LIFETIME,
        ABSOLUTE_LIFETIME.as_seconds_f64(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(account)
}

/// The user and the live token's hash, while `parent` may still be answered.
async fn find_in_grace(
    tx: &mut TenantTx,
    session: Uuid,
    parent: &OpaqueToken,
) -> DbResult<Option<(Account, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"select u.id, u.name, u.email, u.image_url, u.role as "role: Role", u.tenant_id, s.refresh_hash
             from sessions s join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
            where s.tenant_id = $1 and s.id = $2 and s.previous_hash = $3 and s.revoked_at is null
              and s.rotated_at >= clock_timestamp() - make_interval(secs => $4)"#,
        tx.tenant(),
        session,
        &parent.hash()[..],
        GRACE.as_seconds_f64(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let account = Account {
            id: row.id,
            name: row.name.into(),
            email: row.email.into(),
            image: row.image_url.map(Private::new),
            role: row.role,
            tenant_id: row.tenant_id,
        };
        (account, row.refresh_hash)
    }))
}
