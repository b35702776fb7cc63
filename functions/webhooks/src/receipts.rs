//! Receipts of inbound deliveries.

use axum::Json;
use shared::{
    auth::{ReadWebhooks, WriteWebhooks},
    http::{Accepted, ApiResult, Cx, Hashed, ListQuery, Page, PathId, Problem, QueryString},
    webhooks::receipts::{self, Receipt, ReceiptDetail, ReceiptFilter},
};

/// Receipts, latest first.
#[utoipa::path(get, path = "/api/webhooks/receipts", operation_id = "list_webhook_receipts", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(ReceiptFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Receipt>)))]
pub(crate) async fn list_webhook_receipts(mut cx: Cx<ReadWebhooks>, query: QueryString) -> ApiResult {
    let query: ListQuery<ReceiptFilter> = query.list(cx.zone())?;
    let page = receipts::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// One receipt with the body that came.
#[utoipa::path(get, path = "/api/webhooks/receipts/{id}", operation_id = "get_webhook_receipt", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = ReceiptDetail)))]
pub(crate) async fn get_webhook_receipt(mut cx: Cx<ReadWebhooks>, PathId(id): PathId) -> ApiResult {
    let receipt = receipts::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Hashed(receipt)).await
}

/// Works on a delivery once more, as a new receipt. What was done the first time is not done again.
#[utoipa::path(post, path = "/api/webhooks/receipts/{id}/replay", operation_id = "replay_webhook_receipt", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 202, body = Receipt)))]
pub(crate) async fn replay_webhook_receipt(mut cx: Cx<WriteWebhooks>, PathId(id): PathId) -> ApiResult {
    match receipts::replay(&mut cx.tx, id).await? {
        Some(copy) => {
            cx.note("webhook_receipt.replayed", ("webhookReceipt", id), (None, None)).await?;
            cx.commit(Accepted(copy)).await
        }
        None if receipts::find(&mut cx.tx, id).await?.is_some() => {
            Err(Problem::conflict("body_purged", "The body of this delivery is no longer kept."))
        }
        None => Err(Problem::not_found()),
    }
}
