//! The caller's business.

use axum::{Extension, Json};
use serde_json::to_value;
use shared::{
    accounts::{self, Tenant, TenantPatch},
    audit,
    auth::{ReadSelf, WriteAdmin},
    http::{ApiResult, Cx, IfMatch, Problem, RequestId, Valid, Versioned},
};

/// One's own business and its settings.
#[utoipa::path(get, path = "/api/tenant", operation_id = "get_tenant", tag = "auth",
    extensions(("x-role" = json!("viewer"))), responses((status = 200, body = Tenant)))]
pub(crate) async fn get_tenant(mut cx: Cx<ReadSelf>) -> ApiResult {
    let tenant = accounts::find_tenant(&mut cx.tx).await?;
    cx.commit(Versioned { version: tenant.version, answer: Json(tenant) }).await
}

/// Changes the business and its settings.
#[utoipa::path(patch, path = "/api/tenant", operation_id = "update_tenant", tag = "auth",
    extensions(("x-role" = json!("admin"))), request_body = TenantPatch, responses((status = 200, body = Tenant)))]
pub(crate) async fn update_tenant(
    mut cx: Cx<WriteAdmin>,
    if_match: IfMatch,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(patch): Valid<TenantPatch>,
) -> ApiResult {
    let before = accounts::find_tenant(&mut cx.tx).await?;
    if_match.require(before.version)?;
    // Somebody else's change in between: the caller has not seen it.
    let tenant = accounts::update_tenant(&mut cx.tx, before.version, &patch).await?.ok_or_else(|| {
        Problem::conflict("concurrent_change", "Another request changed the same data; try again.")
            .retry_after(1)
    })?;
    let entry = audit::Entry::by(&cx.actor, "tenant.updated", "tenant", tenant.id)
        .change(to_value(&before).ok(), to_value(&tenant).ok())
        .request(&request);
    audit::append(&mut cx.tx, &entry).await?;
    cx.commit(Versioned { version: tenant.version, answer: Json(tenant) }).await
}
