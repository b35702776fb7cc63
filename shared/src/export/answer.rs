//! The request and the answer that all exports have in common.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Uri, header};

use super::{Chunk, Format, MOST_ROWS, Position, link};
use crate::http::Params;

/// Reads `format`, `limit` and `cursor`; the cursor with what it carries besides the position.
pub fn read_request(params: &mut Params) -> (Format, i64, Option<(Position, String)>) {
    let formats = params.choices("format", Format::WORDS);
    if formats.len() > 1 {
        params.refuse("format", "too_many_values", "One format is expected.");
    }
    let format = formats.first().and_then(|word| Format::parse(word)).unwrap_or(Format::Csv);
    let after = params.text("cursor").and_then(|cursor| {
        let position = Position::parse_with(&cursor);
        if position.is_none() {
            params.refuse("cursor", "invalid_cursor", "Use `x-next-cursor` of the chunk before.");
        }
        position
    });
    (format, params.number("limit", 1..=MOST_ROWS).unwrap_or(MOST_ROWS), after)
}

/// The chunk as a download that says where the next one is.
#[must_use]
pub fn answer(chunk: Chunk, format: Format, name: &str, asked: &Uri) -> Response {
    let mut response = chunk.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let mut insert = |header: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    };
    insert(header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}.{}\"", format.extension()));
    if let Some(cursor) = &chunk.next_cursor {
        insert(header::LINK, &link::next(asked, cursor));
        insert(HeaderName::from_static("x-next-cursor"), cursor);
    }
    response
}
