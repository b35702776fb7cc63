//! Optimistic concurrency: a resource's version is its `ETag` (RFC 9110, section 8.8.3).

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use super::Problem;
use crate::crypto::sha256;

/// The `ETag` of a version.
pub(super) fn value(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"v{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"v0\""))
}

/// The `ETag` of a resource without a version: what it looks like.
pub(super) fn of_content(content: &[u8]) -> HeaderValue {
    let hash = hex::encode(sha256(content));
    let short = hash.get(..16).unwrap_or(&hash);
    HeaderValue::from_str(&format!("\"h{short}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"h0\""))
}

/// Whether a tag was made of what the resource looks like.
pub(super) fn is_of_content(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"\"h")
}

/// Marks an answer that holds more than the resource whose version is its `ETag`: that the version is the same does not
/// mean that the answer is.
#[derive(Clone, Copy, Debug)]
pub(super) struct HoldsMore;

/// The version that the caller last saw, from `If-Match`.
#[derive(Clone, Debug, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Refuses with 412 and the current `ETag` when the caller saw another version.
    ///
    /// # Errors
    /// 412 `stale_version`.
    pub fn require(&self, version: i64) -> Result<(), Problem> {
        let current = value(version);
        match &self.0 {
            Some(given) if !matches(given, &current) => Err(stale(&current)),
            Some(_) | None => Ok(()),
        }
    }
}

/// 412 with the current tag.
pub(super) fn stale(current: &HeaderValue) -> Problem {
    let problem = Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "stale_version",
        "The resource has changed since you read it; read it again.",
    );
    problem.header(header::ETAG, current.to_str().unwrap_or_default())
}

/// Whether a list of tags names the current one. Weak prefixes are ignored: our tags stand for whole versions.
fn matches(given: &str, current: &HeaderValue) -> bool {
    given
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == current)
}

/// Whether a GET can be answered by 304.
pub(super) fn not_modified(if_none_match: Option<&HeaderValue>, answer: &HeaderMap) -> bool {
    let (Some(given), Some(current)) =
        (if_none_match.and_then(|v| v.to_str().ok()), answer.get(header::ETAG))
    else {
        return false;
    };
    matches(given, current)
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
            None => Ok(Self(None)),
            Some(Ok(text)) => Ok(Self(Some(text.to_owned()))),
            Some(Err(_)) => Err(Problem::bad_request("bad_header", "If-Match is not readable.")),
        }
    }
}
