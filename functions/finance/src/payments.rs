//! Payments and refunds.

use axum::Json;
use serde_json::json;
use shared::{
    auth::{ManageFinance, Permission, ReadTill, RefundFinance, WriteFinance},
    finance::{
        payments::{
            AllocationRequest, InvoicePayment, NewPayment, Payment, PaymentFilter, RefundRequest, allocate,
            emit_received, emit_refunded, find_payment, list_payments as list, pay_invoice as pay, receive,
            refund, unknown_invoice,
        },
        whose,
    },
    http::{ApiResult, Created, Cx, ListQuery, Page, PathId, Problem, QueryString, Valid, Versioned},
};
use uuid::Uuid;

/// Takes a payment for an invoice.
#[utoipa::path(post, path = "/api/finance/invoices/{id}/payments", operation_id = "pay_invoice", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = InvoicePayment,
    responses((status = 201, body = Payment)))]
pub(crate) async fn pay_invoice(
    mut cx: Cx<WriteFinance>,
    PathId(id): PathId,
    Valid(paid): Valid<InvoicePayment>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    crate::invoices::require_visible(&mut cx, id).await?;
    let payment = pay(&mut cx.tx, now, id, paid, by).await?;
    emit_received(&mut cx.tx, now, &payment).await?;
    cx.commit(created(payment)).await
}

/// Payments and refunds, newest first.
#[utoipa::path(get, path = "/api/finance/payments", operation_id = "list_payments", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(PaymentFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Payment>)))]
pub(crate) async fn list_payments(mut cx: Cx<ReadTill>, query: QueryString) -> ApiResult {
    let query: ListQuery<PaymentFilter> = query.list(cx.zone())?;
    let page = list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    cx.commit(Json(page)).await
}

/// Takes money that is for no invoice yet, or for the one that is named.
#[utoipa::path(post, path = "/api/finance/payments", operation_id = "create_payment", tag = "finance",
    extensions(("x-role" = json!("staff"))), request_body = NewPayment,
    responses((status = 201, body = Payment)))]
pub(crate) async fn create_payment(mut cx: Cx<WriteFinance>, Valid(new): Valid<NewPayment>) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let own = cx.actor.own_records_of();
    whose::require_lead(&mut cx.tx, new.lead_id, own).await?;
    if let Some(invoice) = new.invoice_id
        && whose::visible_invoices(&mut cx.tx, &[invoice], own).await?.is_empty()
    {
        return Err(unknown_invoice());
    }
    let payment = receive(&mut cx.tx, now, new, by).await?;
    emit_received(&mut cx.tx, now, &payment).await?;
    cx.commit(created(payment)).await
}

/// One payment or refund.
#[utoipa::path(get, path = "/api/finance/payments/{id}", operation_id = "get_payment", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Payment)))]
pub(crate) async fn get_payment(mut cx: Cx<ReadTill>, PathId(id): PathId) -> ApiResult {
    require_visible(&mut cx, id).await?;
    let payment = find_payment(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: payment.version, answer: Json(payment) }).await
}

/// Gives money of a payment back and answers the refund.
#[utoipa::path(post, path = "/api/finance/payments/{id}/refund", operation_id = "refund_payment", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), request_body = RefundRequest,
    responses((status = 201, body = Payment)))]
pub(crate) async fn refund_payment(
    mut cx: Cx<RefundFinance>,
    PathId(id): PathId,
    Valid(request): Valid<RefundRequest>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    require_visible(&mut cx, id).await?;
    let refunded = refund(&mut cx.tx, now, id, request, by).await?;
    emit_refunded(&mut cx.tx, now, &refunded).await?;
    let after = json!({"refundId": refunded.id, "amount": refunded.amount, "currency": refunded.currency});
    cx.note("payment.refunded", ("payment", id), (None, Some(after))).await?;
    cx.commit(created(refunded)).await
}

/// Settles invoices with what a payment has left.
#[utoipa::path(post, path = "/api/finance/payments/{id}/allocate", operation_id = "allocate_payment", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = AllocationRequest,
    responses((status = 200, body = Payment)))]
pub(crate) async fn allocate_payment(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    Valid(request): Valid<AllocationRequest>,
) -> ApiResult {
    let now = cx.now();
    require_visible(&mut cx, id).await?;
    let payment = allocate(&mut cx.tx, now, id, &request, cx.actor.own_records_of()).await?;
    cx.note("payment.allocated", ("payment", id), (None, None)).await?;
    cx.commit(Versioned { version: payment.version, answer: Json(payment) }).await
}

/// 404 unless the caller may see the payment.
async fn require_visible<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<()> {
    let visible = whose::is_payment_visible(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if visible { Ok(()) } else { Err(Problem::not_found()) }
}

fn created(payment: Payment) -> Versioned<Created<Payment>> {
    let location = format!("/api/finance/payments/{}", payment.id);
    Versioned { version: payment.version, answer: Created { location, body: payment } }
}
