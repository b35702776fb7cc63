//! Sessions: what a user sees of them, and how they end. An ended one is refused with the next request.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Account, one_time::close_tokens};
use crate::{
    auth::Role,
    db::{
        DbResult, TenantTx,
        keyset::{push_page, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    private::Private,
};

/// A signed-in device.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session.
    pub id: Uuid,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the client says it is.
    pub user_agent: Option<Private<String>>,
    /// When the user signed in.
    pub created_at: DateTime<Utc>,
    /// When its tokens were last renewed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends unless it is renewed.
    pub expires_at: DateTime<Utc>,
}

/// Sessions have no filters of their own.
#[derive(Clone, Copy, Debug, Default, IntoParams)]
pub struct SessionFilter {}

impl FromQuery for SessionFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(_: &mut Params) -> Self {
        Self {}
    }
}

/// One page of a user's live sessions.
///
/// # Errors
/// When the database refuses.
pub async fn list_sessions(
    tx: &mut TenantTx,
    user: Uuid,
    current: Uuid,
    query: &ListQuery<SessionFilter>,
) -> DbResult<Page<Session>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select s.id, s.id = ");
        select.push_bind(current).push(
            " as current, s.user_agent, s.created_at, s.last_used_at, s.expires_at
               from sessions s join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
              where s.revoked_at is null and s.expires_at > now() and s.session_version = u.session_version
                and s.tenant_id = ",
        );
        select.push_bind(tenant).push(" and s.user_id = ").push_bind(user);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<Session>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Whose session it is, and when it ends unless it is renewed.
///
/// # Errors
/// When the database refuses.
pub async fn find_session_account(
    tx: &mut TenantTx,
    session: Uuid,
) -> DbResult<Option<(Account, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"select u.id, u.name, u.email, u.image_url, u.role as "role: Role", u.tenant_id, s.expires_at
             from sessions s join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
            where s.tenant_id = $1 and s.id = $2"#,
        tx.tenant(),
        session,
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
        (account, row.expires_at)
    }))
}

/// Ends one session of a user; whether it was there and alive.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_session(tx: &mut TenantTx, user: Uuid, session: Uuid, reason: &str) -> DbResult<bool> {
    let done = sqlx::query!(
        "update sessions set revoked_at = now(), revoked_reason = $4
          where tenant_id = $1 and user_id = $2 and id = $3 and revoked_at is null",
        tx.tenant(),
        user,
        session,
        reason,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends every session that descends from the same login as this one; returns whose they were, if any was still alive.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_family(tx: &mut TenantTx, session: Uuid, reason: &str) -> DbResult<Option<Uuid>> {
    let user = sqlx::query_scalar!(
        "update sessions set revoked_at = now(), revoked_reason = $3
          where tenant_id = $1 and revoked_at is null
            and family_id = (select family_id from sessions where tenant_id = $1 and id = $2)
         returning user_id",
        tx.tenant(),
        session,
        reason,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user)
}

/// Ends all sessions of a user, those included whose making has not been committed yet, since they carry the old version; and what
/// is open by mail. For good: nothing brings them back.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_all_sessions(tx: &mut TenantTx, user: Uuid, reason: &str) -> DbResult<()> {
    sqlx::query!(
        "with raised as (
             update users set session_version = session_version + 1 where tenant_id = $1 and id = $2
         )
         update sessions set revoked_at = now(), revoked_reason = $3
          where tenant_id = $1 and user_id = $2 and revoked_at is null",
        tx.tenant(),
        user,
        reason,
    )
    .execute(tx.conn())
    .await?;
    close_tokens(tx, user).await
}
