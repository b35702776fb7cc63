//! What happened with a lead.

use axum::Json;
use shared::{
    auth::{ReadLeads, WriteLeads},
    db::OnConstraint,
    http::{ApiResult, Created, Cx, ListQuery, Page, PathId, Problem, QueryString, Valid},
    leads::{self, Activity, ActivityFilter, NewActivity},
};

/// A lead's activities, latest first.
#[utoipa::path(get, path = "/api/leads/{id}/activities", operation_id = "list_activities", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path), ActivityFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Activity>)))]
pub(crate) async fn list_activities(
    mut cx: Cx<ReadLeads>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let query: ListQuery<ActivityFilter> = query.list(cx.zone())?;
    require_lead(&mut cx, id).await?;
    let page = leads::list_activities(&mut cx.tx, id, &query).await?;
    cx.commit(Json(page)).await
}

/// Records a note, a call, a task, a visit.
#[utoipa::path(post, path = "/api/leads/{id}/activities", operation_id = "create_activity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewActivity,
    responses((status = 201, body = Activity)))]
pub(crate) async fn create_activity(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    Valid(new): Valid<NewActivity>,
) -> ApiResult {
    require_lead(&mut cx, id).await?;
    let (now, actor) = (cx.now(), (cx.actor.kind(), Some(cx.actor.id())));
    let activity = leads::insert_activity(&mut cx.tx, now, id, new, actor)
        .await
        .on_constraint("activities_assignee_id_fkey", || {
            Problem::invalid("/assigneeId", "unknown_user", "There is no such colleague.")
        })?;
    let location = format!("/api/activities/{}", activity.id);
    cx.commit(Created { location, body: activity }).await
}

async fn require_lead<P: shared::auth::Permission>(cx: &mut Cx<P>, id: uuid::Uuid) -> ApiResult<()> {
    let visible = leads::exists(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if visible { Ok(()) } else { Err(Problem::not_found()) }
}
