//! Runs: watched, cancelled, tried again.

use axum::Json;
use shared::{
    auth::{ManageRuns, Permission, ReadAutomations},
    automations::{self, Retry, Run, RunFilter, Stats},
    http::{ApiResult, Cx, Hashed, ListQuery, Page, PathId, Problem, QueryString, ValidOrDefault},
};
use uuid::Uuid;

/// Runs, newest first, without their steps.
#[utoipa::path(get, path = "/api/automations/runs", operation_id = "list_runs", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(RunFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Run>)))]
pub(crate) async fn list_runs(mut cx: Cx<ReadAutomations>, query: QueryString) -> ApiResult {
    let query: ListQuery<RunFilter> = query.list(cx.zone())?;
    let own = cx.actor.own_records_of();
    let page = automations::list_runs(&mut cx.tx, &query, own).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// The runs of one automation.
#[utoipa::path(get, path = "/api/automations/{id}/runs", operation_id = "list_runs_of_automation", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path), RunFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Run>)))]
pub(crate) async fn list_runs_of_automation(
    mut cx: Cx<ReadAutomations>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let mut query: ListQuery<RunFilter> = query.list(cx.zone())?;
    automations::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    query.filter.automation_id = vec![id];
    let own = cx.actor.own_records_of();
    let page = automations::list_runs(&mut cx.tx, &query, own).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// How many runs stand where, and how often each step was reached.
#[utoipa::path(get, path = "/api/automations/{id}/stats", operation_id = "get_automation_stats", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Stats)))]
pub(crate) async fn get_stats(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    automations::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let stats = automations::stats(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    cx.commit(Json(stats)).await
}

/// One run with its steps.
#[utoipa::path(get, path = "/api/automations/runs/{id}", operation_id = "get_run", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Run)))]
pub(crate) async fn get_run(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let run = find(&mut cx, id).await?;
    let run = cx.actor.shown(run);
    cx.commit(Hashed(run)).await
}

/// Cancels a run. What it has planned and not begun to send is called back; one that a worker holds ends at its next look.
#[utoipa::path(post, path = "/api/automations/runs/{id}/cancel", operation_id = "cancel_run", tag = "automations",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 200, body = Run)))]
pub(crate) async fn cancel_run(mut cx: Cx<ManageRuns>, PathId(id): PathId) -> ApiResult {
    let run = find(&mut cx, id).await?;
    match run.status.as_str() {
        "cancelled" => return cx.commit(Json(run)).await,
        "completed" | "failed" | "skipped" => {
            return Err(Problem::conflict("run_ended", "The run has ended."));
        }
        _ => {}
    }
    automations::cancel(&mut cx.tx, id).await?;
    let run = find(&mut cx, id).await?;
    cx.commit(Json(run)).await
}

/// Tries a stopped run again: at the step that failed, where what was done stays done, or from the start.
#[utoipa::path(post, path = "/api/automations/runs/{id}/retry", operation_id = "retry_run", tag = "automations",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = Option<Retry>,
    responses((status = 200, body = Run)))]
pub(crate) async fn retry_run(
    mut cx: Cx<ManageRuns>,
    PathId(id): PathId,
    ValidOrDefault(retry): ValidOrDefault<Retry>,
) -> ApiResult {
    find(&mut cx, id).await?;
    if !automations::retry(&mut cx.tx, id, retry).await? {
        return Err(Problem::conflict(
            "run_not_stopped",
            "Only a run that failed, was cancelled or needs attention is tried again.",
        ));
    }
    let run = find(&mut cx, id).await?;
    cx.commit(Json(run)).await
}

async fn find<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<Run> {
    let own = cx.actor.own_records_of();
    automations::find_run(&mut cx.tx, id, own).await?.ok_or_else(Problem::not_found)
}
