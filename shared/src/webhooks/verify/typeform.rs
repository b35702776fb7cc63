//! Typeform: `Typeform-Signature: sha256=<base64>`, HMAC-SHA-256 of the body (typeform.com/developers, secure your
//! webhooks). Base64, not hex. The delivery key is `event_id`.

use ring::hmac::HMAC_SHA256;

use super::{Delivery, Refusal, Verified, header, mac, readable, text_at};

/// The signature header.
pub const HEADER: &str = "typeform-signature";

pub(super) fn verify(delivery: &Delivery<'_>, secrets: &[&str]) -> Result<Verified, Refusal> {
    let value = header::one(delivery.headers, HEADER)?;
    let tag = header::base64(value.strip_prefix("sha256=").ok_or(Refusal::Malformed)?)?;
    if !mac::matches_sha256(secrets, delivery.body, &[tag]) {
        return Err(Refusal::Mismatch);
    }
    let event = readable(delivery.body);
    Ok(Verified::named(event.as_ref().and_then(|event| text_at(event, "/event_id")), delivery.body))
}

/// The value of the header for `body`.
#[must_use]
pub fn sign(body: &[u8], secret: &str) -> String {
    format!("sha256={}", header::to_base64(&mac::sign(HMAC_SHA256, secret.as_bytes(), body)))
}
