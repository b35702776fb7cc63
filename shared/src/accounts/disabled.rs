//! Colleagues who are disabled keep what they have and are given nothing new.

use uuid::Uuid;

use crate::{
    db::{DbResult, TenantTx},
    http::Problem,
};

/// Those of the colleagues who are disabled.
///
/// # Errors
/// When the database refuses.
pub async fn find_disabled(tx: &mut TenantTx, users: &[Uuid]) -> DbResult<Vec<Uuid>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query_scalar!(
        "select id from users where tenant_id = $1 and id = any($2) and status = 'disabled'",
        tx.tenant(),
        users,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

/// What is said of a disabled colleague who is named anew.
#[must_use]
pub fn disabled_user(pointer: &str) -> Problem {
    Problem::invalid(pointer.to_owned(), "disabled_user", "This colleague is disabled.")
}

/// Refuses to name a disabled colleague anew.
///
/// # Errors
/// 422 `disabled_user` at the pointer.
pub async fn refuse_disabled(tx: &mut TenantTx, pointer: &str, named: Option<Uuid>) -> Result<(), Problem> {
    match find_disabled(tx, named.as_slice()).await?.as_slice() {
        [] => Ok(()),
        [..] => Err(disabled_user(pointer)),
    }
}
