//! From draft to published and back out of use.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    auth::{ManageAutomations, ReadAutomations},
    automations::{self, Automation, GraphProblem, PausePolicy, Version, refuse},
    db::TenantTx,
    http::{ApiResult, Check, Cx, Page, PathId, Problem, ValidOrDefault, Versioned},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// What is wrong with a draft, if anything.
#[derive(Serialize, ToSchema)]
pub(crate) struct Validation {
    /// Whether it can be published.
    valid: bool,
    /// Everything that is wrong.
    errors: Vec<GraphProblem>,
}

/// How to pause.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Pause {
    /// What happens to the runs under way: `hold` (they go on when it is resumed) or `drop` (they are cancelled).
    #[schema(inline)]
    policy: PausePolicy,
}

impl Check for Pause {}

/// Says what keeps a draft from being published.
#[utoipa::path(post, path = "/api/automations/{id}/validate", operation_id = "validate_automation", tag = "automations",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("automations:read"))), params(("id" = Uuid, Path)), responses((status = 200, body = Validation)))]
pub(crate) async fn validate_automation(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let automation = automations::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let errors = problems(&mut cx.tx, &automation).await?;
    cx.commit(Json(Validation { valid: errors.is_empty(), errors })).await
}

/// Freezes the draft as the next version, which new runs take from now on. Runs under way stay on theirs.
#[utoipa::path(post, path = "/api/automations/{id}/publish", operation_id = "publish_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = Automation)))]
pub(crate) async fn publish_automation(mut cx: Cx<ManageAutomations>, PathId(id): PathId) -> ApiResult {
    let draft = automations::find_for_update(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    if draft.status == "archived" {
        return Err(Problem::conflict("archived", "An archived automation cannot be published."));
    }
    let errors = problems(&mut cx.tx, &draft).await?;
    if !errors.is_empty() {
        return Err(refuse(errors));
    }
    let by = cx.actor.user_id();
    let published = automations::publish(&mut cx.tx, id, &draft.definition(), by).await?;
    let published = published.ok_or_else(Problem::not_found)?;
    let now = cx.now();
    automations::schedule::arm(&mut cx.tx, now, &published).await?;
    answer(cx, "automation.published", published).await
}

/// Stops an active automation from starting and moving runs.
#[utoipa::path(post, path = "/api/automations/{id}/pause", operation_id = "pause_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), request_body = Option<Pause>,
    responses((status = 200, body = Automation)))]
pub(crate) async fn pause_automation(
    mut cx: Cx<ManageAutomations>,
    PathId(id): PathId,
    ValidOrDefault(pause): ValidOrDefault<Pause>,
) -> ApiResult {
    match automations::pause(&mut cx.tx, id, pause.policy).await? {
        Some(paused) => answer(cx, "automation.paused", paused).await,
        None => Err(refused(&mut cx.tx, id, "not_active", "Only an active automation can be paused.").await?),
    }
}

/// Lets a paused automation go on; what was held goes on first.
#[utoipa::path(post, path = "/api/automations/{id}/resume", operation_id = "resume_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = Automation)))]
pub(crate) async fn resume_automation(mut cx: Cx<ManageAutomations>, PathId(id): PathId) -> ApiResult {
    match automations::resume(&mut cx.tx, id).await? {
        Some(resumed) => {
            let now = cx.now();
            automations::schedule::arm(&mut cx.tx, now, &resumed).await?;
            answer(cx, "automation.resumed", resumed).await
        }
        None => Err(refused(&mut cx.tx, id, "not_paused", "Only a paused automation can be resumed.").await?),
    }
}

/// The published versions, latest first.
#[utoipa::path(get, path = "/api/automations/{id}/versions", operation_id = "list_automation_versions", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Page<Version>)))]
pub(crate) async fn list_versions(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let items = automations::versions(&mut cx.tx, id).await?;
    if items.is_empty() && automations::find(&mut cx.tx, id).await?.is_none() {
        return Err(Problem::not_found());
    }
    cx.commit(Json(Page { items, next_cursor: None, total: None })).await
}

async fn answer(mut cx: Cx<ManageAutomations>, action: &str, automation: Automation) -> ApiResult {
    let after = json!({"status": automation.status, "version": automation.current_version});
    cx.note(action, ("automation", automation.id), (None, Some(after))).await?;
    cx.commit(Versioned { version: automation.row_version, answer: Json(automation) }).await
}

/// 404 or 409, whichever it is.
async fn refused(
    tx: &mut TenantTx,
    id: Uuid,
    code: &'static str,
    detail: &'static str,
) -> ApiResult<Problem> {
    let there = automations::find(tx, id).await?.is_some();
    Ok(if there { Problem::conflict(code, detail) } else { Problem::not_found() })
}

/// Everything that keeps a draft from being published.
async fn problems(tx: &mut TenantTx, automation: &Automation) -> ApiResult<Vec<GraphProblem>> {
    Ok(match automation.definition().graph() {
        Err(problems) => problems,
        Ok(graph) if graph.steps.is_empty() => {
            vec![GraphProblem::at("/steps", "required", "An automation without steps does nothing.")]
        }
        Ok(graph) => automations::missing_references(tx, &graph).await?,
    })
}
