//! Stripe: `Stripe-Signature: t=…,v1=…`, HMAC-SHA-256 of `t.body` under the whole secret string, ±300 s
//! (docs.stripe.com/webhooks#verify-manually). The delivery key is the event's `id`.

use chrono::{DateTime, Utc};

use super::{Delivery, Refusal, Verified, header, readable, text_at, timed};

/// The signature header.
pub const HEADER: &str = "stripe-signature";

const TOLERANCE: i64 = 300;

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let value = header::one(delivery.headers, HEADER)?;
    timed::check(value, delivery.body, secrets, now, TOLERANCE)?;
    let event = readable(delivery.body);
    Ok(Verified::named(event.as_ref().and_then(|event| text_at(event, "/id")), delivery.body))
}

/// The value of the header for `body`, signed at `timestamp` (Unix seconds).
#[must_use]
pub fn sign(timestamp: i64, body: &[u8], secret: &str) -> String {
    timed::sign(timestamp, body, secret)
}
