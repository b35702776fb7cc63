//! The caller's business.

use axum::{Json, http::StatusCode};
use serde::Serialize;
use serde_json::to_value;
use shared::{
    accounts::{self, TableCount, Tenant, TenantPatch},
    auth::{Access, Permission, Proof, ReadTenant, Role, Scope, Surface, WriteAdmin},
    http::{ApiResult, Cx, IfMatch, Problem, Valid, Versioned},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Ending the business: its owner, in person, with the password given just now, suspended or not.
pub(crate) struct EndTenant;

impl Permission for EndTenant {
    const ROLE: Role = Role::Owner;
    const SCOPE: Scope = Scope { surface: Surface::Admin, access: Access::Write };
    const PROOF: Proof = Proof::FreshSession;
    const WHEN_SUSPENDED: bool = true;
}

/// How far the end of a business has come.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ending {
    /// Everything is gone.
    Deleted,
    /// Nobody can enter it any more; its rows are being removed.
    Deleting,
}

/// What was removed with a business.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasedTenant {
    /// The business that was.
    tenant_id: Uuid,
    /// How far it has come.
    status: Ending,
    /// The tables that had rows of it, and how many.
    deleted: Vec<TableCount>,
    /// The tables that still have any: none once it is deleted.
    remaining: Vec<TableCount>,
}

/// One's own business and its settings.
#[utoipa::path(get, path = "/api/tenant", operation_id = "get_tenant", tag = "auth",
    extensions(("x-role" = json!("viewer"))), responses((status = 200, body = Tenant)))]
pub(crate) async fn get_tenant(mut cx: Cx<ReadTenant>) -> ApiResult {
    let tenant = accounts::find_tenant(&mut cx.tx).await?;
    cx.commit(Versioned { version: tenant.version, answer: Json(tenant) }).await
}

/// Changes the business and its settings.
#[utoipa::path(patch, path = "/api/tenant", operation_id = "update_tenant", tag = "auth",
    extensions(("x-role" = json!("admin"))), request_body = TenantPatch, responses((status = 200, body = Tenant)))]
pub(crate) async fn update_tenant(
    mut cx: Cx<WriteAdmin>,
    if_match: IfMatch,
    Valid(patch): Valid<TenantPatch>,
) -> ApiResult {
    let before = accounts::find_tenant(&mut cx.tx).await?;
    if_match.require(before.version)?;
    // Somebody else's change in between: the caller has not seen it.
    let tenant = accounts::update_tenant(&mut cx.tx, before.version, &patch)
        .await?
        .ok_or_else(Problem::concurrent_change)?;
    cx.note("tenant.updated", ("tenant", tenant.id), (to_value(&before).ok(), to_value(&tenant).ok()))
        .await?;
    cx.commit(Versioned { version: tenant.version, answer: Json(tenant) }).await
}

/// Removes the business with everything that it has, for good, and says how much it was. A large one is closed at once and removed within the
/// minutes that follow: 202, with what is to be removed.
#[utoipa::path(delete, path = "/api/tenant", operation_id = "delete_tenant", tag = "auth",
    extensions(("x-role" = json!("owner")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))),
    responses((status = 200, body = ErasedTenant), (status = 202, body = ErasedTenant)))]
pub(crate) async fn delete_tenant(mut cx: Cx<EndTenant>) -> ApiResult {
    let tenant_id = cx.tx.tenant();
    let deleted = accounts::count_rows(&mut cx.tx).await?;
    if !accounts::fits_a_request(&deleted) {
        accounts::end_tenant(&mut cx.tx).await?;
        tracing::warn!(tenant = %tenant_id, tables = deleted.len(), "a business is being removed");
        let answer =
            ErasedTenant { tenant_id, status: Ending::Deleting, deleted: Vec::new(), remaining: deleted };
        return cx.commit((StatusCode::ACCEPTED, Json(answer))).await;
    }
    accounts::erase_tenant(&mut cx.tx).await?;
    let remaining = accounts::count_rows(&mut cx.tx).await?;
    if !remaining.is_empty() {
        tracing::error!(tenant = %tenant_id, "a business was not removed wholly");
        return Err(Problem::internal());
    }
    tracing::warn!(tenant = %tenant_id, tables = deleted.len(), "a business was removed");
    cx.commit(Json(ErasedTenant { tenant_id, status: Ending::Deleted, deleted, remaining })).await
}
