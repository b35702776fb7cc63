//! Sales and returns at the till.

use axum::Json;
use serde_json::json;
use shared::{
    auth::{Permission, ReadTill, WriteFinance},
    finance::{
        pos::{
            NewReturn, NewSale, Sale, SaleFilter, Sold, find_sale, list_sales as list,
            return_sale as take_back, sell,
        },
        whose,
    },
    http::{ApiResult, Created, Cx, Hashed, ListQuery, Page, PathId, Problem, QueryString, Valid},
};
use uuid::Uuid;

/// Sales and returns, newest first.
#[utoipa::path(get, path = "/api/finance/pos/sales", operation_id = "list_sales", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(SaleFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Sale>)))]
pub(crate) async fn list_sales(mut cx: Cx<ReadTill>, query: QueryString) -> ApiResult {
    let query: ListQuery<SaleFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    cx.commit(Json(page)).await
}

/// Sells. A sale that the till sends again (`clientSaleId`) is answered with 200 as it was made.
#[utoipa::path(post, path = "/api/finance/pos/sales", operation_id = "create_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), request_body = NewSale,
    responses((status = 201, body = Sale), (status = 200, body = Sale)))]
pub(crate) async fn create_sale(mut cx: Cx<WriteFinance>, Valid(new): Valid<NewSale>) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    whose::require_lead(&mut cx.tx, new.lead_id, cx.actor.own_records_of()).await?;
    match sell(&mut cx.tx, now, new, by).await? {
        Sold::Now(sale) => cx.commit(created(sale)).await,
        Sold::Before(sale) => {
            let visible = whose::is_sale_visible(&mut cx.tx, sale.id, cx.actor.own_records_of()).await?;
            if visible { cx.commit(Json(sale)).await } else { Err(taken()) }
        }
    }
}

/// One sale or return.
#[utoipa::path(get, path = "/api/finance/pos/sales/{id}", operation_id = "get_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Sale)))]
pub(crate) async fn get_sale(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    require_visible(&mut cx, id).await?;
    let sale = find_sale(&mut cx.tx, Some(id), None).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Hashed(sale)).await
}

/// What is printed for a sale or a return.
#[utoipa::path(get, path = "/api/finance/pos/sales/{id}/receipt", operation_id = "get_receipt", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Object)))]
pub(crate) async fn get_receipt(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    require_visible(&mut cx, id).await?;
    let sale = find_sale(&mut cx.tx, Some(id), None).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Hashed(sale.receipt)).await
}

/// Takes lines of a sale back, gives the money back and answers the return. It wants no password: the customer stands at the
/// counter, nobody gets more than the receipt shows, and the drawer is counted. The audit log tells who gave it.
#[utoipa::path(post, path = "/api/finance/pos/sales/{id}/return", operation_id = "return_sale", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewReturn,
    responses((status = 201, body = Sale)))]
pub(crate) async fn return_sale(
    mut cx: Cx<WriteFinance>,
    PathId(id): PathId,
    Valid(new): Valid<NewReturn>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    require_visible(&mut cx, id).await?;
    let returned = take_back(&mut cx.tx, now, id, new, by).await?;
    cx.note("sale.returned", ("sale", id), (None, Some(json!({"returnId": returned.id})))).await?;
    cx.commit(created(returned)).await
}

/// 404 unless the caller may see the sale.
async fn require_visible<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<()> {
    let visible = whose::is_sale_visible(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if visible { Ok(()) } else { Err(Problem::not_found()) }
}

/// The till's name for the sale is that of another one, which the caller does not see.
fn taken() -> Problem {
    Problem::conflict("client_sale_id_taken", "Another sale has this clientSaleId.")
}

fn created(sale: Sale) -> Created<Sale> {
    Created { location: format!("/api/finance/pos/sales/{}", sale.id), body: sale }
}
