//! Sales paths.

use axum::Json;
use shared::{
    auth::{ManageLeads, ReadLeads},
    db::OnConstraint,
    http::{ApiResult, Created, Cx, ListQuery, Page, QueryString, Valid, Versioned},
    leads::{self, NewPipeline, Pipeline, PipelineFilter},
};

use crate::change::concurrent_change;

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
        .on_constraint("pipelines_tenant_id_default_key", concurrent_change)?;
    let created = Created { location: format!("/api/pipelines/{}", pipeline.id), body: &pipeline };
    cx.commit(Versioned { version: pipeline.version, answer: created }).await
}
