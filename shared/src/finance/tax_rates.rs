//! Tax rates. A document keeps the rate as it was, so changing or archiving one touches no document.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::amount::Rate;
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_page, total},
    },
    http::{Check, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField, SortKind},
    ids::new_id,
    values::Line,
};

/// A tax and its rate.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaxRate {
    /// The rate.
    pub id: Uuid,
    /// Its name, as documents show it.
    pub name: String,
    /// Per cent, as decimal text.
    pub rate: String,
    /// Whether prices contain it.
    pub inclusive: bool,
    /// When it was put out of use.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Raised by every change; the `ETag`.
    pub version: i64,
}

/// A tax rate that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTaxRate {
    /// Its name, as documents show it.
    pub name: Line,
    /// Per cent, as decimal text.
    pub rate: Rate,
    /// Whether prices contain it.
    #[serde(default)]
    pub inclusive: bool,
}

impl Check for NewTaxRate {}

/// What changes on a tax rate.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaxRatePatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Patch<Line>,
    /// Per cent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub rate: Patch<Rate>,
    /// Whether prices contain it.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub inclusive: Patch<bool>,
}

impl Check for TaxRatePatch {
    fn check(&self, errors: &mut crate::http::FieldErrors) {
        super::refuse_clearing(errors, "/name", &self.name);
        super::refuse_clearing(errors, "/rate", &self.rate);
        super::refuse_clearing(errors, "/inclusive", &self.inclusive);
    }
}

/// What tax rates can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct TaxRateFilter {
    /// Archived ones instead of those in use.
    pub archived: Option<bool>,
}

impl FromQuery for TaxRateFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self { archived: params.flag("archived") }
    }
}

/// One page of tax rates.
///
/// # Errors
/// When the database refuses.
pub async fn list_tax_rates(tx: &mut TenantTx, query: &ListQuery<TaxRateFilter>) -> DbResult<Page<TaxRate>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select r.id, r.name, trim_scale(r.rate)::text as rate, r.inclusive, r.archived_at, r.created_at, r.updated_at,
                r.version
           from tax_rates r where r.tenant_id = ");
        select.push_bind(tenant);
        select.push(" and (r.archived_at is not null) = ").push_bind(query.filter.archived.unwrap_or(false));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "r", &query.page);
    let rows = select.build_query_as::<TaxRate>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One tax rate, archived or not.
///
/// # Errors
/// When the database refuses.
pub async fn find_tax_rate(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<TaxRate>> {
    let rate = sqlx::query_as!(
        TaxRate,
        r#"select id, name, trim_scale(rate)::text as "rate!", inclusive, archived_at, created_at, updated_at, version
             from tax_rates where tenant_id = $1 and id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(rate)
}

/// Makes a tax rate.
///
/// # Errors
/// When the database refuses.
pub async fn insert_tax_rate(tx: &mut TenantTx, now: DateTime<Utc>, new: &NewTaxRate) -> DbResult<TaxRate> {
    let rate = sqlx::query_as!(
        TaxRate,
        r#"insert into tax_rates (tenant_id, id, name, rate, inclusive, created_at, updated_at)
           values ($1, $2, $3, $4::text::numeric, $5, $6, $6)
           returning id, name, trim_scale(rate)::text as "rate!", inclusive, archived_at, created_at, updated_at, version"#,
        tx.tenant(),
        new_id(),
        new.name.as_str(),
        new.rate.to_string(),
        new.inclusive,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(rate)
}

/// Changes a tax rate that the caller has seen in `version`; `None` when it has changed meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn update_tax_rate(
    tx: &mut TenantTx,
    id: Uuid,
    version: i64,
    patch: &TaxRatePatch,
) -> DbResult<Option<TaxRate>> {
    let rate = sqlx::query_as!(
        TaxRate,
        r#"update tax_rates set name = coalesce($4, name), rate = coalesce($5::text::numeric, rate),
                               inclusive = coalesce($6, inclusive)
            where tenant_id = $1 and id = $2 and version = $3
           returning id, name, trim_scale(rate)::text as "rate!", inclusive, archived_at, created_at, updated_at, version"#,
        tx.tenant(),
        id,
        version,
        patch.name.as_set().map(Line::as_str),
        patch.rate.as_set().map(ToString::to_string),
        patch.inclusive.as_set(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(rate)
}

/// Puts a tax rate out of use. Documents that bear it keep it.
///
/// # Errors
/// When the database refuses.
pub async fn archive_tax_rate(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    version: i64,
) -> DbResult<bool> {
    let done = sqlx::query!(
        "update tax_rates set archived_at = coalesce(archived_at, $4) where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
