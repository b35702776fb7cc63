//! Calendly: `Calendly-Webhook-Signature: t=…,v1=…`, HMAC-SHA-256 of `t.body`, ±180 s
//! (developer.calendly.com, webhook signatures). The delivery key is the invitee's URI with the event's name.

use chrono::{DateTime, Utc};

use super::{Delivery, Refusal, Verified, header, readable, text_at, timed};

/// The signature header.
pub const HEADER: &str = "calendly-webhook-signature";

const TOLERANCE: i64 = 180;

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let value = header::one(delivery.headers, HEADER)?;
    timed::check(value, delivery.body, secrets, now, TOLERANCE)?;
    let event = readable(delivery.body);
    let key = event.as_ref().and_then(|event| {
        let uri = text_at(event, "/payload/uri")?;
        Some((format!("{uri}:{}", text_at(event, "/event")?), uri))
    });
    Ok(match key {
        Some((key, uri)) => Verified::keyed(&key, uri, delivery.body),
        None => Verified::named(None, delivery.body),
    })
}

/// The value of the header for `body`, signed at `timestamp` (Unix seconds).
#[must_use]
pub fn sign(timestamp: i64, body: &[u8], secret: &str) -> String {
    timed::sign(timestamp, body, secret)
}
