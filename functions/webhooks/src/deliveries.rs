//! Deliveries to endpoints, and the journal that they come from.

use axum::Json;
use serde_json::json;
use shared::{
    auth::{Permission, ReadWebhooks, WriteWebhooks},
    events::journal::{self, JournalEntry, JournalFilter},
    http::{Accepted, ApiResult, Cx, ListQuery, Page, PathId, Problem, QueryString, Valid},
    webhooks::{
        deliveries::{self, Delivery, DeliveryFilter, Redelivered, Redelivery},
        endpoints,
    },
};

/// An endpoint's deliveries, latest first.
#[utoipa::path(get, path = "/api/webhook-endpoints/{id}/deliveries", operation_id = "list_webhook_deliveries",
    tag = "webhooks", extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))),
    params(("id" = Uuid, Path), DeliveryFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Delivery>)))]
pub(crate) async fn list_webhook_deliveries(
    mut cx: Cx<ReadWebhooks>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let query: ListQuery<DeliveryFilter> = query.list(cx.zone())?;
    require_endpoint(&mut cx, id).await?;
    let page = deliveries::list(&mut cx.tx, id, &query).await?;
    cx.commit(Json(page)).await
}

/// Delivers again: named deliveries, all that failed in a range, or events that the endpoint missed.
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/redeliver", operation_id = "redeliver_webhook_deliveries",
    tag = "webhooks", extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)),
    request_body = Redelivery, responses((status = 202, body = Redelivered)))]
pub(crate) async fn redeliver_webhook_deliveries(
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    Valid(redelivery): Valid<Redelivery>,
) -> ApiResult {
    let endpoint = require_endpoint(&mut cx, id).await?;
    if endpoint.status != "active" {
        return Err(Problem::conflict("endpoint_disabled", "Activate the endpoint first."));
    }
    let redelivered = deliveries::redeliver(&mut cx.tx, id, &redelivery).await?;
    let after = json!({"count": redelivered.count});
    cx.note("webhook_endpoint.redelivered", ("webhookEndpoint", id), (None, Some(after))).await?;
    cx.commit(Accepted(redelivered)).await
}

/// Everything that happened, in the order in which it was written down. Latest first, or with `sort=recordedAt` as a
/// journal to be followed.
#[utoipa::path(get, path = "/api/events", operation_id = "list_events", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(JournalFilter, shared::http::PageParams),
    responses((status = 200, body = Page<JournalEntry>)))]
pub(crate) async fn list_events(mut cx: Cx<ReadWebhooks>, query: QueryString) -> ApiResult {
    let query: ListQuery<JournalFilter> = query.list(cx.zone())?;
    let page = journal::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

async fn require_endpoint<P: Permission>(cx: &mut Cx<P>, id: uuid::Uuid) -> ApiResult<endpoints::Endpoint> {
    endpoints::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)
}
