//! Invoices and credit notes.

use axum::{Json, extract::State};
use serde_json::json;
use shared::{
    app::App,
    auth::{ManageFinance, Permission, ReadFinance, ReadSealedBuyer, WriteFinance},
    finance::{
        invoices::{
            Invoice, InvoiceFilter, InvoicePatch, NewCreditNote, NewInvoice, Settle, credit_invoice,
            delete_draft, emit_finalized, finalize, find_invoice, insert_draft, list_invoices as list,
            update_draft, void,
        },
        whose,
    },
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    privacy::{Buyer, find_buyer},
};
use uuid::Uuid;

/// Documents, newest first; invoices unless `kind` says otherwise.
#[utoipa::path(get, path = "/api/finance/invoices", operation_id = "list_invoices", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(InvoiceFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Invoice>)))]
pub(crate) async fn list_invoices(mut cx: Cx<ReadFinance>, query: QueryString) -> ApiResult {
    let mut query: ListQuery<InvoiceFilter> = query.list(cx.zone())?;
    query.filter.search_fields = cx.actor.searches();
    let page = list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// Makes a draft; the totals are computed here.
#[utoipa::path(post, path = "/api/finance/invoices", operation_id = "create_invoice", tag = "finance",
    extensions(("x-role" = json!("staff"))), request_body = NewInvoice,
    responses((status = 201, body = Invoice)))]
pub(crate) async fn create_invoice(mut cx: Cx<WriteFinance>, Valid(new): Valid<NewInvoice>) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    whose::require_own_lead(&mut cx.tx, new.lead_id, cx.actor.own_records_of()).await?;
    let invoice = insert_draft(&mut cx.tx, now, new, by).await?;
    cx.commit(created(invoice)).await
}

/// One document.
#[utoipa::path(get, path = "/api/finance/invoices/{id}", operation_id = "get_invoice", tag = "finance",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Invoice)))]
pub(crate) async fn get_invoice(mut cx: Cx<ReadFinance>, PathId(id): PathId) -> ApiResult {
    require_visible(&mut cx, id).await?;
    let invoice = find_invoice(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let invoice = cx.actor.shown(invoice);
    cx.commit(shown(invoice)).await
}

/// Changes a draft. A finalized document is immutable.
#[utoipa::path(patch, path = "/api/finance/invoices/{id}", operation_id = "update_invoice", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = InvoicePatch, responses((status = 200, body = Invoice)))]
pub(crate) async fn update_invoice(
    mut cx: Cx<WriteFinance>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<InvoicePatch>,
) -> ApiResult {
    require_visible(&mut cx, id).await?;
    if patch.lead_id.is_mentioned() {
        let lead = patch.lead_id.as_set().copied();
        whose::require_own_lead(&mut cx.tx, lead, cx.actor.own_records_of()).await?;
    }
    let invoice = update_draft(&mut cx.tx, id, &seen, patch).await?;
    cx.commit(shown(invoice)).await
}

/// Throws a draft away. A finalized document is immutable.
#[utoipa::path(delete, path = "/api/finance/invoices/{id}", operation_id = "delete_invoice", tag = "finance",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_invoice(mut cx: Cx<WriteFinance>, PathId(id): PathId, seen: IfMatch) -> ApiResult {
    require_visible(&mut cx, id).await?;
    delete_draft(&mut cx.tx, id, &seen).await?;
    cx.commit(NoContent).await
}

/// Gives a draft its gap-free number and makes it a claim.
#[utoipa::path(post, path = "/api/finance/invoices/{id}/finalize", operation_id = "finalize_invoice", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Invoice)))]
pub(crate) async fn finalize_invoice(mut cx: Cx<ManageFinance>, PathId(id): PathId) -> ApiResult {
    let now = cx.now();
    require_visible(&mut cx, id).await?;
    let invoice = finalize(&mut cx.tx, now, id).await?;
    emit_finalized(&mut cx.tx, now, &invoice).await?;
    cx.note("invoice.finalized", ("invoice", id), (None, None)).await?;
    cx.commit(shown(invoice)).await
}

/// Voids an invoice that nobody has paid anything for. Its number stays used.
#[utoipa::path(post, path = "/api/finance/invoices/{id}/void", operation_id = "void_invoice", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Invoice)))]
pub(crate) async fn void_invoice(mut cx: Cx<ManageFinance>, PathId(id): PathId) -> ApiResult {
    let now = cx.now();
    require_visible(&mut cx, id).await?;
    let invoice = void(&mut cx.tx, now, id).await?;
    cx.note("invoice.voided", ("invoice", id), (None, None)).await?;
    cx.commit(shown(invoice)).await
}

/// Who a document was made out to. Of a person who was erased the name and address are kept sealed, because the law wants the document
/// whole; reading them is an entry of the audit log.
#[utoipa::path(get, path = "/api/finance/invoices/{id}/buyer", operation_id = "get_invoice_buyer", tag = "finance",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), responses((status = 200, body = Buyer)))]
pub(crate) async fn get_invoice_buyer(
    mut cx: Cx<ReadSealedBuyer>,
    State(app): State<App>,
    PathId(id): PathId,
) -> ApiResult {
    let own_records_of = cx.actor.own_records_of();
    let found = find_buyer(&mut cx.tx, app.secret_box(), id, own_records_of).await?;
    let buyer = found.ok_or_else(Problem::not_found)?;
    if buyer.sealed {
        cx.note("invoice.buyer_opened", ("invoice", id), (None, None)).await?;
    }
    cx.commit(Json(buyer)).await
}

/// Takes back an amount or lines of an invoice. Money that this sets free goes back or stays as the customer's credit; for it to
/// go back (`settle: refund`) the password is wanted within the last five minutes, as for every refund.
#[utoipa::path(post, path = "/api/finance/invoices/{id}/credit-notes", operation_id = "create_credit_note", tag = "finance",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = NewCreditNote,
    responses((status = 201, body = Invoice)))]
pub(crate) async fn create_credit_note(
    mut cx: Cx<ManageFinance>,
    PathId(id): PathId,
    Valid(new): Valid<NewCreditNote>,
) -> ApiResult {
    let (now, by) = (cx.now(), cx.actor.user_id());
    let pays_out = new.settle == Settle::Refund;
    if pays_out {
        cx.actor.require_fresh(now)?;
    }
    require_visible(&mut cx, id).await?;
    let note = credit_invoice(&mut cx.tx, now, id, new, by).await?;
    let after =
        json!({"creditNoteId": note.id, "total": note.total, "currency": note.currency, "paysOut": pays_out});
    cx.note("invoice.credited", ("invoice", id), (None, Some(after))).await?;
    cx.commit(created(note)).await
}

/// 404 unless the caller may see the document.
pub(crate) async fn require_visible<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<()> {
    let visible = whose::visible_invoices(&mut cx.tx, &[id], cx.actor.own_records_of()).await?;
    if visible.is_empty() { Err(Problem::not_found()) } else { Ok(()) }
}

fn created(invoice: Invoice) -> Versioned<Created<Invoice>> {
    let location = format!("/api/finance/invoices/{}", invoice.id);
    Versioned { version: invoice.version, answer: Created { location, body: invoice } }
}

const fn shown(invoice: Invoice) -> Versioned<Json<Invoice>> {
    Versioned { version: invoice.version, answer: Json(invoice) }
}
