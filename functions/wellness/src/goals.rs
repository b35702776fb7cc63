//! Goals.

use axum::Json;
use shared::{
    auth::{ReadWellness, WriteWellness},
    db::OnConstraint,
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    wellness::{self, Goal, GoalFilter, GoalPatch, NewGoal, TypeOut},
};

use crate::metrics::find_type;

/// Goals with their progress, newest first.
#[utoipa::path(get, path = "/api/wellness/goals", operation_id = "list_goals", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(GoalFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Goal>)))]
pub(crate) async fn list_goals(mut cx: Cx<ReadWellness>, query: QueryString) -> ApiResult {
    let query: ListQuery<GoalFilter> = query.list(cx.zone())?;
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let page = wellness::list_goals(&mut cx.tx, now, &query, own).await?;
    cx.commit(Json(page)).await
}

/// Sets a goal.
#[utoipa::path(post, path = "/api/wellness/goals", operation_id = "create_goal", tag = "wellness",
    extensions(("x-role" = json!("staff"))), request_body = NewGoal, responses((status = 201, body = Goal)))]
pub(crate) async fn create_goal(mut cx: Cx<WriteWellness>, Valid(new): Valid<NewGoal>) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let kind = find_type(&mut cx.tx, &new.kind, "/type").await?;
    let target = canonical(&kind, new.target, new.unit.as_deref())?;
    let aggregation = new.aggregation.unwrap_or(kind.aggregation);
    let goal = wellness::insert_goal(&mut cx.tx, now, new, (target, aggregation), own)
        .await
        .on_constraint("metric_goals_ends_on_check", ends_before_it_starts)?
        .ok_or_else(|| Problem::invalid("/leadId", "unknown_lead", "There is no such lead."))?;
    let created = Created { location: format!("/api/wellness/goals/{}", goal.id), body: &goal };
    cx.commit(Versioned { version: goal.tag(), answer: created }).await
}

/// One goal with its progress.
#[utoipa::path(get, path = "/api/wellness/goals/{id}", operation_id = "get_goal", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), responses((status = 200, body = Goal)))]
pub(crate) async fn get_goal(mut cx: Cx<ReadWellness>, PathId(id): PathId) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let goal = wellness::find_goal(&mut cx.tx, now, id, own).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: goal.tag(), answer: Json(goal) }).await
}

/// Changes a goal.
#[utoipa::path(patch, path = "/api/wellness/goals/{id}", operation_id = "update_goal", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = GoalPatch,
    responses((status = 200, body = Goal)))]
pub(crate) async fn update_goal(
    mut cx: Cx<WriteWellness>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<GoalPatch>,
) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let goal = wellness::find_goal(&mut cx.tx, now, id, own).await?.ok_or_else(Problem::not_found)?;
    if_match.require(goal.tag())?;
    let kind = find_type(&mut cx.tx, &goal.kind, "/type").await?;
    let target = patch.target.map(|target| canonical(&kind, target, patch.unit.as_deref())).transpose()?;
    let changed = wellness::update_goal(&mut cx.tx, now, &goal, patch, target)
        .await
        .on_constraint("metric_goals_ends_on_check", ends_before_it_starts)?
        .ok_or_else(Problem::concurrent_change)?;
    cx.commit(Versioned { version: changed.tag(), answer: Json(changed) }).await
}

/// Deletes a goal.
#[utoipa::path(delete, path = "/api/wellness/goals/{id}", operation_id = "delete_goal", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_goal(
    mut cx: Cx<WriteWellness>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let goal = wellness::find_goal(&mut cx.tx, now, id, own).await?.ok_or_else(Problem::not_found)?;
    if_match.require(goal.tag())?;
    if !wellness::delete_goal(&mut cx.tx, &goal).await? {
        return Err(Problem::concurrent_change());
    }
    cx.commit(NoContent).await
}

fn canonical(kind: &TypeOut, target: f64, unit: Option<&str>) -> Result<f64, Problem> {
    let target = kind.convert(target, unit.unwrap_or(&kind.unit)).ok_or_else(|| {
        let detail = format!("{} is measured in {}.", kind.key, kind.accepted_units.join(", "));
        Problem::invalid("/unit", "unknown_unit", detail)
    })?;
    if target.is_finite() && target >= 0.0 {
        return Ok(target);
    }
    Err(Problem::invalid("/target", "out_of_range", "A target is a number that is not negative."))
}

fn ends_before_it_starts() -> Problem {
    Problem::invalid("/endsOn", "end_before_start", "The last day lies before the first.")
}
