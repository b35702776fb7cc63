//! Shopify: `X-Shopify-Hmac-Sha256: <base64>`, HMAC-SHA-256 of the body under the client secret (shopify.dev, deliver
//! webhooks through HTTPS). The delivery key is `X-Shopify-Webhook-Id`, or `X-Shopify-Event-Id`; neither is signed, so
//! what a body does is told apart once more by the ids inside it.

use ring::hmac::HMAC_SHA256;

use super::{Delivery, Refusal, Verified, header, mac};

/// The signature header.
pub const HEADER: &str = "x-shopify-hmac-sha256";

pub(super) fn verify(delivery: &Delivery<'_>, secrets: &[&str]) -> Result<Verified, Refusal> {
    let tag = header::base64(header::one(delivery.headers, HEADER)?)?;
    if !mac::matches_sha256(secrets, delivery.body, &[tag]) {
        return Err(Refusal::Mismatch);
    }
    let id = match header::optional(delivery.headers, "x-shopify-webhook-id")? {
        Some(id) => Some(id),
        None => header::optional(delivery.headers, "x-shopify-event-id")?,
    };
    Ok(Verified::named(id, delivery.body))
}

/// The value of the header for `body`.
#[must_use]
pub fn sign(body: &[u8], secret: &str) -> String {
    header::to_base64(&mac::sign(HMAC_SHA256, secret.as_bytes(), body))
}
