//! People on their way out.

use http::Uri;
use serde_json::{Map, Value, json, to_value};
use shared::{
    auth::ExportLeads,
    export::{self, Format},
    http::{ApiResult, Cx, FromQuery, Params, Problem, QueryString},
    jobs::{self, Job, JobKind, NewJob},
    leads::{self, ExportCursor, ExportRequest, LeadFilter},
};

use crate::jobs::{accepted, note};

/// Leads that match a list's filters, oldest first. With them come their further identities and latest consents: the import reads it all back.
/// A chunk has at most 4 MB; `Link: rel="next"` and `x-next-cursor` say that there is more, and where.
#[utoipa::path(get, path = "/api/leads/export", operation_id = "export_leads", tag = "jobs",
    extensions(("x-role" = json!("manager")), ("x-step-up" = json!(true))),
    params(LeadFilter, ("format" = Option<String>, Query, description = "csv, json, ndjson; csv when left out"),
        ("limit" = Option<i64>, Query, description = "rows of a chunk at most, up to 25,000"), ("cursor" = Option<String>, Query, description = "`x-next-cursor` of the chunk before")),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(crate) async fn export_leads(mut cx: Cx<ExportLeads>, query: QueryString, asked: Uri) -> ApiResult {
    let (mut filter, (format, rows, after)) = query.read(cx.zone(), |params| {
        let (format, rows, after) = export::read_request(params);
        let carried = after.is_some();
        let after = after.and_then(ExportCursor::parse);
        if carried && after.is_none() {
            params.refuse("cursor", "invalid_cursor", "Use `x-next-cursor` of the chunk before.");
        }
        (without_bin(params), (format, rows, after))
    })?;
    let now = cx.now();
    filter.resolve(&mut cx.tx, now).await?;
    let (own, first) = (cx.actor.own_records_of(), after.is_none());
    let chunk = leads::read_chunk(&mut cx.tx, &filter, format, after, rows, own).await?;
    if first {
        let after = json!({"format": format.extension()});
        cx.note("leads.exported", ("tenant", cx.tx.tenant()), (None, Some(after))).await?;
    }
    cx.commit(export::answer(chunk, format, "leads", &asked)).await
}

/// Writes leads that match a list's filters into a file, as a job. Its `result` lists the parts with their SHA-256 and that of the whole.
#[utoipa::path(post, path = "/api/leads/export", operation_id = "export_leads_as_job", tag = "jobs",
    extensions(("x-role" = json!("manager")), ("x-step-up" = json!(true)), ("x-scope" = json!("leads:read"))),
    params(LeadFilter, ("format" = Option<String>, Query, description = "csv, ndjson; csv when left out")),
    responses((status = 202, body = Job)))]
pub(crate) async fn export_leads_as_job(
    mut cx: Cx<ExportLeads>,
    query: QueryString,
    asked: Uri,
) -> ApiResult {
    let (mut filter, format) = query.read(cx.zone(), |params| {
        let formats = params.choices("format", &["csv", "ndjson"]);
        if formats.len() > 1 {
            params.refuse("format", "too_many_values", "One format is expected.");
        }
        (
            without_bin(params),
            formats.into_iter().next().unwrap_or_else(|| Format::Csv.extension().to_owned()),
        )
    })?;
    let (now, actor) = (cx.now(), cx.actor.clone());
    filter.resolve(&mut cx.tx, now).await?;
    let request = ExportRequest { format, filter: members(&asked) };
    let request = to_value(&request).map_err(|_| Problem::internal())?;
    let new = NewJob { kind: JobKind::Export, awaits_parts: false, request };
    let job = jobs::insert(&mut cx.tx, now, &actor, new).await?;
    note(&mut cx, &job).await?;
    cx.commit(accepted(job)).await
}

/// The list's filters; what is in the bin does not leave.
fn without_bin(params: &mut Params) -> LeadFilter {
    let filter = LeadFilter::read(params);
    if filter.deleted == Some(true) {
        params.refuse("deleted", "not_allowed", "Leads in the bin are not exported.");
    }
    filter
}

/// The filters as the job keeps them.
fn members(asked: &Uri) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(asked.query().unwrap_or_default().as_bytes()) {
        if name != "format" {
            let values = members.entry(name.into_owned()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value.into_owned().into());
            }
        }
    }
    members
}
