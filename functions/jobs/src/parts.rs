//! Pieces of files: of those that come, and of those that were written.

use axum::{Json, extract::Path, response::IntoResponse};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use shared::{
    auth::{ExportLeads, ManageLeads},
    crypto::sha256,
    export::Format,
    http::{ApiResult, Cx, PathId, Problem, RawBody},
    jobs::{self, Job, MOST_PARTS, NotStarted, Part, PartRefusal, seen_by},
};
use uuid::Uuid;

use crate::jobs::accepted;

/// Takes a part of an upload, in any order; the same number again takes the place of the earlier one.
#[utoipa::path(put, path = "/api/jobs/{id}/parts/{n}", operation_id = "put_job_part", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("n" = i32, Path)),
    request_body(content = String, content_type = "application/octet-stream"), responses((status = 200, body = Part)))]
pub(crate) async fn put_job_part(
    mut cx: Cx<ManageLeads>,
    Path((id, number)): Path<(String, String)>,
    RawBody(content): RawBody,
) -> ApiResult {
    let (id, number) = named(&id, &number)?;
    if !(1..=MOST_PARTS).contains(&number) {
        let detail = format!("Parts have numbers from 1 to {MOST_PARTS}.");
        return Err(Problem::invalid("/n", "out_of_range", detail));
    }
    if content.is_empty() {
        return Err(Problem::invalid("", "empty_file", "The part is empty."));
    }
    match jobs::put_part(&mut cx.tx, id, seen_by(&cx.actor), number, &content).await? {
        Ok(part) => cx.commit(Json(part)).await,
        Err(PartRefusal::Unknown) => Err(Problem::not_found()),
        Err(PartRefusal::NotAwaited) => {
            Err(Problem::conflict("not_awaiting_parts", "The job is not waiting for parts."))
        }
        Err(PartRefusal::TooLarge) => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "upload_too_large",
            "An upload may have 100 MB in all its parts. Divide the file and import the pieces one by one.",
        )),
    }
}

/// Says that all parts have come. They are read in the order of their numbers.
#[utoipa::path(post, path = "/api/jobs/{id}/start", operation_id = "start_job", tag = "jobs",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 202, body = Job)))]
pub(crate) async fn start_job(mut cx: Cx<ManageLeads>, PathId(id): PathId) -> ApiResult {
    match jobs::start(&mut cx.tx, id, seen_by(&cx.actor)).await? {
        Ok(job) => {
            cx.note("job.started", ("job", id), (None, None)).await?;
            cx.commit(accepted(job)).await
        }
        Err(NotStarted::Unknown) => Err(Problem::not_found()),
        Err(NotStarted::NotAwaited) => {
            Err(Problem::conflict("not_awaiting_parts", "The job is not waiting for parts."))
        }
        Err(NotStarted::Missing(numbers)) => {
            let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let detail = format!("These parts have not come: {}.", list.join(", "));
            let missing: Value = numbers.into();
            Err(Problem::conflict("missing_parts", detail).with("missing", missing))
        }
    }
}

/// A part of a file that a job has written. The job's `result` lists them with their SHA-256; they are kept for seven days.
#[utoipa::path(get, path = "/api/jobs/{id}/parts/{n}", operation_id = "get_job_part", tag = "jobs",
    extensions(("x-role" = json!("manager")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path), ("n" = i32, Path)),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(crate) async fn get_job_part(
    mut cx: Cx<ExportLeads>,
    Path((id, number)): Path<(String, String)>,
) -> ApiResult {
    let (id, number) = named(&id, &number)?;
    let seen = seen_by(&cx.actor);
    let job = jobs::find(&mut cx.tx, id, seen).await?.ok_or_else(Problem::not_found)?;
    let Some(content) = jobs::find_output(&mut cx.tx, id, seen, number).await? else {
        let erased = job.error.filter(|trouble| trouble.code == "person_erased");
        return Err(erased.map_or_else(Problem::not_found, |trouble| {
            Problem::new(StatusCode::GONE, "person_erased", trouble.0.detail)
        }));
    };
    let format =
        job.request.get("format").and_then(Value::as_str).and_then(Format::parse).unwrap_or(Format::Csv);
    let digest: String = sha256(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let name = format!("attachment; filename=\"leads-{number}.{}\"", format.extension());
    let mut insert = |header: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    };
    insert(header::CONTENT_DISPOSITION, &name);
    insert(header::ETAG, &format!("\"{digest}\""));
    cx.commit(response).await
}

/// The ids of the path; malformed ones are as absent as missing ones.
fn named(id: &str, number: &str) -> ApiResult<(Uuid, i32)> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    Ok((id, number.parse().map_err(|_| Problem::not_found())?))
}
