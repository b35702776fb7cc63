//! The right of a caller, held while something is made that outlasts it.
//!
//! A request's caller is known from its first statement on. Whoever disables or demotes somebody at that moment waits here
//! for what is being made, and finds it; and what was taken away while this waited is gone.

use uuid::Uuid;

use crate::{
    auth::Role,
    db::{DbResult, TenantTx},
};

/// Holds a user until the transaction ends: the role as it is now, `None` when the user or the session is no more.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn hold_user(tx: &mut TenantTx, user: Uuid, session: Uuid) -> DbResult<Option<Role>> {
    let role = sqlx::query_scalar!(
        r#"select u.role as "role: Role" from users u
             join sessions s on s.tenant_id = u.tenant_id and s.user_id = u.id and s.id = $3
            where u.tenant_id = $1 and u.id = $2 and u.status = 'active' and s.revoked_at is null
              and s.session_version = u.session_version
              for no key update of u"#,
        tx.tenant(),
        user,
        session,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(role)
}

/// Holds an API key until the transaction ends; whether it is still one.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn hold_key(tx: &mut TenantTx, key: Uuid) -> DbResult<bool> {
    let held = sqlx::query_scalar!(
        "select id from api_keys where tenant_id = $1 and id = $2 and revoked_at is null
            and (expires_at is null or expires_at > now()) for no key update",
        tx.tenant(),
        key,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}
