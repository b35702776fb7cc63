//! Measurements: one at a time, as rows and as series.

use axum::{Json, response::IntoResponse};
use serde_json::to_value;
use shared::{
    audit,
    auth::{ManageWellness, ReadWellness, WriteWellness},
    db::TenantTx,
    events::{EventKind, NewEvent, emit},
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    wellness::{self, Metric, MetricFilter, MetricPatch, NewMetric, Outcome, TypeOut},
};

/// Measurements, latest first; with `bucket` a series of hours, days, weeks or months instead.
#[utoipa::path(get, path = "/api/wellness/metrics", operation_id = "list_metrics", tag = "wellness",
    extensions(("x-role" = json!("staff"))),
    params(MetricFilter, ("agg" = Option<String>, Query, description = "With `bucket`: min, max, avg, sum, last or count."), shared::http::PageParams),
    responses((status = 200, body = Page<Metric>, description = "Rows, or a `Series` when `bucket` is given.")))]
pub(crate) async fn list_metrics(mut cx: Cx<ReadWellness>, query: QueryString) -> ApiResult {
    let query: ListQuery<MetricFilter> = query.list(cx.zone())?;
    let own = cx.actor.own_records_of();
    let Some(request) = &query.filter.bucket else {
        let page = wellness::list_metrics(&mut cx.tx, &query, own).await?;
        return cx.commit(Json(page)).await;
    };
    let kind = find_type(&mut cx.tx, &request.kind, "?type").await?;
    let series = wellness::read_series(&mut cx.tx, request, kind, own).await?;
    cx.commit(Json(series)).await
}

/// Records a measurement. The same one again – person, type, source, grain, start – answers 200 with what is known.
#[utoipa::path(post, path = "/api/wellness/metrics", operation_id = "create_metric", tag = "wellness",
    extensions(("x-role" = json!("staff"))), request_body = NewMetric,
    responses((status = 201, body = Metric), (status = 200, body = Metric, description = "It was known.")))]
pub(crate) async fn create_metric(mut cx: Cx<WriteWellness>, Valid(new): Valid<NewMetric>) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let types = wellness::types_of(&mut cx.tx, Some(std::slice::from_ref(&new.kind))).await?;
    let metrics = [wellness::admit(new, &types, now)?];
    let [metric] = &metrics;
    let mut ingested = wellness::ingest(&mut cx.tx, now, &metrics, cx.actor.user_id(), own).await?;
    match ingested.outcomes.pop() {
        Some(Outcome::Inserted) => {
            tell(&mut cx.tx, now, &[metric], ingested.aimed).await?;
            let created = Created { location: format!("/api/wellness/metrics/{}", metric.id), body: metric };
            let answer = Versioned { version: metric.version, answer: created }.into_response();
            cx.commit(answer).await
        }
        Some(Outcome::Duplicate(_)) => {
            let known = wellness::find_twin(&mut cx.tx, metric).await?.ok_or_else(Problem::not_found)?;
            cx.commit(Versioned { version: known.version, answer: Json(known) }).await
        }
        Some(Outcome::Refused(refused)) => Err(refused.into()),
        None => Err(Problem::internal()),
    }
}

/// Tells that measurements were recorded and which goals they met, all in one statement.
pub(crate) async fn tell(
    tx: &mut TenantTx,
    now: chrono::DateTime<chrono::Utc>,
    inserted: &[&Metric],
    aimed: bool,
) -> Result<(), Problem> {
    let mut events = Vec::with_capacity(inserted.len());
    for metric in inserted {
        let payload = to_value(metric).map_err(|_| Problem::internal())?;
        events.push(NewEvent::by_api(
            EventKind::MetricRecorded,
            now,
            metric.id,
            Some(metric.lead_id),
            payload,
        ));
    }
    if aimed {
        events.extend(wellness::evaluate_goals(tx, now, inserted).await?);
    }
    Ok(emit(tx, &events).await?)
}

/// One measurement.
#[utoipa::path(get, path = "/api/wellness/metrics/{id}", operation_id = "get_metric", tag = "wellness",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), responses((status = 200, body = Metric)))]
pub(crate) async fn get_metric(mut cx: Cx<ReadWellness>, PathId(id): PathId) -> ApiResult {
    let own = cx.actor.own_records_of();
    let metric = wellness::find_metric(&mut cx.tx, id, own).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: metric.version, answer: Json(metric) }).await
}

/// Corrects the value or the remark of a measurement. The correction is in the audit log.
#[utoipa::path(patch, path = "/api/wellness/metrics/{id}", operation_id = "update_metric", tag = "wellness",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = MetricPatch,
    responses((status = 200, body = Metric)))]
pub(crate) async fn update_metric(
    mut cx: Cx<ManageWellness>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<MetricPatch>,
) -> ApiResult {
    let own = cx.actor.own_records_of();
    let before = wellness::find_metric(&mut cx.tx, id, own).await?.ok_or_else(Problem::not_found)?;
    if_match.require(before.version)?;
    let kind = find_type(&mut cx.tx, &before.kind, "/type").await?;
    let corrected = wellness::corrected(before.clone(), patch, &kind)?;
    let after =
        wellness::update_metric(&mut cx.tx, &corrected).await?.ok_or_else(Problem::concurrent_change)?;
    note(&mut cx, "metric.corrected", &before, Some(&after)).await?;
    cx.commit(Versioned { version: after.version, answer: Json(after) }).await
}

/// Deletes a measurement. The deletion is in the audit log.
#[utoipa::path(delete, path = "/api/wellness/metrics/{id}", operation_id = "delete_metric", tag = "wellness",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_metric(
    mut cx: Cx<ManageWellness>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let own = cx.actor.own_records_of();
    let metric = wellness::find_metric(&mut cx.tx, id, own).await?.ok_or_else(Problem::not_found)?;
    if_match.require(metric.version)?;
    if !wellness::delete_metric(&mut cx.tx, &metric).await? {
        return Err(Problem::concurrent_change());
    }
    note(&mut cx, "metric.deleted", &metric, None).await?;
    cx.commit(NoContent).await
}

async fn note(
    cx: &mut Cx<ManageWellness>,
    action: &str,
    before: &Metric,
    after: Option<&Metric>,
) -> Result<(), Problem> {
    let (old, new) = (audit::state_hash(before), after.and_then(audit::state_hash));
    cx.note(action, ("metric", before.id), (old, new)).await?;
    Ok(())
}

pub(crate) async fn find_type(tx: &mut TenantTx, key: &str, pointer: &str) -> Result<TypeOut, Problem> {
    let types = wellness::types_of(tx, Some(&[key.to_owned()])).await?;
    types.find(key).ok_or_else(|| {
        Problem::invalid(pointer, "unknown_type", "No such type; GET /api/wellness/types lists them.")
    })
}
