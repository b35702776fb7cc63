//! Colleagues: who works in a business, with which role.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{one_time::close_invites, sessions::revoke_all_sessions};
use crate::{
    auth::{RecordScope, Role},
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField,
        SortKind,
    },
    private::{Private, Secret},
    values::{Email, Line},
};

/// The constraint that says: a colleague has this address already.
pub const EMAIL_TAKEN: &str = "users_tenant_id_email_key";
/// The constraint that says: whoever is active has chosen a password.
pub const PASSWORD_MISSING: &str = "users_password_hash_check";

/// A colleague.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user.
    pub id: Uuid,
    /// Name.
    pub name: Private<String>,
    /// The address that the user signs in with, lower case.
    pub email: Private<String>,
    /// A picture.
    pub image: Option<Private<String>>,
    /// What the user may do.
    pub role: Role,
    /// Whose records the user sees.
    pub record_scope: RecordScope,
    /// Colleagues with the same word are a team.
    pub team: Option<String>,
    /// `active`, `invited` or `disabled`.
    pub status: String,
    /// The user's own zone; none means the business's.
    pub timezone: Option<String>,
    /// The user's own language; none means the business's.
    pub locale: Option<String>,
    /// Whether a login asks for a code as well.
    pub mfa_active: bool,
    /// When the address was proved.
    pub email_verified_at: Option<DateTime<Utc>>,
    /// When the user last signed in.
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the user came.
    pub created_at: DateTime<Utc>,
    /// When the row last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// Selects users from a row that is called `u`, with the checked macro.
macro_rules! query_users {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::accounts::User,
            $head + r#" select u.id as "id!", u.name as "name!: _", u.email as "email!: _", u.image_url as "image: _",
                               u.role as "role!: _", u.record_scope as "record_scope!: _", u.team, u.status as "status!",
                               u.timezone, u.locale, u.mfa_secret is not null as "mfa_active!", u.email_verified_at,
                               u.last_login_at, u.created_at as "created_at!",
                               u.updated_at as "updated_at!", u.version as "version!" "# + $tail
            $(, $argument)*
        )
    };
}

pub(super) use query_users;

/// The row as [`User`] reads it. The same columns as above, where the checked macro holds them against the schema.
const COLUMNS: &str =
    "u.id, u.name, u.email, u.image_url as image, u.role, u.record_scope, u.team, u.status, u.timezone,
    u.locale, u.mfa_secret is not null as mfa_active, u.email_verified_at, u.last_login_at, u.created_at, u.updated_at, u.version";

/// A colleague who is about to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// Name.
    pub name: Line,
    /// The address to sign in with.
    pub email: Email,
    /// What the user may do.
    pub role: Role,
    /// A first password; without one the user is invited to choose it.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Whose records the user sees; all when left out.
    #[serde(default)]
    pub record_scope: Option<RecordScope>,
    /// Colleagues with the same word are a team.
    #[serde(default)]
    pub team: Option<Line>,
}

impl Check for NewUser {}

/// Whether a user may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum UserStatus {
    /// Yes.
    Active,
    /// No; sessions and open links end for good.
    Disabled,
}

impl UserStatus {
    const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// What an administrator changes about a colleague.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    /// Name.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub name: Patch<Line>,
    /// Role.
    #[serde(default)]
    #[schema(value_type = Option<Role>)]
    pub role: Patch<Role>,
    /// Whose records the user sees.
    #[serde(default)]
    #[schema(value_type = Option<RecordScope>)]
    pub record_scope: Patch<RecordScope>,
    /// Team.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub team: Patch<Line>,
    /// Whether the user may sign in.
    #[serde(default)]
    #[schema(value_type = Option<UserStatus>)]
    pub status: Patch<UserStatus>,
}

impl Check for UserPatch {
    fn check(&self, errors: &mut FieldErrors) {
        let cleared = [
            ("/name", matches!(self.name, Patch::Clear)),
            ("/role", matches!(self.role, Patch::Clear)),
            ("/recordScope", matches!(self.record_scope, Patch::Clear)),
            ("/status", matches!(self.status, Patch::Clear)),
        ];
        for (pointer, _) in cleared.iter().filter(|(_, cleared)| *cleared) {
            errors.add(*pointer, "required", "A user always has this; leave the field out to keep it.");
        }
    }
}

/// What colleagues can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Roles.
    pub role: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
    /// Fragment of name or address.
    pub search: Option<String>,
}

impl FromQuery for UserFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "name", column: "name", kind: SortKind::Text },
    ];

    fn read(params: &mut Params) -> Self {
        let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        Self {
            role: params.choices("role", &roles),
            status: params.choices("status", &["active", "invited", "disabled"]),
            search: params.text("search"),
        }
    }
}

/// One page of colleagues. A business has few: the fragment is looked for in each row.
///
/// # Errors
/// When the database refuses.
pub async fn list_users(tx: &mut TenantTx, query: &ListQuery<UserFilter>) -> DbResult<Page<User>> {
    let mut select = QueryBuilder::new(format!("select {COLUMNS} from users u"));
    push_filter(&mut select, tx.tenant(), &query.filter);
    push_page(&mut select, "u", &query.page);
    let rows = select.build_query_as::<User>().fetch_all(tx.conn()).await?;
    let by_name = query.page.sort.word == "name";
    let mut page = query.page.page(rows, |row| {
        let value = if by_name {
            KeysetValue::Text(row.name.expose().clone())
        } else {
            KeysetValue::Time(row.created_at)
        };
        Keyset { value, id: row.id }
    });
    if query.page.include_total {
        let mut count = QueryBuilder::new("select count(*) from users u");
        push_filter(&mut count, tx.tenant(), &query.filter);
        page.total = Some(count.build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

fn push_filter(query: &mut QueryBuilder<'_, sqlx::Postgres>, tenant: Uuid, filter: &UserFilter) {
    query.push(" where u.tenant_id = ").push_bind(tenant);
    push_any(query, "u.role", &filter.role);
    push_any(query, "u.status", &filter.status);
    if let Some(text) = &filter.search {
        query
            .push(" and strpos(lower(u.name || ' ' || u.email), lower(")
            .push_bind(text.clone())
            .push(")) > 0");
    }
}

/// One colleague.
///
/// # Errors
/// When the database refuses.
pub async fn find_user(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<User>> {
    let user = query_users!("", "from users u where u.tenant_id = $1 and u.id = $2", tx.tenant(), id)
        .fetch_optional(tx.conn())
        .await?;
    Ok(user)
}

/// One colleague and how many active owners there are, all locked: two owners who demote each other at once do it one
/// after the other.
///
/// # Errors
/// When the database refuses.
pub async fn lock_user_and_owners(tx: &mut TenantTx, id: Uuid) -> DbResult<(Option<User>, usize)> {
    let mut rows = query_users!(
        "",
        "from users u
          where u.tenant_id = $1 and (u.id = $2 or (u.role = 'owner' and u.status = 'active'))
          order by u.id for update",
        tx.tenant(),
        id,
    )
    .fetch_all(tx.conn())
    .await?;
    let owners = rows.iter().filter(|row| row.role == Role::Owner && row.status == "active").count();
    let place = rows.iter().position(|row| row.id == id);
    Ok((place.map(|place| rows.swap_remove(place)), owners))
}

/// Adds a colleague: active with a hashed password, invited without one.
///
/// # Errors
/// [`EMAIL_TAKEN`] when a colleague has the address.
pub async fn insert_user(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    new: &NewUser,
    password_hash: Option<&Secret>,
) -> DbResult<User> {
    let user = query_users!(
        "with u as (
             insert into users (tenant_id, id, email, name, password_hash, role, record_scope, team, status, created_at,
                                updated_at)
             values ($1, $2, $3, $4, $5, $6, coalesce($7, 'all'), $8,
                     case when $5::text is null then 'invited' else 'active' end, $9, $9)
             returning *
         )",
        "from u",
        tx.tenant(),
        id,
        new.email.as_str(),
        new.name.as_str(),
        password_hash.map(Secret::expose),
        new.role.as_str(),
        new.record_scope.map(RecordScope::as_str),
        new.team.as_ref().map(Line::as_str),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(user)
}

/// Changes a colleague. Disabling ends sessions and open links for good: enabling brings none of them back.
///
/// # Errors
/// [`PASSWORD_MISSING`] when somebody who has never chosen a password is to be active.
pub async fn update_user(tx: &mut TenantTx, id: Uuid, patch: &UserPatch) -> DbResult<Option<User>> {
    if patch.status == Patch::Set(UserStatus::Disabled) {
        revoke_all_sessions(tx, id, "disabled").await?;
        close_invites(tx, id).await?;
    }
    let (sets_team, team) = patch.team.clone().into_parts();
    let user = query_users!(
        "with u as (
             update users
                set name = coalesce($3, name), role = coalesce($4, role), record_scope = coalesce($5, record_scope),
                    team = case when $6 then $7 else team end, status = coalesce($8, status)
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from u",
        tx.tenant(),
        id,
        patch.name.as_set().map(Line::as_str),
        patch.role.as_set().map(|role| role.as_str()),
        patch.record_scope.as_set().map(|scope| scope.as_str()),
        sets_team,
        team.map(Line::into_string),
        patch.status.as_set().map(|status| status.word()),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(user)
}

/// Removes a colleague. What they owned belongs to nobody then; what they did stays in the logs under their id.
///
/// # Errors
/// When the database refuses.
pub async fn delete_user(tx: &mut TenantTx, id: Uuid) -> DbResult<bool> {
    let deleted = sqlx::query!("delete from users where tenant_id = $1 and id = $2", tx.tenant(), id)
        .execute(tx.conn())
        .await?;
    Ok(deleted.rows_affected() == 1)
}
