//! Square: `x-square-hmacsha256-signature: <base64>`, HMAC-SHA-256 of the notification URL and the body
//! (developer.squareup.com, validate webhook notifications). The older SHA-1 header is not looked at. The URL is the one
//! registered with Square: the setting `notificationUrl` when given, else our own. The delivery key is `event_id`.

use ring::hmac::HMAC_SHA256;
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, mac, readable, text_at};

/// The signature header.
pub const HEADER: &str = "x-square-hmacsha256-signature";

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
) -> Result<Verified, Refusal> {
    let tag = header::base64(header::one(delivery.headers, HEADER)?)?;
    let url = header::setting(settings, "notificationUrl").unwrap_or(delivery.url);
    if !mac::matches_sha256(secrets, &content(url, delivery.body), &[tag]) {
        return Err(Refusal::Mismatch);
    }
    let event = readable(delivery.body);
    Ok(Verified::named(event.as_ref().and_then(|event| text_at(event, "/event_id")), delivery.body))
}

/// The value of the header for `body` sent to `url`.
#[must_use]
pub fn sign(url: &str, body: &[u8], secret: &str) -> String {
    header::to_base64(&mac::sign(HMAC_SHA256, secret.as_bytes(), &content(url, body)))
}

fn content(url: &str, body: &[u8]) -> Vec<u8> {
    [url.as_bytes(), body].concat()
}
