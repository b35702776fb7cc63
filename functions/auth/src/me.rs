//! The caller's own profile.

use axum::Json;
use serde::Serialize;
use shared::{
    accounts::{self, SelfPatch, User},
    auth::{ReadSelf, WriteSelf},
    http::{ApiResult, Cx, IfMatch, Problem, Valid, Versioned},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::door::person;

/// One's own profile.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    #[serde(flatten)]
    user: User,
    /// One's own business.
    tenant_id: Uuid,
}

/// One's own profile.
#[utoipa::path(get, path = "/api/me", operation_id = "get_me", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), responses((status = 200, body = Me)))]
pub(crate) async fn get_me(mut cx: Cx<ReadSelf>) -> ApiResult {
    let (id, _) = person(&cx.actor)?;
    let user = accounts::find_user(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let tenant_id = cx.tx.tenant();
    cx.commit(Versioned { version: user.version, answer: Json(Me { user, tenant_id }) }).await
}

/// Changes one's own profile.
#[utoipa::path(patch, path = "/api/me", operation_id = "update_me", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), request_body = SelfPatch, responses((status = 200, body = Me)))]
pub(crate) async fn update_me(
    mut cx: Cx<WriteSelf>,
    if_match: IfMatch,
    Valid(patch): Valid<SelfPatch>,
) -> ApiResult {
    let (id, _) = person(&cx.actor)?;
    let current = accounts::find_user(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    if_match.require(current.version)?;
    let user = accounts::update_self(&mut cx.tx, id, current.version, patch)
        .await?
        .ok_or_else(Problem::concurrent_change)?;
    let tenant_id = cx.tx.tenant();
    cx.commit(Versioned { version: user.version, answer: Json(Me { user, tenant_id }) }).await
}
