//! The export of events.

use http::Uri;
use shared::{
    analytics::{self, CtaFilter},
    auth::ExportAnalytics,
    export,
    http::{ApiResult, Cx, FromQuery, QueryString},
};

/// Events of a range, oldest first, crawlers among them and marked. A chunk has at most 4 MB; `Link: rel="next"` and
/// `x-next-cursor` say that there is more, and where.
#[utoipa::path(get, path = "/api/analytics/cta/export", operation_id = "export_cta_events", tag = "analytics",
    extensions(("x-role" = json!("manager")), ("x-step-up" = json!(true))),
    params(CtaFilter, ("format" = Option<String>, Query, description = "csv, json, ndjson; csv when left out"),
        ("limit" = Option<i64>, Query, description = "rows of a chunk at most, up to 25,000"), ("cursor" = Option<String>, Query, description = "`x-next-cursor` of the chunk before")),
    responses((status = 200, body = String, content_type = "text/csv"),))]
pub(crate) async fn export_cta_events(
    mut cx: Cx<ExportAnalytics>,
    query: QueryString,
    asked: Uri,
) -> ApiResult {
    let (filter, (format, rows, after)) =
        query.read(cx.zone(), |params| (CtaFilter::read(params), export::read_request(params)))?;
    let after = after.map(|(position, _)| position);
    let is_first = after.is_none();
    let own = cx.actor.own_records_of();
    let chunk = analytics::read_chunk(&mut cx.tx, &filter, format, after, rows, own).await?;
    if is_first {
        let tenant = cx.tx.tenant();
        cx.note("analytics.exported", ("tenant", tenant), (None, None)).await?;
    }
    cx.commit(export::answer(chunk, format, "cta-events", &asked)).await
}
