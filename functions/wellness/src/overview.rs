//! What can be measured, and a person at a glance.

use axum::Json;
use shared::{
    auth::ReadWellness,
    http::{ApiResult, Cx, Page, QueryString},
    wellness::{self, Summary, TypeOut},
};

/// Every type that can be recorded: the built-in ones, the business's own, and its changes.
#[utoipa::path(get, path = "/api/wellness/types", operation_id = "list_metric_types", tag = "wellness",
    extensions(("x-role" = json!("staff"))), responses((status = 200, body = Page<TypeOut>)))]
pub(crate) async fn list_metric_types(mut cx: Cx<ReadWellness>, query: QueryString) -> ApiResult {
    query.read(cx.zone(), |_| ())?;
    let items = wellness::list_types(&mut cx.tx).await?;
    cx.commit(Json(Page { items, next_cursor: None, total: None })).await
}

/// For each type of one person: the latest value, today, the mean day of a week and of a month.
#[utoipa::path(get, path = "/api/wellness/summary", operation_id = "get_wellness_summary", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(("leadId" = Uuid, Query, description = "The person.")),
    responses((status = 200, body = Summary)))]
pub(crate) async fn get_wellness_summary(mut cx: Cx<ReadWellness>, query: QueryString) -> ApiResult {
    let lead = query.read(cx.zone(), |params| {
        let leads = params.ids("leadId");
        if leads.len() != 1 {
            params.refuse("leadId", "required", "A summary is of one lead.");
        }
        leads.first().copied().unwrap_or_default()
    })?;
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let summary = wellness::read_summary(&mut cx.tx, now, lead, own).await?;
    cx.commit(Json(summary)).await
}
