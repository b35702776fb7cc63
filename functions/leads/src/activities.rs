//! What happened with a lead.

use axum::Json;
use shared::{
    accounts::refuse_disabled,
    auth::{
        ReadAnalytics, ReadAutomations, ReadFinance, ReadLeadLedgers, ReadLeads, ReadMessages, ReadTill,
        ReadWellness, WriteLeads,
    },
    db::OnConstraint,
    http::{
        Actor, ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString,
        Valid, Versioned,
    },
    leads::{
        self, Activity, ActivityFilter, ActivityPatch, NewActivity, TIMELINE_TYPES, TimelineFilter,
        TimelineItem,
    },
    messages::{self, Conversation, ConversationFilter},
};

use crate::leads::{hold_lead, require_lead};

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
    let mut query: ListQuery<ActivityFilter> = query.list(cx.zone())?;
    if !query.filter.lead_id.is_empty() {
        return Err(Problem::invalid("?leadId", "unknown_parameter", "The path names the lead."));
    }
    query.filter.lead_id = vec![id];
    require_lead(&mut cx, id).await?;
    let page = leads::list_activities(&mut cx.tx, &query, None).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// Activities of all leads, latest first: `assigneeId` and `done=false` are somebody's tasks, `sort=dueAt` their order.
#[utoipa::path(get, path = "/api/activities", operation_id = "list_all_activities", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(ActivityFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Activity>)))]
pub(crate) async fn list_all_activities(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<ActivityFilter> = query.list(cx.zone())?;
    let page = leads::list_activities(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// One activity.
#[utoipa::path(get, path = "/api/activities/{id}", operation_id = "get_activity", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Activity)))]
pub(crate) async fn get_activity(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let found = leads::find_activity(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    let activity = cx.actor.shown(found.ok_or_else(Problem::not_found)?);
    cx.commit(Versioned { version: activity.version, answer: Json(activity) }).await
}

/// Everything that happened with a lead, in one order, latest first. Activities, messages, invoices, payments, measurements, runs,
/// consents, calls to action: what the caller may not read elsewhere is left out, or refused when it is asked for.
#[utoipa::path(get, path = "/api/leads/{id}/timeline", operation_id = "list_timeline", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path), TimelineFilter, shared::http::PageParams),
    responses((status = 200, body = Page<TimelineItem>)))]
pub(crate) async fn list_timeline(
    mut cx: Cx<ReadLeads>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let mut query: ListQuery<TimelineFilter> = query.list(cx.zone())?;
    for word in &query.filter.types {
        may_read(&cx.actor, word)?;
    }
    if query.filter.types.is_empty() {
        let readable = TIMELINE_TYPES.iter().filter(|word| may_read(&cx.actor, word).is_ok());
        query.filter.types = readable.map(|word| (*word).to_owned()).collect();
    }
    require_lead(&mut cx, id).await?;
    let page = leads::list_timeline(&mut cx.tx, id, &query).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// The threads with a person, the latest first.
#[utoipa::path(get, path = "/api/leads/{id}/conversations", operation_id = "list_lead_conversations", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path), ConversationFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Conversation>)))]
pub(crate) async fn list_conversations(
    mut cx: Cx<ReadLeads>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let mut query: ListQuery<ConversationFilter> = query.list(cx.zone())?;
    if !query.filter.lead_id.is_empty() {
        return Err(Problem::invalid("?leadId", "unknown_parameter", "The path names the lead."));
    }
    query.filter.lead_id = vec![id];
    require_lead(&mut cx, id).await?;
    query.filter.search_fields = cx.actor.searches();
    let page = messages::list_conversations(&mut cx.tx, &query, None).await?;
    let page = cx.actor.shown(page);
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
    hold_lead(&mut cx, id).await?;
    refuse_disabled(&mut cx.tx, "/assigneeId", new.assignee_id).await?;
    let (now, actor) = (cx.now(), (cx.actor.kind(), Some(cx.actor.id())));
    let activity = leads::insert_activity(&mut cx.tx, now, id, new, actor)
        .await
        .on_constraint("activities_assignee_id_fkey", unknown_assignee)?;
    let location = format!("/api/activities/{}", activity.id);
    cx.commit(Versioned { version: activity.version, answer: Created { location, body: activity } }).await
}

/// Changes an activity: what it says, when a task is due or done, and by whom.
#[utoipa::path(patch, path = "/api/activities/{id}", operation_id = "update_activity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = ActivityPatch,
    responses((status = 200, body = Activity)))]
pub(crate) async fn update_activity(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<ActivityPatch>,
) -> ApiResult {
    let own_records_of = cx.actor.own_records_of();
    let assignee = patch.assignee_id.as_set().copied();
    let changed = leads::update_activity(&mut cx.tx, id, own_records_of, patch).await;
    let (activity, before) = changed
        .on_constraint("activities_assignee_id_fkey", unknown_assignee)?
        .ok_or_else(Problem::not_found)?;
    if_match.require(before.version)?;
    refuse_disabled(&mut cx.tx, "/assigneeId", assignee.filter(|_| assignee != before.assignee_id)).await?;
    cx.commit(Versioned { version: activity.version, answer: Json(activity) }).await
}

/// Deletes an activity.
#[utoipa::path(delete, path = "/api/activities/{id}", operation_id = "delete_activity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_activity(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let own_records_of = cx.actor.own_records_of();
    let version =
        leads::delete_activity(&mut cx.tx, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    if_match.require(version)?;
    cx.commit(NoContent).await
}

/// Refuses a type of the timeline that the caller may not read.
fn may_read(actor: &Actor, timeline_type: &str) -> ApiResult<()> {
    match timeline_type {
        "message" => actor.require::<ReadMessages>(),
        "invoice" => actor.require::<ReadFinance>(),
        "payment" => actor.require::<ReadTill>(),
        "metric" => actor.require::<ReadWellness>(),
        "run" => actor.require::<ReadAutomations>(),
        "consent" => actor.require::<ReadLeadLedgers>(),
        "cta" => actor.require::<ReadAnalytics>(),
        _ => Ok(()),
    }
}

fn unknown_assignee() -> Problem {
    Problem::invalid("/assigneeId", "unknown_user", "There is no such colleague.")
}
