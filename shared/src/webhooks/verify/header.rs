//! Headers, encodings and timestamps, read without mercy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde_json::Value;

use super::Refusal;

/// The one value of a header.
pub(super) fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Refusal> {
    optional(headers, name)?.ok_or(Refusal::Missing)
}

/// The value of a header that may be absent but not repeated.
pub(super) fn optional<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Repeated);
    }
    value.to_str().map(Some).map_err(|_| Refusal::Malformed)
}

/// Bytes from hex. Lower case only, which is what every sender writes: one signature has one spelling.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Refusal::Malformed);
    }
    hex::decode(text).map_err(|_| Refusal::Malformed)
}

/// Bytes from standard base64 with padding.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| Refusal::Malformed)
}

/// Standard base64 with padding.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Checks that a Unix timestamp in seconds lies within `tolerance` seconds of `now`, before or after.
pub(super) fn fresh(timestamp: &str, now: DateTime<Utc>, tolerance: i64) -> Result<(), Refusal> {
    // `parse` alone would take a sign.
    if timestamp.len() > 12 || timestamp.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    let seconds: i64 = timestamp.parse().map_err(|_| Refusal::Malformed)?;
    let distance = now.timestamp().saturating_sub(seconds).saturating_abs();
    if distance <= tolerance { Ok(()) } else { Err(Refusal::Stale) }
}

/// A non-empty text among the settings of a source.
pub(super) fn setting<'s>(settings: &'s Value, name: &str) -> Option<&'s str> {
    settings.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
