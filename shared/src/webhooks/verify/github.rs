//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA-256 of the body (docs.github.com, validating webhook
//! deliveries). The older SHA-1 header is not looked at. The delivery key is `X-GitHub-Delivery`.

use ring::hmac::HMAC_SHA256;

use super::{Delivery, Refusal, Verified, header, mac};

/// The signature header.
pub const HEADER: &str = "x-hub-signature-256";

pub(super) fn verify(delivery: &Delivery<'_>, secrets: &[&str]) -> Result<Verified, Refusal> {
    check(delivery, secrets)?;
    Ok(Verified::named(header::optional(delivery.headers, "x-github-delivery")?, delivery.body))
}

/// Meta took the scheme over, header and all.
pub(super) fn check(delivery: &Delivery<'_>, secrets: &[&str]) -> Result<(), Refusal> {
    let value = header::one(delivery.headers, HEADER)?;
    let tag = header::hex(value.strip_prefix("sha256=").ok_or(Refusal::Malformed)?)?;
    if mac::matches_sha256(secrets, delivery.body, &[tag]) { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// The value of the header for `body`.
#[must_use]
pub fn sign(body: &[u8], secret: &str) -> String {
    format!("sha256={}", hex::encode(mac::sign(HMAC_SHA256, secret.as_bytes(), body)))
}
