//! The catalogue: what can be sold. A document keeps name and price as they were.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::amount::{Amount, Stock};
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
    values::{Currency, Line, Prose},
};

/// The kinds of items.
const KINDS: &[&str] = &["product", "service", "membership", "pack", "voucher"];

/// What kind of thing is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ItemKind {
    /// A thing.
    #[default]
    Product,
    /// Somebody's time.
    Service,
    /// Charged again and again.
    Membership,
    /// Visits paid in advance.
    Pack,
    /// Money to be spent later.
    Voucher,
}

impl ItemKind {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Service => "service",
            Self::Membership => "membership",
            Self::Pack => "pack",
            Self::Voucher => "voucher",
        }
    }
}

/// An item of the catalogue.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogItem {
    /// The item.
    pub id: Uuid,
    /// `product`, `service`, `membership`, `pack`, `voucher`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// The business's own number for it.
    pub sku: Option<String>,
    /// Minor units.
    pub unit_price: i64,
    /// ISO 4217.
    pub currency: String,
    /// Taxes that it bears by default.
    pub tax_rate_ids: Vec<Uuid>,
    /// How many there are, as decimal text; null when nobody counts.
    pub stock: Option<String>,
    /// When it was taken out of the catalogue.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Raised by every change; the `ETag`.
    pub version: i64,
}

/// An item that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCatalogItem {
    /// What kind of thing it is; a product when left out.
    #[serde(default)]
    pub kind: ItemKind,
    /// Its name.
    pub name: Line,
    /// More about it.
    #[serde(default)]
    pub description: Option<Prose>,
    /// The business's own number for it, unique.
    #[serde(default)]
    pub sku: Option<Line>,
    /// Minor units.
    pub unit_price: Amount,
    /// ISO 4217; the business's own when left out.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Taxes that it bears by default.
    #[serde(default)]
    pub tax_rate_ids: Vec<Uuid>,
    /// How many there are; left out when nobody counts.
    #[serde(default)]
    pub stock: Option<Stock>,
}

impl Check for NewCatalogItem {
    fn check(&self, errors: &mut FieldErrors) {
        if self.tax_rate_ids.len() > 10 {
            errors.add("/taxRateIds", "too_many_values", "An item bears at most ten taxes.");
        }
    }
}

/// What changes on an item.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CatalogItemPatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Patch<Line>,
    /// More about it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Patch<Prose>,
    /// The business's own number for it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub sku: Patch<Line>,
    /// Minor units.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub unit_price: Patch<Amount>,
    /// Taxes that it bears by default.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Uuid>>)]
    pub tax_rate_ids: Patch<Vec<Uuid>>,
    /// How many there are; null: nobody counts.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub stock: Patch<Stock>,
}

impl Check for CatalogItemPatch {
    fn check(&self, errors: &mut FieldErrors) {
        super::refuse_clearing(errors, "/name", &self.name);
        super::refuse_clearing(errors, "/unitPrice", &self.unit_price);
        super::refuse_clearing(errors, "/taxRateIds", &self.tax_rate_ids);
    }
}

/// What items can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct CatalogFilter {
    /// Kinds.
    pub kind: Vec<String>,
    /// A fragment of the name or number.
    pub search: Option<String>,
    /// Archived ones instead of those on sale.
    pub archived: Option<bool>,
}

impl FromQuery for CatalogFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            kind: params.choices("kind", KINDS),
            search: params.text("search"),
            archived: params.flag("archived"),
        }
    }
}

/// One page of the catalogue.
///
/// # Errors
/// When the database refuses.
pub async fn list_items(tx: &mut TenantTx, query: &ListQuery<CatalogFilter>) -> DbResult<Page<CatalogItem>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select i.id, i.kind, i.name, i.description, i.sku, i.unit_price, i.currency::text, i.tax_rate_ids,
                trim_scale(i.stock)::text as stock, i.archived_at, i.created_at, i.updated_at, i.version
           from catalog_items i where i.tenant_id = ");
        select.push_bind(tenant);
        select.push(" and (i.archived_at is not null) = ").push_bind(query.filter.archived.unwrap_or(false));
        push_any(&mut select, "i.kind", &query.filter.kind);
        if let Some(text) = &query.filter.search {
            // A catalogue is small; strpos needs no escaping and no index.
            select
                .push(" and strpos(lower(i.name || ' ' || coalesce(i.sku, '')), ")
                .push_bind(text.to_lowercase())
                .push(") > 0");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "i", &query.page);
    let rows = select.build_query_as::<CatalogItem>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One item, archived or not.
///
/// # Errors
/// When the database refuses.
pub async fn find_item(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<CatalogItem>> {
    let item = sqlx::query_as!(
        CatalogItem,
        r#"select id, kind, name, description, sku, unit_price, currency::text as "currency!", tax_rate_ids,
                  trim_scale(stock)::text as stock, archived_at, created_at, updated_at, version
             from catalog_items where tenant_id = $1 and id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(item)
}

/// How many of these tax rates exist and are in use.
///
/// # Errors
/// When the database refuses.
pub async fn count_tax_rates(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<i64> {
    let found = sqlx::query_scalar!(
        r#"select count(*) as "found!" from tax_rates where tenant_id = $1 and id = any($2) and archived_at is null"#,
        tx.tenant(),
        ids,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

/// Puts an item into the catalogue.
///
/// # Errors
/// `catalog_items_tenant_id_sku_key` when another item has the number.
pub async fn insert_item(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: &NewCatalogItem,
) -> DbResult<CatalogItem> {
    let currency = new.currency.as_ref().map_or(tx.settings().currency.as_str(), Currency::as_str).to_owned();
    let item = sqlx::query_as!(
        CatalogItem,
        r#"insert into catalog_items (tenant_id, id, kind, name, description, sku, unit_price, currency, tax_rate_ids,
                                      stock, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::numeric, $11, $11)
           returning id, kind, name, description, sku, unit_price, currency::text as "currency!", tax_rate_ids,
                     trim_scale(stock)::text as stock, archived_at, created_at, updated_at, version"#,
        tx.tenant(),
        new_id(),
        new.kind.word(),
        new.name.as_str(),
        new.description.as_ref().map(Prose::as_str),
        new.sku.as_ref().map(Line::as_str),
        new.unit_price.get(),
        currency,
        &new.tax_rate_ids,
        new.stock.map(|stock| stock.to_string()),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(item)
}

/// Changes an item that the caller has seen in `version`; `None` when it has changed meanwhile.
///
/// # Errors
/// `catalog_items_tenant_id_sku_key` when another item has the number.
pub async fn update_item(
    tx: &mut TenantTx,
    id: Uuid,
    version: i64,
    patch: CatalogItemPatch,
) -> DbResult<Option<CatalogItem>> {
    let (describes, description) = patch.description.into_parts();
    let (renumbers, sku) = patch.sku.into_parts();
    let (counts, stock) = patch.stock.into_parts();
    let item = sqlx::query_as!(
        CatalogItem,
        r#"update catalog_items
              set name = coalesce($4, name), description = case when $5 then $6 else description end,
                  sku = case when $7 then $8 else sku end, unit_price = coalesce($9, unit_price),
                  tax_rate_ids = coalesce($10, tax_rate_ids),
                  stock = case when $11 then $12::text::numeric else stock end
            where tenant_id = $1 and id = $2 and version = $3
           returning id, kind, name, description, sku, unit_price, currency::text as "currency!", tax_rate_ids,
                     trim_scale(stock)::text as stock, archived_at, created_at, updated_at, version"#,
        tx.tenant(),
        id,
        version,
        patch.name.as_set().map(Line::as_str),
        describes,
        description.map(Prose::into_string),
        renumbers,
        sku.map(Line::into_string),
        patch.unit_price.as_set().map(|price| price.get()),
        patch.tax_rate_ids.as_set().map(Vec::as_slice),
        counts,
        stock.map(|stock| stock.to_string()),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(item)
}

/// Takes an item out of the catalogue. Documents that name it keep it.
///
/// # Errors
/// When the database refuses.
pub async fn archive_item(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid, version: i64) -> DbResult<bool> {
    let done = sqlx::query!(
        "update catalog_items set archived_at = coalesce(archived_at, $4) where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a sale takes out of the stock, or a return brings back: (item, quantity as decimal text, negative for out).
///
/// # Errors
/// When the database refuses.
pub(super) async fn move_stock(tx: &mut TenantTx, moves: &[(Uuid, String)]) -> DbResult<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let (items, quantities): (Vec<Uuid>, Vec<String>) = moves.iter().cloned().unzip();
    sqlx::query!(
        "update catalog_items i set stock = i.stock + m.quantity
           from (select item, sum(quantity::numeric) as quantity
                   from unnest($2::uuid[], $3::text[]) as given (item, quantity) group by item) m
          where i.tenant_id = $1 and i.id = m.item and i.stock is not null",
        tx.tenant(),
        &items,
        &quantities,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
