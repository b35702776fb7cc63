//! Any sender that puts an HMAC-SHA-256 of the body in one header, as GitHub does.
//!
//! Settings: `header` (without it, exactly one of [`DEFAULT_HEADERS`]), `encoding` (`hex` or `base64`; without it
//! either), `prefix` (text before the code; without it an optional `sha256=`), `timestampHeader` (then `ts.body` is
//! signed, ±300 s), `idHeader` or `idField` (a dotted path in the JSON body) for the delivery key. Without an id the key is
//! the hash of the body, so that a sender who repeats a body word for word should name one.

use chrono::{DateTime, Utc};
use ring::hmac::HMAC_SHA256;
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, mac, readable};

/// Where a signature is looked for when the settings name no header.
pub const DEFAULT_HEADERS: [&str; 4] =
    ["x-hub-signature-256", "x-signature", "x-webhook-signature", "x-signature-256"];

const TOLERANCE: i64 = 300;

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let value = signature(delivery, settings)?;
    let code = match header::setting(settings, "prefix") {
        Some(prefix) => value.strip_prefix(prefix).ok_or(Refusal::Malformed)?,
        None => value.strip_prefix("sha256=").unwrap_or(value),
    };
    let tag = decode(code, header::setting(settings, "encoding"))?;
    let timestamp = match header::setting(settings, "timestampHeader") {
        Some(name) => Some(header::one(delivery.headers, name)?),
        None => None,
    };
    if let Some(timestamp) = timestamp {
        header::fresh(timestamp, now, TOLERANCE)?;
    }
    if !mac::matches_sha256(secrets, &content(timestamp, delivery.body), &[tag]) {
        return Err(Refusal::Mismatch);
    }
    Ok(Verified::named(id(delivery, settings)?.as_deref(), delivery.body))
}

/// The code of `body` in hex; with a timestamp (Unix seconds), of `ts.body`.
#[must_use]
pub fn sign(timestamp: Option<i64>, body: &[u8], secret: &str) -> String {
    let timestamp = timestamp.map(|seconds| seconds.to_string());
    hex::encode(mac::sign(HMAC_SHA256, secret.as_bytes(), &content(timestamp.as_deref(), body)))
}

fn signature<'d>(delivery: &Delivery<'d>, settings: &Value) -> Result<&'d str, Refusal> {
    if let Some(name) = header::setting(settings, "header") {
        return header::one(delivery.headers, name);
    }
    let mut found = None;
    for name in DEFAULT_HEADERS {
        match header::optional(delivery.headers, name)? {
            Some(_) if found.is_some() => return Err(Refusal::Repeated),
            None => {}
            value => found = value,
        }
    }
    found.ok_or(Refusal::Missing)
}

/// Senders of this kind differ in the case of their hex, so both are taken.
fn decode(code: &str, encoding: Option<&str>) -> Result<Vec<u8>, Refusal> {
    match encoding {
        Some("hex") => header::hex(&code.to_ascii_lowercase()),
        Some("base64") => header::base64(code),
        Some(_) => Err(Refusal::Malformed),
        None => header::hex(&code.to_ascii_lowercase()).or_else(|_| header::base64(code)),
    }
}

fn id(delivery: &Delivery<'_>, settings: &Value) -> Result<Option<String>, Refusal> {
    if let Some(name) = header::setting(settings, "idHeader") {
        return Ok(header::optional(delivery.headers, name)?.map(str::to_owned));
    }
    let Some(path) = header::setting(settings, "idField") else { return Ok(None) };
    let Some(body) = readable(delivery.body) else { return Ok(None) };
    let found = path.split('.').try_fold(&body, |value, name| value.get(name));
    Ok(match found {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    })
}

fn content(timestamp: Option<&str>, body: &[u8]) -> Vec<u8> {
    match timestamp {
        Some(timestamp) => [timestamp.as_bytes(), b".", body].concat(),
        None => body.to_vec(),
    }
}
