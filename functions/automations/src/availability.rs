//! When colleagues can be given leads.

use axum::Json;
use shared::{
    assignment::{self, Availability},
    auth::{Permission, ReadAutomations, Role, WriteAutomations},
    http::{Actor, ApiResult, Cx, PathId, Problem, Valid},
};
use uuid::Uuid;

/// When a colleague can be given leads.
#[utoipa::path(get, path = "/api/users/{id}/availability", operation_id = "get_availability", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Availability)))]
pub(crate) async fn get_availability(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let availability = assignment::find_availability(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(availability)).await
}

/// Says when a colleague can be given leads: working hours on their own clock, and leave. One's own is everybody's to say, a
/// colleague's takes a manager.
#[utoipa::path(put, path = "/api/users/{id}/availability", operation_id = "set_availability", tag = "automations",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Availability,
    responses((status = 200, body = Availability)))]
pub(crate) async fn set_availability(
    mut cx: Cx<WriteAutomations>,
    PathId(id): PathId,
    Valid(availability): Valid<Availability>,
) -> ApiResult {
    let is_known = assignment::find_availability(&mut cx.tx, id).await?.is_some();
    if !is_known {
        return Err(Problem::not_found());
    }
    require_say(&cx, id)?;
    assignment::set_availability(&mut cx.tx, id, &availability).await?;
    cx.commit(Json(availability)).await
}

fn require_say<P: Permission>(cx: &Cx<P>, user: Uuid) -> ApiResult<()> {
    match &cx.actor {
        Actor::User { id, role, .. } if *id != user && *role < Role::Manager => {
            Err(Problem::role_required(Role::Manager))
        }
        Actor::User { .. } | Actor::Key { .. } => Ok(()),
    }
}
