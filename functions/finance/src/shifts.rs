//! Shifts of the till.

use axum::Json;
use serde_json::json;
use shared::{
    auth::{ManageFinance, ReadTill, WriteFinance},
    finance::pos::{
        CloseShift, Movement, NewMovement, NewShift, Shift, ShiftDetail, ShiftFilter, close_shift as close,
        end_shift as end, find_shift, insert_movement, list_shifts as list, open_shift as open,
    },
    http::{ApiResult, Created, Cx, Hashed, ListQuery, Page, PathId, Problem, QueryString, Valid, Versioned},
};

/// Shifts, newest first.
#[utoipa::path(get, path = "/api/finance/pos/shifts", operation_id = "list_shifts", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(ShiftFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Shift>)))]
pub(crate) async fn list_shifts(mut cx: Cx<ReadTill>, query: QueryString) -> ApiResult {
    let query: ListQuery<ShiftFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Opens a shift. A till has one open shift.
#[utoipa::path(post, path = "/api/finance/pos/shifts", operation_id = "open_shift", tag = "finance",
    extensions(("x-role" = json!("staff"))), request_body = NewShift,
    responses((status = 201, body = ShiftDetail)))]
pub(crate) async fn open_shift(mut cx: Cx<WriteFinance>, Valid(new): Valid<NewShift>) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let shift = open(&mut cx.tx, now, new, by).await?;
    let location = format!("/api/finance/pos/shifts/{}", shift.shift.id);
    cx.commit(Versioned { version: shift.shift.version, answer: Created { location, body: shift } }).await
}

/// One shift with its movements and, until it is closed, its totals as they are now.
#[utoipa::path(get, path = "/api/finance/pos/shifts/{id}", operation_id = "get_shift", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = ShiftDetail)))]
pub(crate) async fn get_shift(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    let shift = find_shift(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Hashed(shift)).await
}

/// Records cash put in or taken out, or the drawer opened without a sale.
#[utoipa::path(post, path = "/api/finance/pos/shifts/{id}/movements", operation_id = "create_movement", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewMovement,
    responses((status = 201, body = Movement)))]
pub(crate) async fn create_movement(
    mut cx: Cx<WriteFinance>,
    PathId(id): PathId,
    Valid(new): Valid<NewMovement>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let movement = insert_movement(&mut cx.tx, now, id, new, by).await?;
    let after = json!({"kind": movement.kind, "amount": movement.amount, "currency": movement.currency});
    cx.note("shift.cash_moved", ("shift", id), (None, Some(after))).await?;
    let location = format!("/api/finance/pos/shifts/{id}");
    cx.commit(Created { location, body: movement }).await
}

/// Ends sales; the drawer is still to be counted.
#[utoipa::path(post, path = "/api/finance/pos/shifts/{id}/end", operation_id = "end_shift", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = ShiftDetail)))]
pub(crate) async fn end_shift(mut cx: Cx<WriteFinance>, PathId(id): PathId) -> ApiResult {
    let now = cx.now();
    let shift = end(&mut cx.tx, now, id).await?;
    cx.commit(Versioned { version: shift.shift.version, answer: Json(shift) }).await
}

/// Closes a shift for good: what was counted against what should be there.
#[utoipa::path(post, path = "/api/finance/pos/shifts/{id}/close", operation_id = "close_shift", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = CloseShift,
    responses((status = 200, body = ShiftDetail)))]
pub(crate) async fn close_shift(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    Valid(count): Valid<CloseShift>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let shift = close(&mut cx.tx, now, id, &count, by).await?;
    cx.note("shift.closed", ("shift", id), (None, None)).await?;
    cx.commit(Versioned { version: shift.shift.version, answer: Json(shift) }).await
}
