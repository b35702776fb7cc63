//! Sales paths.

use axum::Json;
use shared::{
    auth::{ManageLeads, ReadLeads},
    db::OnConstraint,
    http::{
        ApiResult, Created, Cx, FieldErrors, IfMatch, ListQuery, NoContent, Page, PathId, Problem,
        QueryString, Valid, Versioned,
    },
    leads::{self, Board, NewPipeline, Pipeline, PipelineFilter, PipelinePatch, StageChange},
    values::Currency,
};
use uuid::Uuid;

/// Pipelines with their stages.
#[utoipa::path(get, path = "/api/pipelines", operation_id = "list_pipelines", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(PipelineFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Pipeline>)))]
pub(crate) async fn list_pipelines(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<PipelineFilter> = query.list(cx.zone())?;
    let page = leads::list_pipelines(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes a pipeline.
#[utoipa::path(post, path = "/api/pipelines", operation_id = "create_pipeline", tag = "leads",
    extensions(("x-role" = json!("manager"))), request_body = NewPipeline,
    responses((status = 201, body = Pipeline)))]
pub(crate) async fn create_pipeline(mut cx: Cx<ManageLeads>, Valid(new): Valid<NewPipeline>) -> ApiResult {
    let pipeline = leads::insert_pipeline(&mut cx.tx, new)
        .await
        .on_constraint("pipelines_tenant_id_default_key", Problem::concurrent_change)?;
    cx.note("pipeline.created", ("pipeline", pipeline.id), (None, None)).await?;
    let created = Created { location: format!("/api/pipelines/{}", pipeline.id), body: &pipeline };
    cx.commit(Versioned { version: pipeline.version, answer: created }).await
}

/// One pipeline with its stages.
#[utoipa::path(get, path = "/api/pipelines/{id}", operation_id = "get_pipeline", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Pipeline)))]
pub(crate) async fn get_pipeline(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let pipeline = leads::find_pipeline(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: pipeline.version, answer: Json(pipeline) }).await
}

/// Changes a pipeline. Stages are given as a whole; one on which leads stand cannot go.
#[utoipa::path(patch, path = "/api/pipelines/{id}", operation_id = "update_pipeline", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = PipelinePatch, responses((status = 200, body = Pipeline)))]
pub(crate) async fn update_pipeline(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<PipelinePatch>,
) -> ApiResult {
    let found = leads::find_pipeline(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if let Some(stages) = patch.stages.as_set() {
        let kept = known_stages(&found, stages)?;
        if leads::count_on_pipeline(&mut cx.tx, id, &kept).await? > 0 {
            return Err(Problem::conflict(
                "stage_in_use",
                "Leads stand on a stage that would go; move them first.",
            ));
        }
    }
    let now = cx.now();
    let pipeline = leads::update_pipeline(&mut cx.tx, now, id, found.version, patch)
        .await
        .on_constraint("pipelines_tenant_id_default_key", Problem::concurrent_change)?
        .ok_or_else(Problem::concurrent_change)?;
    cx.note_change("pipeline.updated", ("pipeline", id), (&found, &pipeline)).await?;
    cx.commit(Versioned { version: pipeline.version, answer: Json(pipeline) }).await
}

/// The ids of the stages that stay, each of which the pipeline must have.
fn known_stages(pipeline: &Pipeline, stages: &[StageChange]) -> ApiResult<Vec<Uuid>> {
    let mut errors = FieldErrors::default();
    let kept: Vec<Uuid> = stages.iter().filter_map(|stage| stage.id).collect();
    for (index, stage) in stages.iter().enumerate() {
        if stage.id.is_some_and(|id| !pipeline.stages.iter().any(|known| known.id == id)) {
            errors.add(format!("/stages/{index}/id"), "unknown_stage", "The pipeline has no such stage.");
        }
    }
    errors.into_result()?;
    Ok(kept)
}

/// Removes a pipeline with its stages, unless leads stand on them. One that is merely out of use can be put away instead.
#[utoipa::path(delete, path = "/api/pipelines/{id}", operation_id = "delete_pipeline", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_pipeline(mut cx: Cx<ManageLeads>, PathId(id): PathId, seen: IfMatch) -> ApiResult {
    let found = leads::find_pipeline(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if leads::count_on_pipeline(&mut cx.tx, id, &[]).await? > 0 {
        let detail = "Leads stand on this pipeline; move them first, or put the pipeline away.";
        return Err(Problem::conflict("pipeline_in_use", detail));
    }
    if !leads::delete_pipeline(&mut cx.tx, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("pipeline.deleted", ("pipeline", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// What stands on each stage of a pipeline: how many leads, worth how much, for how long.
#[utoipa::path(get, path = "/api/pipelines/{id}/board", operation_id = "get_board", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path),
        ("currency" = Option<String>, Query, description = "what to sum; the business's own when left out")),
    responses((status = 200, body = Board)))]
pub(crate) async fn get_board(mut cx: Cx<ReadLeads>, PathId(id): PathId, query: QueryString) -> ApiResult {
    let currency = query.read(cx.zone(), |params| {
        let given = Currency::try_from(params.text("currency")?);
        given
            .inspect_err(|_| params.refuse("currency", "invalid_currency", "An ISO 4217 code is expected."))
            .ok()
    })?;
    let currency =
        currency.map_or_else(|| cx.tx.settings().currency.clone(), shared::values::Currency::into_string);
    leads::find_pipeline(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let own_records_of = cx.actor.own_records_of();
    let board = leads::board(&mut cx.tx, id, currency, own_records_of).await?;
    cx.commit(Json(board)).await
}
