//! Saved questions about leads.

use axum::Json;
use serde::Deserialize;
use serde_json::Value;
use shared::{
    auth::{ManageLeads, ReadLeads},
    conditions::{Condition, read_asked},
    http::{
        Actor, ApiResult, Check, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem,
        QueryString, Valid, Versioned,
    },
    leads::Hidden,
    segments::{self, NewSegment, Preview, Segment, SegmentFilter, SegmentPatch},
};
use utoipa::ToSchema;

use crate::custom_fields;

/// Segments.
#[utoipa::path(get, path = "/api/segments", operation_id = "list_segments", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(SegmentFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Segment>)))]
pub(crate) async fn list_segments(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<SegmentFilter> = query.list(cx.zone())?;
    let page = segments::list(&mut cx.tx, &query).await?.map(|segment| shown(&cx.actor, segment));
    cx.commit(Json(page)).await
}

/// Makes a segment. Who belongs to it now has not entered it: only who comes later is told.
#[utoipa::path(post, path = "/api/segments", operation_id = "create_segment", tag = "leads",
    extensions(("x-role" = json!("manager"))), request_body = NewSegment,
    responses((status = 201, body = Segment)))]
pub(crate) async fn create_segment(mut cx: Cx<ManageLeads>, Valid(new): Valid<NewSegment>) -> ApiResult {
    let condition = read_asked(&mut cx, &new.conditions, "/conditions").await?;
    let now = cx.now();
    let made = segments::insert(&mut cx.tx, now, new.name.as_str(), new.kind, &condition).await?;
    segments::fill(&mut cx.tx, now, made.id, &condition).await?;
    let segment = segments::find(&mut cx.tx, made.id).await?.ok_or_else(Problem::internal)?;
    cx.note("segment.created", ("segment", segment.id), (None, None)).await?;
    let segment = shown(&cx.actor, segment);
    let created = Created { location: format!("/api/segments/{}", segment.id), body: &segment };
    cx.commit(Versioned { version: segment.version, answer: created }).await
}

/// One segment.
#[utoipa::path(get, path = "/api/segments/{id}", operation_id = "get_segment", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Segment)))]
pub(crate) async fn get_segment(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let segment = segments::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let segment = shown(&cx.actor, segment);
    cx.commit(Versioned { version: segment.version, answer: Json(segment) }).await
}

/// Changes a segment. New conditions are asked at once; who belongs to it by them has not entered it, nor has anybody left.
#[utoipa::path(patch, path = "/api/segments/{id}", operation_id = "update_segment", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = SegmentPatch, responses((status = 200, body = Segment)))]
pub(crate) async fn update_segment(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<SegmentPatch>,
) -> ApiResult {
    let found = segments::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    let condition = match &patch.conditions {
        Some(tree) => Some(read_asked(&mut cx, tree, "/conditions").await?),
        None => None,
    };
    let name = patch.name.as_ref().map(shared::values::Line::as_str);
    let now = cx.now();
    segments::update(&mut cx.tx, id, found.version, name, condition.as_ref())
        .await?
        .ok_or_else(Problem::concurrent_change)?;
    if let Some(condition) = &condition {
        segments::fill(&mut cx.tx, now, id, condition).await?;
    }
    let segment = segments::find(&mut cx.tx, id).await?.ok_or_else(Problem::internal)?;
    cx.note_change("segment.updated", ("segment", id), (&found, &segment)).await?;
    let segment = shown(&cx.actor, segment);
    cx.commit(Versioned { version: segment.version, answer: Json(segment) }).await
}

/// Removes a segment. Nobody has left it by that.
#[utoipa::path(delete, path = "/api/segments/{id}", operation_id = "delete_segment", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_segment(mut cx: Cx<ManageLeads>, PathId(id): PathId, seen: IfMatch) -> ApiResult {
    let found = segments::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if !segments::delete(&mut cx.tx, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("segment.deleted", ("segment", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// A tree that is to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// The tree.
    #[schema(value_type = Condition)]
    conditions: Value,
}

impl Check for PreviewRequest {}

/// Who a tree is about: how many, and the newest 20 of them.
#[utoipa::path(post, path = "/api/segments/preview", operation_id = "preview_segment", tag = "leads",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("leads:read"))), request_body = PreviewRequest,
    responses((status = 200, body = Preview)))]
pub(crate) async fn preview_segment(mut cx: Cx<ReadLeads>, Valid(asked): Valid<PreviewRequest>) -> ApiResult {
    let condition = read_asked(&mut cx, &asked.conditions, "/conditions").await?;
    Hidden::from(&mut cx.tx, &cx.actor).await?.check_condition(&condition, "/conditions")?;
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let fields = cx.actor.searches();
    let mut preview = segments::preview(&mut cx.tx, now, condition, fields, own_records_of).await?;
    custom_fields::mask(&mut cx, &mut preview.sample).await?;
    let preview = cx.actor.shown(preview);
    cx.commit(Json(preview)).await
}

/// Without the number of all who belong to it, for those who see only some of them.
fn shown(actor: &Actor, segment: Segment) -> Segment {
    let member_count = segment.member_count.filter(|_| actor.own_records_of().is_none());
    Segment { member_count, ..segment }
}
