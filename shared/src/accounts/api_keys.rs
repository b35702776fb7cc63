//! Keys of programs: a secret one acts with scopes, a site key is public and may only send events and forms.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    auth::Scope,
    crypto::{CryptoError, OpaqueToken, TokenKind},
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind,
    },
    ids::new_id,
    values::Line,
};

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// Kept by a program; acts with scopes.
    Secret,
    /// Published in a website; sends analytics events and forms.
    Site,
}

impl KeyKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Site => "site",
        }
    }

    /// A new token of this kind.
    ///
    /// # Errors
    /// [`CryptoError`] if the operating system has no randomness to give.
    pub fn generate(self) -> Result<OpaqueToken, CryptoError> {
        OpaqueToken::generate(match self {
            Self::Secret => TokenKind::ApiKey,
            Self::Site => TokenKind::SiteKey,
        })
    }
}

/// An API key, without what only its holder has.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The key's id.
    pub id: Uuid,
    /// `secret` or `site`.
    pub kind: String,
    /// What it is for.
    pub name: String,
    /// Its first characters, to tell keys apart.
    pub prefix: String,
    /// What it may do: `<surface>:read`, `<surface>:write`.
    pub scopes: Vec<String>,
    /// Who made it.
    pub created_by: Option<Uuid>,
    /// When it was last used, exact to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A key that was just made: the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedKey {
    /// The whole key. It is not kept: what is lost has to be replaced.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub about: ApiKey,
}

/// A key that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// What it is for.
    pub name: Line,
    /// Secret or site.
    pub kind: KeyKind,
    /// What it may do. A secret key needs at least one, a site key has none.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// When it ends; never when left out.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Check for NewKey {
    fn check(&self, errors: &mut FieldErrors) {
        match self.kind {
            KeyKind::Secret if self.scopes.is_empty() => {
                errors.add(
                    "/scopes",
                    "required",
                    "A secret key needs at least one scope, such as leads:read.",
                );
            }
            KeyKind::Site if !self.scopes.is_empty() => {
                errors.add("/scopes", "not_allowed", "A site key is public and has no scopes.");
            }
            KeyKind::Secret | KeyKind::Site => {}
        }
    }
}

/// What keys can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KeyFilter {
    /// `secret`, `site`.
    pub kind: Vec<String>,
    /// Who made it.
    pub created_by: Vec<Uuid>,
    /// Made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Made before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for KeyFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            kind: params.choices("kind", &["secret", "site"]),
            created_by: params.ids("createdBy"),
            from,
            to,
        }
    }
}

/// One page of the keys that were not revoked.
///
/// # Errors
/// When the database refuses.
pub async fn list_keys(tx: &mut TenantTx, query: &ListQuery<KeyFilter>) -> DbResult<Page<ApiKey>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select k.id, k.kind, k.name, k.prefix, k.scopes, k.created_by, k.last_used_at, k.expires_at, k.created_at
           from api_keys k where k.revoked_at is null and k.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "k.kind", &query.filter.kind);
        push_any(&mut select, "k.created_by", &query.filter.created_by);
        push_range(&mut select, "k.created_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "k", &query.page);
    let rows = select.build_query_as::<ApiKey>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Keeps a key: its hash, its first characters and what it may do.
///
/// # Errors
/// When the database refuses.
pub async fn insert_key(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: &NewKey,
    token: &OpaqueToken,
    created_by: Option<Uuid>,
) -> DbResult<ApiKey> {
    let mut scopes = new.scopes.clone();
    scopes.sort();
    scopes.dedup();
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let key = sqlx::query_as!(
        ApiKey,
        "insert into api_keys (tenant_id, id, kind, name, prefix, hash, scopes, created_by, expires_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         returning id, kind, name, prefix, scopes, created_by, last_used_at, expires_at, created_at",
        tx.tenant(),
        new_id(),
        new.kind.word(),
        new.name.as_str(),
        token.display_prefix(),
        &token.hash()[..],
        &scopes,
        created_by,
        new.expires_at,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(key)
}

/// Ends the keys that a user made, all or those since an instant; the ones that were ended.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_keys_of(
    tx: &mut TenantTx,
    maker: Uuid,
    since: Option<DateTime<Utc>>,
) -> DbResult<Vec<ApiKey>> {
    let keys = sqlx::query_as!(
        ApiKey,
        "update api_keys set revoked_at = now()
          where tenant_id = $1 and created_by = $2 and revoked_at is null and ($3::timestamptz is null or created_at >= $3)
         returning id, kind, name, prefix, scopes, created_by, last_used_at, expires_at, created_at",
        tx.tenant(),
        maker,
        since,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(keys)
}

/// Ends a key; the one that was ended, if it was there and alive.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_key(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<ApiKey>> {
    let key = sqlx::query_as!(
        ApiKey,
        "update api_keys set revoked_at = now() where tenant_id = $1 and id = $2 and revoked_at is null
         returning id, kind, name, prefix, scopes, created_by, last_used_at, expires_at, created_at",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(key)
}
