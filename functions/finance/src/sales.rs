//! Sales and returns at the till.

use axum::Json;
use shared::{
    auth::{ReadTill, WriteFinance},
    finance::pos::{
        NewReturn, NewSale, Sale, SaleFilter, Sold, find_sale, list_sales as list, return_sale as take_back,
        sell,
    },
    http::{ApiResult, Created, Cx, ListQuery, Page, PathId, Problem, QueryString, Valid},
};

/// Sales and returns, newest first.
#[utoipa::path(get, path = "/api/finance/pos/sales", operation_id = "list_sales", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(SaleFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Sale>)))]
pub(crate) async fn list_sales(mut cx: Cx<ReadTill>, query: QueryString) -> ApiResult {
    let query: ListQuery<SaleFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Sells. A sale that the till sends again (`clientSaleId`) is answered with 200 as it was made.
#[utoipa::path(post, path = "/api/finance/pos/sales", operation_id = "create_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), request_body = NewSale,
    responses((status = 201, body = Sale), (status = 200, body = Sale)))]
pub(crate) async fn create_sale(mut cx: Cx<WriteFinance>, Valid(new): Valid<NewSale>) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    match sell(&mut cx.tx, now, new, by).await? {
        Sold::Now(sale) => cx.commit(created(sale)).await,
        Sold::Before(sale) => cx.commit(Json(sale)).await,
    }
}

/// One sale or return.
#[utoipa::path(get, path = "/api/finance/pos/sales/{id}", operation_id = "get_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Sale)))]
pub(crate) async fn get_sale(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    let sale = find_sale(&mut cx.tx, Some(id), None).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(sale)).await
}

/// What is printed for a sale or a return.
#[utoipa::path(get, path = "/api/finance/pos/sales/{id}/receipt", operation_id = "get_receipt", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Object)))]
pub(crate) async fn get_receipt(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    let sale = find_sale(&mut cx.tx, Some(id), None).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(sale.receipt)).await
}

/// Takes lines of a sale back, gives the money back and answers the return.
#[utoipa::path(post, path = "/api/finance/pos/sales/{id}/return", operation_id = "return_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewReturn,
    responses((status = 201, body = Sale)))]
pub(crate) async fn return_sale(
    mut cx: Cx<WriteFinance>,
    PathId(id): PathId,
    Valid(new): Valid<NewReturn>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let returned = take_back(&mut cx.tx, now, id, new, by).await?;
    cx.commit(created(returned)).await
}

fn created(sale: Sale) -> Created<Sale> {
    Created { location: format!("/api/finance/pos/sales/{}", sale.id), body: sale }
}
