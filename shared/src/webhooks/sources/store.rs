//! The rows of sources.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{MadeSecret, SourceSettings};
use crate::{
    crypto::OpaqueToken,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField,
        SortKind,
    },
    ids::new_id,
    private::Secret,
    values::Line,
    webhooks::Provider,
};

/// For how long the former secret is accepted after a rotation, unless said otherwise.
const OVERLAP_SECONDS: u32 = 24 * 3600;
const MAX_OVERLAP_SECONDS: u32 = 30 * 24 * 3600;

/// A place where a provider may post. Token and secret are shown once, when they are made.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The source.
    pub id: Uuid,
    /// Who posts there.
    pub provider: String,
    /// What colleagues call it.
    pub name: String,
    /// `active` or `disabled`; a disabled one answers like one that does not exist.
    pub status: String,
    /// The beginning of the token, to tell sources apart.
    pub token_prefix: String,
    /// What is known about the sender.
    #[schema(value_type = SourceSettings)]
    pub settings: Value,
    /// Until when the former secret is accepted as well.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When something genuine last arrived.
    pub last_received_at: Option<DateTime<Utc>>,
    /// When the source was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// A source that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSource {
    /// Who will post there.
    #[schema(value_type = String)]
    pub provider: Provider,
    /// What colleagues call it.
    pub name: Line,
    /// The signing secret, when the vendor made it; otherwise one is made here.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// What is known about the sender.
    #[serde(default)]
    pub settings: SourceSettings,
}

impl Check for NewSource {
    fn check(&self, errors: &mut FieldErrors) {
        self.settings.check(errors);
    }
}

/// Changes of a source.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourcePatch {
    /// What colleagues call it.
    #[serde(default)]
    pub name: Option<Line>,
    /// `active` or `disabled`.
    #[serde(default)]
    pub status: Option<SourceStatus>,
    /// What is known about the sender; replaced as a whole, null for none.
    #[serde(default)]
    #[schema(value_type = Option<SourceSettings>)]
    pub settings: Patch<SourceSettings>,
}

impl Check for SourcePatch {
    fn check(&self, errors: &mut FieldErrors) {
        if let Patch::Set(settings) = &self.settings {
            settings.check(errors);
        }
    }
}

/// Whether a source takes deliveries.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceStatus {
    /// It does.
    Active,
    /// It does not.
    Disabled,
}

/// A change of the secret.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRotation {
    /// The new secret, when the vendor made it; otherwise one is made here.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// For how long the former secret is accepted as well, in seconds; a day when left out, 30 days at most.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
}

impl Check for SourceRotation {
    fn check(&self, errors: &mut FieldErrors) {
        if self.overlap_seconds.is_some_and(|seconds| seconds > MAX_OVERLAP_SECONDS) {
            errors.add("/overlapSeconds", "out_of_range", "The overlap is 30 days at most.");
        }
    }
}

impl SourceRotation {
    /// The overlap that was asked for, or a day.
    #[must_use]
    pub fn overlap(&self) -> u32 {
        self.overlap_seconds.unwrap_or(OVERLAP_SECONDS)
    }
}

/// What sources can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SourceFilter {
    /// Providers.
    pub provider: Vec<String>,
    /// `active`, `disabled`.
    pub status: Vec<String>,
}

impl FromQuery for SourceFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            provider: params.choices("provider", &Provider::ALL.map(Provider::as_str)),
            status: params.choices("status", &["active", "disabled"]),
        }
    }
}

/// Selects sources. The head is empty or a `with …`; the tail begins with `from` and calls the row `s`.
macro_rules! query_sources {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Source,
            $head + r#" select s.id, s.provider, s.name, s.status, s.token_prefix, s.settings,
                      case when s.previous_expires_at > now() then s.previous_expires_at end as previous_secret_until,
                      (select max(r.received_at) from webhook_receipts r
                        where r.tenant_id = s.tenant_id and r.source_id = s.id) as last_received_at,
                      s.created_at, s.updated_at, s.version "# + $tail
            $(, $argument)*
        )
    };
}

/// Stores a source with its token's hash and its sealed secret.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    tx: &mut TenantTx,
    new: &NewSource,
    token: &OpaqueToken,
    secret: Option<&MadeSecret>,
) -> DbResult<Source> {
    let source = query_sources!(
        "with s as (
             insert into webhook_sources (tenant_id, id, provider, name, token_hash, token_prefix, secret_sealed, settings)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             returning *
         )",
        "from s",
        tx.tenant(),
        new_id(),
        new.provider.as_str(),
        new.name.as_str(),
        &token.hash()[..],
        token.display_prefix(),
        secret.map(|secret| secret.sealed.as_slice()),
        to_json(&new.settings),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(source)
}

/// One page of sources.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<SourceFilter>) -> DbResult<Page<Source>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select s.id, s.provider, s.name, s.status, s.token_prefix, s.settings,
                case when s.previous_expires_at > now() then s.previous_expires_at end as previous_secret_until,
                (select max(r.received_at) from webhook_receipts r
                  where r.tenant_id = s.tenant_id and r.source_id = s.id) as last_received_at,
                s.created_at, s.updated_at, s.version
           from webhook_sources s where s.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "s.provider", &query.filter.provider);
        push_any(&mut select, "s.status", &query.filter.status);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<Source>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// The source.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Source>> {
    let source =
        query_sources!("", "from webhook_sources s where s.tenant_id = $1 and s.id = $2", tx.tenant(), id)
            .fetch_optional(tx.conn())
            .await?;
    Ok(source)
}

/// Keeps others from changing a source until the transaction ends, and answers its version.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<i64>> {
    let version = sqlx::query_scalar!(
        "select version from webhook_sources where tenant_id = $1 and id = $2 for no key update",
        tx.tenant(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(version)
}

/// Changes the source.
///
/// # Errors
/// When the database refuses.
pub async fn update(tx: &mut TenantTx, id: Uuid, patch: SourcePatch) -> DbResult<Option<Source>> {
    let status = patch.status.map(|status| match status {
        SourceStatus::Active => "active",
        SourceStatus::Disabled => "disabled",
    });
    let (settings_change, settings) = patch.settings.into_parts();
    let source = query_sources!(
        "with s as (
             update webhook_sources
                set name = coalesce($3, name), status = coalesce($4, status),
                    settings = case when $5 then $6 else settings end
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from s",
        tx.tenant(),
        id,
        patch.name.map(Line::into_string),
        status,
        settings_change,
        to_json(&settings.unwrap_or_default()),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(source)
}

/// Puts a new secret in place; the former one is accepted for `overlap` more seconds.
///
/// # Errors
/// When the database refuses.
pub async fn rotate(
    tx: &mut TenantTx,
    id: Uuid,
    secret: &MadeSecret,
    overlap: u32,
) -> DbResult<Option<Source>> {
    let source = query_sources!(
        "with s as (
             update webhook_sources
                set secret_sealed = $3, previous_secret_sealed = secret_sealed,
                    previous_expires_at = now() + make_interval(secs => $4)
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from s",
        tx.tenant(),
        id,
        secret.sealed,
        f64::from(overlap),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(source)
}

/// Deletes the source with its receipts. What they led to stays.
///
/// # Errors
/// When the database refuses.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> DbResult<bool> {
    let done = sqlx::query!("delete from webhook_sources where tenant_id = $1 and id = $2", tx.tenant(), id)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Settings are plain texts and numbers, which always have a JSON form.
fn to_json(settings: &SourceSettings) -> Value {
    serde_json::to_value(settings).unwrap_or_default()
}
