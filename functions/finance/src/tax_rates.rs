//! Tax rates.

use axum::Json;
use shared::{
    auth::{ManageFinance, ReadFinance},
    finance::tax_rates::{
        NewTaxRate, TaxRate, TaxRateFilter, TaxRatePatch, archive_tax_rate, find_tax_rate, insert_tax_rate,
        list_tax_rates as list, update_tax_rate as update,
    },
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
};

/// Tax rates, newest first.
#[utoipa::path(get, path = "/api/finance/tax-rates", operation_id = "list_tax_rates", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(TaxRateFilter, shared::http::PageParams),
    responses((status = 200, body = Page<TaxRate>)))]
pub(crate) async fn list_tax_rates(mut cx: Cx<ReadFinance>, query: QueryString) -> ApiResult {
    let query: ListQuery<TaxRateFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes a tax rate.
#[utoipa::path(post, path = "/api/finance/tax-rates", operation_id = "create_tax_rate", tag = "finance",
    extensions(("x-role" = json!("manager"))), request_body = NewTaxRate,
    responses((status = 201, body = TaxRate)))]
pub(crate) async fn create_tax_rate(mut cx: Cx<ManageFinance>, Valid(new): Valid<NewTaxRate>) -> ApiResult {
    let now = cx.now();
    let rate = insert_tax_rate(&mut cx.tx, now, &new).await?;
    cx.note("tax_rate.created", ("taxRate", rate.id), (None, None)).await?;
    let location = format!("/api/finance/tax-rates/{}", rate.id);
    cx.commit(Versioned { version: rate.version, answer: Created { location, body: rate } }).await
}

/// One tax rate.
#[utoipa::path(get, path = "/api/finance/tax-rates/{id}", operation_id = "get_tax_rate", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = TaxRate)))]
pub(crate) async fn get_tax_rate(mut cx: Cx<ReadFinance>, PathId(id): PathId) -> ApiResult {
    let rate = find_tax_rate(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: rate.version, answer: Json(rate) }).await
}

/// Changes a tax rate. Documents keep the rate as it was.
#[utoipa::path(patch, path = "/api/finance/tax-rates/{id}", operation_id = "update_tax_rate", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = TaxRatePatch, responses((status = 200, body = TaxRate)))]
pub(crate) async fn update_tax_rate(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<TaxRatePatch>,
) -> ApiResult {
    let found = find_tax_rate(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    let rate = update(&mut cx.tx, id, found.version, &patch).await?.ok_or_else(Problem::concurrent_change)?;
    cx.note_change("tax_rate.updated", ("taxRate", id), (&found, &rate)).await?;
    cx.commit(Versioned { version: rate.version, answer: Json(rate) }).await
}

/// Puts a tax rate out of use. Documents that bear it keep it.
#[utoipa::path(delete, path = "/api/finance/tax-rates/{id}", operation_id = "delete_tax_rate", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_tax_rate(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    seen: IfMatch,
) -> ApiResult {
    let found = find_tax_rate(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    let now = cx.now();
    if !archive_tax_rate(&mut cx.tx, now, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("tax_rate.deleted", ("taxRate", id), (None, None)).await?;
    cx.commit(NoContent).await
}
