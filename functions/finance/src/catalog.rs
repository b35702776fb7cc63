//! The catalogue.

use axum::Json;
use shared::{
    auth::{ManageFinance, ReadFinance},
    db::OnConstraint,
    finance::catalog::{
        CatalogFilter, CatalogItem, CatalogItemPatch, NewCatalogItem, archive_item, count_tax_rates,
        find_item, insert_item, list_items as list, update_item as update,
    },
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
};
use uuid::Uuid;

const SKU_TAKEN: &str = "catalog_items_tenant_id_sku_key";

/// What is on sale, newest first.
#[utoipa::path(get, path = "/api/finance/catalog", operation_id = "list_catalog_items", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(CatalogFilter, shared::http::PageParams),
    responses((status = 200, body = Page<CatalogItem>)))]
pub(crate) async fn list_items(mut cx: Cx<ReadFinance>, query: QueryString) -> ApiResult {
    let query: ListQuery<CatalogFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Puts something on sale.
#[utoipa::path(post, path = "/api/finance/catalog", operation_id = "create_catalog_item", tag = "finance",
    extensions(("x-role" = json!("manager"))), request_body = NewCatalogItem,
    responses((status = 201, body = CatalogItem)))]
pub(crate) async fn create_item(mut cx: Cx<ManageFinance>, Valid(new): Valid<NewCatalogItem>) -> ApiResult {
    let now = cx.now();
    require_tax_rates(&mut cx, &new.tax_rate_ids).await?;
    let item = insert_item(&mut cx.tx, now, &new).await.on_constraint(SKU_TAKEN, sku_taken)?;
    cx.note("catalog_item.created", ("catalogItem", item.id), (None, None)).await?;
    let location = format!("/api/finance/catalog/{}", item.id);
    cx.commit(Versioned { version: item.version, answer: Created { location, body: item } }).await
}

/// One item.
#[utoipa::path(get, path = "/api/finance/catalog/{id}", operation_id = "get_catalog_item", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = CatalogItem)))]
pub(crate) async fn get_item(mut cx: Cx<ReadFinance>, PathId(id): PathId) -> ApiResult {
    let item = find_item(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: item.version, answer: Json(item) }).await
}

/// Changes an item. Documents keep its name and price as they were.
#[utoipa::path(patch, path = "/api/finance/catalog/{id}", operation_id = "update_catalog_item", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = CatalogItemPatch, responses((status = 200, body = CatalogItem)))]
pub(crate) async fn update_item(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<CatalogItemPatch>,
) -> ApiResult {
    let found = find_item(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if let Some(rates) = patch.tax_rate_ids.as_set() {
        require_tax_rates(&mut cx, rates).await?;
    }
    let updated = update(&mut cx.tx, id, found.version, patch).await.on_constraint(SKU_TAKEN, sku_taken)?;
    let item = updated.ok_or_else(Problem::concurrent_change)?;
    cx.note_change("catalog_item.updated", ("catalogItem", id), (&found, &item)).await?;
    cx.commit(Versioned { version: item.version, answer: Json(item) }).await
}

/// Takes an item out of the catalogue. Documents that name it keep it.
#[utoipa::path(delete, path = "/api/finance/catalog/{id}", operation_id = "delete_catalog_item", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_item(mut cx: Cx<ManageFinance>, PathId(id): PathId, seen: IfMatch) -> ApiResult {
    let found = find_item(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    let now = cx.now();
    if !archive_item(&mut cx.tx, now, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("catalog_item.deleted", ("catalogItem", id), (None, None)).await?;
    cx.commit(NoContent).await
}

async fn require_tax_rates(cx: &mut Cx<ManageFinance>, ids: &[Uuid]) -> ApiResult<()> {
    let distinct: std::collections::BTreeSet<&Uuid> = ids.iter().collect();
    if distinct.len() < ids.len() {
        return Err(Problem::invalid("/taxRateIds", "duplicate_value", "An item bears a tax once."));
    }
    let found = if ids.is_empty() { 0 } else { count_tax_rates(&mut cx.tx, ids).await? };
    if usize::try_from(found).is_ok_and(|found| found == ids.len()) {
        return Ok(());
    }
    Err(Problem::invalid("/taxRateIds", "unknown_tax_rate", "There is no such tax rate."))
}

fn sku_taken() -> Problem {
    Problem::conflict("sku_taken", "Another item has this number.")
}
