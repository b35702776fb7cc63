//! The header that Stripe invented and Calendly copied: `t=<seconds>,v1=<hex>[,v1=<hex>…]`, over `t.body`.

use chrono::{DateTime, Utc};
use ring::hmac::HMAC_SHA256;

use super::{Refusal, header, mac};

/// Checks a header of this form. Elements of other versions are skipped, and so is a `v1` that is not hex as long as
/// another one is right: during a change of secrets the sender lists several.
pub(super) fn check(
    value: &str,
    body: &[u8],
    secrets: &[&str],
    now: DateTime<Utc>,
    tolerance: i64,
) -> Result<(), Refusal> {
    let mut timestamp = None;
    let mut tags = Vec::new();
    for element in value.split(',') {
        match element.split_once('=').ok_or(Refusal::Malformed)? {
            ("t", _) if timestamp.is_some() => return Err(Refusal::Repeated),
            ("t", seconds) => timestamp = Some(seconds),
            ("v1", tag) => tags.extend(header::hex(tag)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Refusal::Malformed)?;
    header::fresh(timestamp, now, tolerance)?;
    if tags.is_empty() {
        return Err(Refusal::Malformed);
    }
    if !mac::matches_sha256(secrets, &content(timestamp, body), &tags) {
        return Err(Refusal::Mismatch);
    }
    Ok(())
}

/// The header for `body`, signed at `timestamp` (Unix seconds).
pub(super) fn sign(timestamp: i64, body: &[u8], secret: &str) -> String {
    let content = content(&timestamp.to_string(), body);
    format!("t={timestamp},v1={}", hex::encode(mac::sign(HMAC_SHA256, secret.as_bytes(), &content)))
}

fn content(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b".", body].concat()
}
