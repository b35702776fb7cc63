//! The export of events.

use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue, Uri, header};
use shared::{
    analytics::{self, CtaFilter, Format, MOST_ROWS, Position},
    auth::ManageAnalytics,
    export::link,
    http::{ApiResult, Cx, FromQuery, QueryString},
};

/// Events of a range, oldest first, crawlers among them and marked. A chunk has at most 4 MB; `Link: rel="next"` and
/// `x-next-cursor` say that there is more, and where.
#[utoipa::path(get, path = "/api/analytics/cta/export", operation_id = "export_cta_events", tag = "analytics",
    extensions(("x-role" = json!("manager"))),
    params(CtaFilter, ("format" = Option<String>, Query, description = "csv, json, ndjson; csv when left out"),
        ("limit" = Option<i64>, Query, description = "rows of a chunk at most, up to 25,000"), ("cursor" = Option<String>, Query, description = "`x-next-cursor` of the chunk before")),
    responses((status = 200, body = String, content_type = "text/csv"),))]
pub(crate) async fn export_cta_events(
    mut cx: Cx<ManageAnalytics>,
    query: QueryString,
    asked: Uri,
) -> ApiResult {
    let (filter, format, after, rows) = query.read(cx.zone(), |params| {
        let filter = CtaFilter::read(params);
        let formats = params.choices("format", Format::WORDS);
        if formats.len() > 1 {
            params.refuse("format", "too_many_values", "One format is expected.");
        }
        let format = formats.first().and_then(|word| Format::parse(word)).unwrap_or(Format::Csv);
        let after = params.text("cursor").and_then(|cursor| {
            let position = Position::parse(&cursor);
            if position.is_none() {
                params.refuse("cursor", "invalid_cursor", "Use `x-next-cursor` of the chunk before.");
            }
            position
        });
        (filter, format, after, params.number("limit", 1..=MOST_ROWS).unwrap_or(MOST_ROWS))
    })?;
    let chunk = analytics::read_chunk(&mut cx.tx, &filter, format, after, rows).await?;
    let name = format!("attachment; filename=\"cta-events.{}\"", format.extension());
    let mut response = chunk.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let mut insert = |header: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    };
    insert(header::CONTENT_DISPOSITION, &name);
    if let Some(cursor) = &chunk.next_cursor {
        insert(header::LINK, &link::next(&asked, cursor));
        insert(HeaderName::from_static("x-next-cursor"), cursor);
    }
    cx.commit(response).await
}
