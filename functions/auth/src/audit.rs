//! The audit log.

use axum::Json;
use shared::{
    audit::{self, Anchor, AuditEntry, AuditFilter, Verification},
    auth::ReadAdmin,
    http::{ApiResult, Cx, ListQuery, Page, PageParams, QueryString},
};

/// Who did what, latest first.
#[utoipa::path(get, path = "/api/audit", operation_id = "list_audit", tag = "auth",
    extensions(("x-role" = json!("admin"))), params(AuditFilter, PageParams),
    responses((status = 200, body = Page<AuditEntry>)))]
pub(crate) async fn list_audit(mut cx: Cx<ReadAdmin>, query: QueryString) -> ApiResult {
    let query: ListQuery<AuditFilter> = query.list(cx.zone())?;
    let page = audit::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Walks the chain of the audit log and says where it does not fit. With `seq` and `hash` of a head that was written down, as a line
/// of the log does every night, it says as well whether the chain is still that one.
#[utoipa::path(get, path = "/api/audit/verify", operation_id = "verify_audit", tag = "auth",
    extensions(("x-role" = json!("admin"))), params(Anchor), responses((status = 200, body = Verification)))]
pub(crate) async fn verify_audit(mut cx: Cx<ReadAdmin>, query: QueryString) -> ApiResult {
    let anchor = query.read(cx.zone(), Anchor::read)?;
    let verification = audit::verify(&mut cx.tx, &anchor).await?;
    cx.commit(Json(verification)).await
}
