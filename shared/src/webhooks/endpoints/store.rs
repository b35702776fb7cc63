//! The rows of endpoints.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{EventPattern, SignedWith};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField,
        SortKind,
    },
    ids::new_id,
    values::Line,
};

/// For how long the former secret signs as well after a rotation, unless said otherwise.
const OVERLAP_SECONDS: u32 = 24 * 3600;
const MAX_OVERLAP_SECONDS: u32 = 30 * 24 * 3600;
const MAX_PATTERNS: usize = 100;

/// Someone who is told what happens.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The endpoint.
    pub id: Uuid,
    /// Where deliveries go.
    pub url: String,
    /// What colleagues know it by.
    pub description: Option<String>,
    /// What it listens to: `lead.created`, `lead.*`, `*`.
    pub events: Vec<String>,
    /// `active` or `disabled`
    pub status: String,
    /// Why it was disabled: `gone` (it answered 410), `failing` (for three days), `manual`.
    pub disabled_reason: Option<String>,
    /// Since when every delivery has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when the former secret signs as well.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When the endpoint was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// An endpoint that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where deliveries go: https, ports 443, 80 or 8443.
    pub url: String,
    /// What it listens to: `lead.created`, `lead.*`, `*`.
    pub events: Vec<EventPattern>,
    /// What colleagues know it by.
    #[serde(default)]
    pub description: Option<Line>,
}

impl Check for NewEndpoint {
    fn check(&self, errors: &mut FieldErrors) {
        check_patterns(&self.events, errors);
    }
}

fn check_patterns(patterns: &[EventPattern], errors: &mut FieldErrors) {
    if patterns.is_empty() {
        errors.add("/events", "required", "Say what the endpoint listens to; `*` is everything.");
    }
    if patterns.len() > MAX_PATTERNS {
        errors.add("/events", "too_many_values", format!("At most {MAX_PATTERNS} events can be listed."));
    }
}

/// Changes of an endpoint.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointPatch {
    /// Where deliveries go.
    #[serde(default)]
    pub url: Option<String>,
    /// What it listens to.
    #[serde(default)]
    pub events: Option<Vec<EventPattern>>,
    /// What colleagues know it by.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub description: Patch<Line>,
    /// `active` forgives former failures; `disabled` stops deliveries.
    #[serde(default)]
    pub status: Option<EndpointStatus>,
}

impl Check for EndpointPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if let Some(events) = &self.events {
            check_patterns(events, errors);
        }
    }
}

/// Whether an endpoint is told anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointStatus {
    /// It is.
    Active,
    /// It is not.
    Disabled,
}

/// A change of the secret.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointRotation {
    /// For how long the former secret signs as well, in seconds; a day when left out, 30 days at most.
    #[serde(default)]
    pub overlap_seconds: Option<u32>,
}

impl Check for EndpointRotation {
    fn check(&self, errors: &mut FieldErrors) {
        if self.overlap_seconds.is_some_and(|seconds| seconds > MAX_OVERLAP_SECONDS) {
            errors.add("/overlapSeconds", "out_of_range", "The overlap is 30 days at most.");
        }
    }
}

impl EndpointRotation {
    /// The overlap that was asked for, or a day.
    #[must_use]
    pub fn overlap(&self) -> u32 {
        self.overlap_seconds.unwrap_or(OVERLAP_SECONDS)
    }
}

/// What endpoints can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EndpointFilter {
    /// `active`, `disabled`
    pub status: Vec<String>,
}

impl FromQuery for EndpointFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self { status: params.choices("status", &["active", "disabled"]) }
    }
}

/// What a test delivery needs.
#[derive(Debug)]
pub struct Ping {
    /// Where it goes.
    pub url: String,
    /// What signs it.
    pub signed_with: SignedWith,
}

/// Selects endpoints. The head is empty or a `with …`; the tail begins with `from` and calls the row `w`.
macro_rules! query_endpoints {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Endpoint,
            $head + r#" select w.id, w.url, w.description, w.events, w.status, w.disabled_reason, w.failing_since,
                      case when w.previous_expires_at > now() then w.previous_expires_at end as previous_secret_until,
                      w.created_at, w.updated_at, w.version "# + $tail
            $(, $argument)*
        )
    };
}

/// Stores an endpoint with its sealed secret.
///
/// # Errors
/// When the database refuses.
pub async fn insert(tx: &mut TenantTx, new: &NewEndpoint, sealed: &[u8]) -> DbResult<Endpoint> {
    let endpoint = query_endpoints!(
        "with w as (
             insert into webhook_endpoints (tenant_id, id, url, description, events, secret_sealed)
             values ($1, $2, $3, $4, $5, $6)
             returning *
         )",
        "from w",
        tx.tenant(),
        new_id(),
        new.url,
        new.description.as_ref().map(Line::as_str),
        &words(&new.events),
        sealed,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(endpoint)
}

/// One page of endpoints.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<EndpointFilter>) -> DbResult<Page<Endpoint>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select w.id, w.url, w.description, w.events, w.status, w.disabled_reason, w.failing_since,
                case when w.previous_expires_at > now() then w.previous_expires_at end as previous_secret_until,
                w.created_at, w.updated_at, w.version
           from webhook_endpoints w where w.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "w.status", &query.filter.status);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "w", &query.page);
    let rows = select.build_query_as::<Endpoint>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// The endpoint.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Endpoint>> {
    let endpoint = query_endpoints!(
        "",
        "from webhook_endpoints w where w.tenant_id = $1 and w.id = $2",
        tx.tenant(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(endpoint)
}

/// Where a test delivery goes, and what signs it.
///
/// # Errors
/// When the database refuses.
pub async fn find_ping(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Ping>> {
    let row = sqlx::query!(
        r#"select url, secret_sealed, case when previous_expires_at > now() then previous_secret_sealed end as previous_sealed
             from webhook_endpoints where tenant_id = $1 and id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Ping {
        url: row.url,
        signed_with: SignedWith { sealed: row.secret_sealed, previous_sealed: row.previous_sealed },
    }))
}

/// Keeps others from changing an endpoint until the transaction ends, and answers its version.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<i64>> {
    let version = sqlx::query_scalar!(
        "select version from webhook_endpoints where tenant_id = $1 and id = $2 for no key update",
        tx.tenant(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(version)
}

/// Changes the endpoint. Activating it forgives its former failures.
///
/// # Errors
/// When the database refuses.
pub async fn update(tx: &mut TenantTx, id: Uuid, patch: EndpointPatch) -> DbResult<Option<Endpoint>> {
    let (describe, description) = patch.description.into_parts();
    let status = patch.status.map(|status| match status {
        EndpointStatus::Active => "active",
        EndpointStatus::Disabled => "disabled",
    });
    let events = patch.events.as_deref().map(words);
    let endpoint = query_endpoints!(
        "with w as (
             update webhook_endpoints
                set url = coalesce($3, url), events = coalesce($4, events),
                    description = case when $5 then $6 else description end,
                    status = coalesce($7, status),
                    disabled_reason = case $7 when 'active' then null when 'disabled' then coalesce(disabled_reason, 'manual')
                                              else disabled_reason end,
                    failing_since = case when $7 = 'active' then null else failing_since end,
                    warned_at = case when $7 = 'active' then null else warned_at end,
                    consecutive_failures = case when $7 = 'active' then 0 else consecutive_failures end
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from w",
        tx.tenant(),
        id,
        patch.url,
        events.as_deref(),
        describe,
        description.map(Line::into_string),
        status,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(endpoint)
}

/// Puts a new secret in place; the former one signs as well for `overlap` more seconds.
///
/// # Errors
/// When the database refuses.
pub async fn rotate(tx: &mut TenantTx, id: Uuid, sealed: &[u8], overlap: u32) -> DbResult<Option<Endpoint>> {
    let endpoint = query_endpoints!(
        "with w as (
             update webhook_endpoints
                set secret_sealed = $3, previous_secret_sealed = secret_sealed,
                    previous_expires_at = now() + make_interval(secs => $4)
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from w",
        tx.tenant(),
        id,
        sealed,
        f64::from(overlap),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(endpoint)
}

/// Deletes the endpoint with its deliveries.
///
/// # Errors
/// When the database refuses.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> DbResult<bool> {
    let done =
        sqlx::query!("delete from webhook_endpoints where tenant_id = $1 and id = $2", tx.tenant(), id)
            .execute(tx.conn())
            .await?;
    Ok(done.rows_affected() > 0)
}

fn words(patterns: &[EventPattern]) -> Vec<String> {
    let mut words: Vec<String> = patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    words.sort();
    words.dedup();
    words
}
