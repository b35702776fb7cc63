//! Following jobs, and ending them.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use shared::{
    auth::{ManageLeads, Permission, ReadJobs, Role, Scope},
    http::{ApiResult, Cx, Hashed, ListQuery, Page, PathId, Problem, QueryString},
    jobs::{self, Cancelled, ErrorFilter, Job, JobFilter, RowError, seen_by},
};

/// Ending a job, also while the business is suspended: it takes work away and adds none.
pub(crate) struct EndJobs;

impl Permission for EndJobs {
    const ROLE: Role = ManageLeads::ROLE;
    const SCOPE: Scope = ManageLeads::SCOPE;
    const WHEN_SUSPENDED: bool = true;
}

/// Jobs, newest first. Whoever sees only some records sees the jobs that they asked for.
#[utoipa::path(get, path = "/api/jobs", operation_id = "list_jobs", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(JobFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Job>)))]
pub(crate) async fn list_jobs(mut cx: Cx<ReadJobs>, query: QueryString) -> ApiResult {
    let query: ListQuery<JobFilter> = query.list(cx.zone())?;
    let page = jobs::list(&mut cx.tx, &query, seen_by(&cx.actor)).await?;
    cx.commit(Json(page)).await
}

/// One job, with what it has come to.
#[utoipa::path(get, path = "/api/jobs/{id}", operation_id = "get_job", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 200, body = Job)))]
pub(crate) async fn get_job(mut cx: Cx<ReadJobs>, PathId(id): PathId) -> ApiResult {
    let job = jobs::find(&mut cx.tx, id, seen_by(&cx.actor)).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Hashed(job)).await
}

/// Why rows were refused, in the order of the file. At most 10,000 are kept; the job's `result` says how many more there were.
#[utoipa::path(get, path = "/api/jobs/{id}/errors", operation_id = "list_job_errors", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ErrorFilter, shared::http::PageParams),
    responses((status = 200, body = Page<RowError>)))]
pub(crate) async fn list_job_errors(
    mut cx: Cx<ReadJobs>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let query: ListQuery<ErrorFilter> = query.list(cx.zone())?;
    jobs::find(&mut cx.tx, id, seen_by(&cx.actor)).await?.ok_or_else(Problem::not_found)?;
    let page = jobs::list_errors(&mut cx.tx, id, &query).await?;
    cx.commit(Json(page)).await
}

/// Ends a job. One that is at work ends behind the portion that is under way; what is done stays done and is counted.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 202, body = Job)))]
pub(crate) async fn cancel_job(mut cx: Cx<EndJobs>, PathId(id): PathId) -> ApiResult {
    match jobs::cancel(&mut cx.tx, id, seen_by(&cx.actor)).await? {
        Cancelled::Accepted(job) => {
            cx.note("job.cancelled", ("job", id), (None, None)).await?;
            cx.commit(accepted(*job)).await
        }
        Cancelled::Ended => Err(Problem::conflict("job_ended", "The job has come to its end.")),
        Cancelled::Unknown => Err(Problem::not_found()),
    }
}

/// Notes who asked for a job. What it asks may name people, and the log outlives them: the job says it as long as it is kept.
pub(crate) async fn note<P: Permission>(cx: &mut Cx<P>, job: &Job) -> ApiResult<()> {
    let after = json!({"kind": job.kind});
    Ok(cx.note("job.created", ("job", job.id), (None, Some(after))).await?)
}

/// 202 with the job and where to follow it.
pub(crate) fn accepted(job: Job) -> Response {
    let location = format!("/api/jobs/{}", job.id);
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
