//! Definitions: drafted, read, edited, archived.

use axum::Json;
use shared::{
    auth::{ManageAutomations, ReadAutomations},
    automations::{
        self, Automation, AutomationFilter, AutomationPatch, Definition, NewAutomation, catalog, refuse,
    },
    db::TenantTx,
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
};

/// Automations, newest first.
#[utoipa::path(get, path = "/api/automations", operation_id = "list_automations", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(AutomationFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Automation>)))]
pub(crate) async fn list_automations(mut cx: Cx<ReadAutomations>, query: QueryString) -> ApiResult {
    let query: ListQuery<AutomationFilter> = query.list(cx.zone())?;
    let page = automations::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Drafts an automation. Everything that is wrong with its graph is named at once.
#[utoipa::path(post, path = "/api/automations", operation_id = "create_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), request_body = NewAutomation,
    responses((status = 201, body = Automation)))]
pub(crate) async fn create_automation(
    mut cx: Cx<ManageAutomations>,
    Valid(new): Valid<NewAutomation>,
) -> ApiResult {
    let (name, definition) = new.into_parts();
    require_right(&mut cx.tx, &definition).await?;
    let author = cx.actor.user_id();
    let automation = automations::insert(&mut cx.tx, name.as_str(), &definition, author).await?;
    cx.note("automation.created", ("automation", automation.id), (None, None)).await?;
    let created = Created { location: format!("/api/automations/{}", automation.id), body: &automation };
    cx.commit(Versioned { version: automation.row_version, answer: created }).await
}

/// What definitions are made of: triggers with the fields of their events, steps with the schema of their own.
#[utoipa::path(get, path = "/api/automations/catalog", operation_id = "get_automation_catalog", tag = "automations",
    extensions(("x-role" = json!("viewer"))), responses((status = 200, body = catalog::Catalog)))]
pub(crate) async fn get_catalog(cx: Cx<ReadAutomations>) -> ApiResult {
    cx.commit(Json(catalog::catalog())).await
}

/// One automation, as it is edited.
#[utoipa::path(get, path = "/api/automations/{id}", operation_id = "get_automation", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Automation)))]
pub(crate) async fn get_automation(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let automation = automations::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: automation.row_version, answer: Json(automation) }).await
}

/// Edits the draft. What is published goes on as it is until the draft is published too.
#[utoipa::path(patch, path = "/api/automations/{id}", operation_id = "update_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), request_body = AutomationPatch,
    responses((status = 200, body = Automation)))]
pub(crate) async fn update_automation(
    mut cx: Cx<ManageAutomations>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<AutomationPatch>,
) -> ApiResult {
    let before = automations::find_for_update(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    if_match.require(before.row_version)?;
    let (name, definition) = patch.apply(&before);
    require_right(&mut cx.tx, &definition).await?;
    let automation = automations::update(&mut cx.tx, id, &name, &definition)
        .await?
        .ok_or_else(|| Problem::conflict("archived", "An archived automation does not change."))?;
    cx.note_change("automation.updated", ("automation", id), (&before, &automation)).await?;
    cx.commit(Versioned { version: automation.row_version, answer: Json(automation) }).await
}

/// Archives an automation and cancels its runs.
#[utoipa::path(delete, path = "/api/automations/{id}", operation_id = "delete_automation", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_automation(
    mut cx: Cx<ManageAutomations>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let before = automations::find_for_update(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    if_match.require(before.row_version)?;
    automations::archive(&mut cx.tx, id).await?;
    cx.note("automation.deleted", ("automation", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// Refuses a definition with everything that is wrong.
async fn require_right(tx: &mut TenantTx, definition: &Definition) -> ApiResult<()> {
    let graph = definition.graph().map_err(refuse)?;
    let missing = automations::missing_references(tx, &graph).await?;
    if missing.is_empty() { Ok(()) } else { Err(refuse(missing)) }
}
