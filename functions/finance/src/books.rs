//! Reports, the ledger, and whether the money adds up.

use axum::Json;
use shared::{
    auth::ReadBooks,
    finance::{
        integrity::{self, Integrity},
        ledger::{LedgerEntry, LedgerFilter, list_entries},
        reports::{self, Aging, Period, Report, Revenue, Span, Takings, TaxTotal},
    },
    http::{ApiResult, Cx, ListQuery, Page, QueryString},
};

/// Money that moved, by day and tender.
#[utoipa::path(get, path = "/api/finance/reports/takings", operation_id = "get_takings", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(Span),
    responses((status = 200, body = Report<Takings>)))]
pub(crate) async fn get_takings(mut cx: Cx<ReadBooks>, query: QueryString) -> ApiResult {
    let span = query.read(cx.zone(), Span::read)?;
    let report = reports::takings(&mut cx.tx, span).await?;
    cx.commit(Json(report)).await
}

/// What was earned, by day or month.
#[utoipa::path(get, path = "/api/finance/reports/revenue", operation_id = "get_revenue", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))),
    params(Span, ("groupBy" = Option<String>, Query, description = "day, month")),
    responses((status = 200, body = Report<Revenue>)))]
pub(crate) async fn get_revenue(mut cx: Cx<ReadBooks>, query: QueryString) -> ApiResult {
    let (span, period) = query.read(cx.zone(), |params| (Span::read(params), Period::read(params)))?;
    let report = reports::revenue(&mut cx.tx, span, period).await?;
    cx.commit(Json(report)).await
}

/// Taxes by rate, credit notes taken off.
#[utoipa::path(get, path = "/api/finance/reports/tax", operation_id = "get_taxes", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(Span),
    responses((status = 200, body = Report<TaxTotal>)))]
pub(crate) async fn get_taxes(mut cx: Cx<ReadBooks>, query: QueryString) -> ApiResult {
    let span = query.read(cx.zone(), Span::read)?;
    let report = reports::taxes(&mut cx.tx, span).await?;
    cx.commit(Json(report)).await
}

/// What is owed, by how long it is due.
#[utoipa::path(get, path = "/api/finance/reports/aging", operation_id = "get_aging", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))),
    params(("asOf" = Option<String>, Query, description = "The day that ages are counted to; today when left out.")),
    responses((status = 200, body = Aging)))]
pub(crate) async fn get_aging(mut cx: Cx<ReadBooks>, query: QueryString) -> ApiResult {
    let as_of = query.read(cx.zone(), reports::read_as_of)?;
    let today = cx.now().with_timezone(&cx.zone()).date_naive();
    let report = reports::aging(&mut cx.tx, as_of.unwrap_or(today)).await?;
    cx.commit(Json(report)).await
}

/// The ledger, newest first.
#[utoipa::path(get, path = "/api/finance/ledger", operation_id = "list_ledger", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(LedgerFilter, shared::http::PageParams),
    responses((status = 200, body = Page<LedgerEntry>)))]
pub(crate) async fn list_ledger(mut cx: Cx<ReadBooks>, query: QueryString) -> ApiResult {
    let query: ListQuery<LedgerFilter> = query.list(cx.zone())?;
    let page = list_entries(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Whether ledger, documents and payments agree.
#[utoipa::path(get, path = "/api/finance/integrity", operation_id = "check_integrity", tag = "finance",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), responses((status = 200, body = Integrity)))]
pub(crate) async fn check_integrity(mut cx: Cx<ReadBooks>) -> ApiResult {
    let integrity = integrity::check(&mut cx.tx).await?;
    cx.commit(Json(integrity)).await
}
