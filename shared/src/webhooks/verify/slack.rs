//! Slack: `X-Slack-Signature: v0=<hex>` with `X-Slack-Request-Timestamp`, HMAC-SHA-256 of `v0:ts:body`, ±300 s
//! (docs.slack.dev, verifying requests from Slack). The delivery key is `event_id`; slash commands have none and are
//! named by their hash, which the `trigger_id` inside makes unique.

use chrono::{DateTime, Utc};
use ring::hmac::HMAC_SHA256;

use super::{Delivery, Refusal, Verified, header, mac, readable, text_at};

/// The signature header.
pub const HEADER: &str = "x-slack-signature";
/// The header of the signed time.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";

const TOLERANCE: i64 = 300;

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let value = header::one(delivery.headers, HEADER)?;
    let timestamp = header::one(delivery.headers, TIMESTAMP_HEADER)?;
    let tag = header::hex(value.strip_prefix("v0=").ok_or(Refusal::Malformed)?)?;
    header::fresh(timestamp, now, TOLERANCE)?;
    if !mac::matches_sha256(secrets, &content(timestamp, delivery.body), &[tag]) {
        return Err(Refusal::Mismatch);
    }
    let event = readable(delivery.body);
    Ok(Verified::named(event.as_ref().and_then(|event| text_at(event, "/event_id")), delivery.body))
}

/// The text to answer with when a verified body is Slack's check of a newly registered URL.
#[must_use]
pub fn challenge(body: &[u8]) -> Option<String> {
    let body = readable(body)?;
    let check = text_at(&body, "/type") == Some("url_verification");
    text_at(&body, "/challenge").filter(|challenge| check && super::is_usable(challenge)).map(str::to_owned)
}

/// The value of the header for `body`, signed at `timestamp` (Unix seconds).
#[must_use]
pub fn sign(timestamp: i64, body: &[u8], secret: &str) -> String {
    let content = content(&timestamp.to_string(), body);
    format!("v0={}", hex::encode(mac::sign(HMAC_SHA256, secret.as_bytes(), &content)))
}

fn content(timestamp: &str, body: &[u8]) -> Vec<u8> {
    [b"v0:", timestamp.as_bytes(), b":", body].concat()
}
