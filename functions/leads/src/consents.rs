//! What a person allowed or refused.

use axum::Json;
use shared::{
    auth::{ReadLeadLedgers, WriteLeads},
    http::{ApiResult, Created, Cx, ListQuery, Page, PathId, QueryString, Valid},
    leads::{self, Consent, ConsentFilter, NewConsent},
};

use crate::leads::{hold_lead, require_lead};

/// The ledger of a lead's consents, latest first.
#[utoipa::path(get, path = "/api/leads/{id}/consents", operation_id = "list_consents", tag = "leads",
    extensions(("x-role" = json!("staff"))),
    params(("id" = Uuid, Path), ConsentFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Consent>)))]
pub(crate) async fn list_consents(
    mut cx: Cx<ReadLeadLedgers>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let query: ListQuery<ConsentFilter> = query.list(cx.zone())?;
    require_lead(&mut cx, id).await?;
    let page = leads::list_consents(&mut cx.tx, id, &query).await?;
    cx.commit(Json(page)).await
}

/// Enters what the person said. The latest entry of a channel and purpose holds; the earlier ones stay.
#[utoipa::path(post, path = "/api/leads/{id}/consents", operation_id = "create_consent", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewConsent,
    responses((status = 201, body = Consent)))]
pub(crate) async fn create_consent(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    Valid(new): Valid<NewConsent>,
) -> ApiResult {
    hold_lead(&mut cx, id).await?;
    let (now, actor) = (cx.now(), (cx.actor.kind(), Some(cx.actor.id())));
    let consent = leads::insert_consent(&mut cx.tx, now, id, new, actor).await?;
    cx.commit(Created { location: format!("/api/leads/{id}/consents"), body: consent }).await
}
