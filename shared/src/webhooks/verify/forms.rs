//! Website forms cannot keep a secret, so nothing is signed: the token in the URL is all there is. A browser from a
//! website that is not in the setting `allowedOrigins` (when that is not empty) is refused; a request without `Origin`
//! does not come from a browser's script, and a list of origins would not stop it.
//!
//! The delivery key is the hash of the body and the UTC day: a double click is one submission, but the same words next
//! month are a new one.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, mac};

pub(super) fn verify(
    delivery: &Delivery<'_>,
    settings: &Value,
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    if let Some(origin) = header::optional(delivery.headers, "origin")?
        && !origin_allowed(settings, origin)
    {
        return Err(Refusal::Origin);
    }
    let key = format!("{}:{}", mac::sha256_hex(delivery.body), now.format("%Y-%m-%d"));
    Ok(Verified { delivery_key: key, provider_event_id: None })
}

/// Whether a browser at `origin` may post to the source: it is listed in `allowedOrigins`, or the list is empty or `*`.
#[must_use]
pub fn origin_allowed(settings: &Value, origin: &str) -> bool {
    let Some(allowed) = settings.get("allowedOrigins").and_then(Value::as_array) else { return true };
    let listed = |entry: &Value| {
        let entry = entry.as_str().unwrap_or_default().trim_end_matches('/');
        entry == "*" || entry.eq_ignore_ascii_case(origin)
    };
    allowed.is_empty() || allowed.iter().any(listed)
}
