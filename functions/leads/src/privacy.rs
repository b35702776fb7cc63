//! What a person may ask of whoever keeps data about them: a copy, and oblivion.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, Uri, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    app::App,
    audit,
    auth::{ErasePerson, ExportPerson},
    export::link,
    http::{ApiResult, Check, Cx, FieldErrors, PathId, Problem, QueryString, ValidOrDefault},
    privacy::{self, Position},
    values::Line,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most rows of one document.
const MOST_ROWS: i64 = 25_000;

/// Everything that is known about a person, of every table: `{manifest, tables: {name: [row…]}, nextCursor}`. A document has at
/// most 4 MB; `nextCursor`, `Link: rel="next"` and `x-next-cursor` say that there is more, and where. Secrets, and bodies that may
/// tell of other people, are left out; the manifest names them.
#[utoipa::path(post, path = "/api/leads/{id}/privacy/export", operation_id = "export_lead", tag = "leads",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true)), ("x-scope" = json!("admin:read"))),
    params(("id" = Uuid, Path), ("limit" = Option<i64>, Query, description = "rows of a document at most, up to 25,000"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the document before")),
    responses((status = 200, body = Object, content_type = "application/json")))]
pub(crate) async fn export_lead(
    mut cx: Cx<ExportPerson>,
    PathId(id): PathId,
    query: QueryString,
    asked: Uri,
) -> ApiResult {
    let (after, rows) = query.read(cx.zone(), |params| {
        let after = params.text("cursor").and_then(|cursor| {
            let position = Position::parse(&cursor);
            if position.is_none() {
                params.refuse("cursor", "invalid_cursor", "Use `nextCursor` of the document before.");
            }
            position
        });
        (after, params.number("limit", 1..=MOST_ROWS).unwrap_or(MOST_ROWS))
    })?;
    let own_records_of = cx.actor.own_records_of();
    let subject =
        privacy::find_subject(&mut cx.tx, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    let (now, first) = (cx.now(), after.is_none());
    let chunk = privacy::read_chunk(&mut cx.tx, now, (id, &subject), after, rows).await?;
    if first {
        cx.note("lead.exported", ("lead", id), (None, None)).await?;
    }
    let mut response = chunk.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut insert = |header: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    };
    insert(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"person-{id}.json\""));
    if let Some(cursor) = &chunk.next_cursor {
        insert(header::LINK, &link::next(&asked, cursor));
        insert(HeaderName::from_static("x-next-cursor"), cursor);
    }
    cx.commit(response).await
}

/// Why and how somebody is erased.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Erasure {
    /// `erase`, the one way there is; may be left out.
    #[serde(default)]
    mode: Option<Mode>,
    /// Why. The audit log keeps its hash: the log outlives the person, and what somebody types may name them.
    #[serde(default)]
    reason: Option<Line>,
}

/// How somebody is erased.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// What names the person goes; what can be counted, and what the law wants, stays on an anonymous lead.
    #[default]
    Erase,
}

impl Check for Erasure {
    fn check(&self, _: &mut FieldErrors) {}
}

/// What became of a person's data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erased {
    /// The lead, which answers 404 from now on.
    id: Uuid,
    /// When.
    erased_at: DateTime<Utc>,
    /// How.
    mode: Mode,
    /// Rows that are gone, by table.
    removed: BTreeMap<&'static str, u64>,
    /// Rows that stay without anything personal, by table.
    emptied: BTreeMap<&'static str, u64>,
}

/// Forgets a person, for good: with all leads that were merged into this one, in every table. Runs and messages that are under way are
/// called off. Finalized documents keep what the law wants, the buyer's name sealed. Addresses that must be left alone stay so.
#[utoipa::path(post, path = "/api/leads/{id}/privacy/erase", operation_id = "erase_lead", tag = "leads",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true)), ("x-scope" = json!("admin:write"))),
    params(("id" = Uuid, Path)), request_body = Erasure, responses((status = 200, body = Erased)))]
pub(crate) async fn erase_lead(
    mut cx: Cx<ErasePerson>,
    State(app): State<App>,
    PathId(id): PathId,
    ValidOrDefault(erasure): ValidOrDefault<Erasure>,
) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let subject =
        privacy::lock_subject(&mut cx.tx, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    let done = privacy::erase(&mut cx.tx, app.secret_box(), now, &subject).await?;
    privacy::tell(&mut cx.tx, now, &subject.leads, "api").await?;
    let after = json!({"reason": erasure.reason.as_ref().and_then(audit::state_hash), "removed": done.removed, "emptied": done.emptied});
    cx.note("lead.erased", ("lead", id), (None, Some(after))).await?;
    let mode = erasure.mode.unwrap_or_default();
    cx.commit(Json(Erased { id, erased_at: now, mode, removed: done.removed, emptied: done.emptied })).await
}
