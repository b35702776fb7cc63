//! Files of people that come in.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode, header};
use serde_json::to_value;
use shared::{
    auth::ManageLeads,
    http::{ApiResult, Created, Cx, Params, Problem, QueryString, RawBody},
    jobs::{self, Job, JobKind, NewJob},
    leads::{Definitions, FileError, ImportMode, ImportRequest, Layout, SourceKind, knows_field},
};

use crate::jobs::{accepted, note};

/// Makes and changes leads after a file: CSV with a header, an array of JSON objects, or an object per line. The body may have 4 MB; with
/// `upload=parts` there is none, and the job waits for its parts.
///
/// Columns are known by their usual names; `map.<column>=<field>` says it where they are not (`ignore` leaves one out). Fields are those of a lead,
/// `otherEmails`, `otherPhones`, `externalIds`, `cf.<key>`, `consents`, `consent.<channel>.<purpose>` and `consent.health`. What the export
/// writes is read as it is.
#[utoipa::path(post, path = "/api/leads/import", operation_id = "import_leads", tag = "jobs",
    extensions(("x-role" = json!("manager"))),
    params(("dryRun" = Option<bool>, Query, description = "`true` counts what would happen and writes nothing"),
        ("mode" = Option<String>, Query, description = "create, update, upsert; upsert when left out"),
        ("automations" = Option<bool>, Query, description = "`false` begins no automation"),
        ("upload" = Option<String>, Query, description = "`parts`: the file comes in parts"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson; by the content type, or the first character of the parts, when left out"),
        ("map.column" = Option<String>, Query, description = "the field that a column of this name is")),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 202, body = Job), (status = 201, body = Job, description = "The job waits for its parts")))]
pub(crate) async fn import_leads(
    mut cx: Cx<ManageLeads>,
    query: QueryString,
    headers: HeaderMap,
    RawBody(file): RawBody,
) -> ApiResult {
    let (mut request, in_parts) = query.read(cx.zone(), read)?;
    if in_parts {
        if !file.is_empty() {
            return Err(Problem::invalid(
                "?upload",
                "ambiguous",
                "With `upload=parts` the file comes in parts and not here.",
            ));
        }
        let job = insert(&mut cx, true, &request).await?;
        note(&mut cx, &job).await?;
        let created = Created { location: format!("/api/jobs/{}", job.id), body: job };
        return cx.commit(created).await;
    }
    if file.is_empty() {
        return Err(Problem::invalid("", "empty_file", "There is nothing in the file."));
    }
    if request.format.is_none() {
        request.format = Some(kind(&headers)?);
    }
    let definitions = Definitions::load(&mut cx.tx).await?;
    Layout::of(&file, &request, &definitions).map_err(refused)?;
    let job = insert(&mut cx, false, &request).await?;
    jobs::insert_part(&mut cx.tx, job.id, "input", 1, &file).await?;
    note(&mut cx, &job).await?;
    cx.commit(accepted(job)).await
}

async fn insert(cx: &mut Cx<ManageLeads>, awaits_parts: bool, request: &ImportRequest) -> ApiResult<Job> {
    let request = to_value(request).map_err(|_| Problem::internal())?;
    let (now, actor) = (cx.now(), cx.actor.clone());
    let new = NewJob { kind: JobKind::Import, awaits_parts, request };
    Ok(jobs::insert(&mut cx.tx, now, &actor, new).await?)
}

fn read(params: &mut Params) -> (ImportRequest, bool) {
    let word = |params: &mut Params, name: &str, known: &[&str]| {
        let words = params.choices(name, known);
        if words.len() > 1 {
            params.refuse(name, "too_many_values", "One value is expected.");
        }
        words.into_iter().next()
    };
    let mode =
        word(params, "mode", ImportMode::WORDS).and_then(|word| ImportMode::parse(&word)).unwrap_or_default();
    let format = word(params, "format", SourceKind::WORDS).and_then(|word| SourceKind::parse(&word));
    let in_parts = word(params, "upload", &["parts"]).is_some();
    let mut map = BTreeMap::new();
    for (name, words) in params.take_prefixed("map.") {
        let column = name.strip_prefix("map.").unwrap_or_default().trim().to_owned();
        match words.as_slice() {
            [field] if knows_field(field) => {
                map.insert(column, field.clone());
            }
            [_] => params.refuse(&name, "unknown_field", "Leads have no such field."),
            _ => params.refuse(&name, "required", "Say which field the column is."),
        }
    }
    let request = ImportRequest {
        mode,
        dry_run: params.flag("dryRun").unwrap_or_default(),
        automations: params.flag("automations").unwrap_or(true),
        format,
        map,
    };
    (request, in_parts)
}

fn kind(headers: &HeaderMap) -> ApiResult<SourceKind> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    SourceKind::of_media_type(media_type).ok_or_else(|| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the file as text/csv, application/json or application/x-ndjson.",
        )
    })
}

/// What is wrong with the file as a whole is told at once where it can be seen at once.
fn refused(error: FileError) -> Problem {
    Problem::invalid("", error.code, error.detail)
}
