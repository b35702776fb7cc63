//! Mailgun: inside the body a timestamp, a token and their HMAC-SHA-256 in hex under the account's signing key
//! (documentation.mailgun.com, securing webhooks); `parent-signature` holds the same for a sub-account's parent.
//!
//! The event itself is **not** signed: whoever holds one triple can put any event beside it. So the timestamp must lie
//! within ±15 minutes, and the token is the delivery key, which makes it good for one delivery.

use chrono::{DateTime, Utc};
use ring::hmac::HMAC_SHA256;
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, is_usable, mac, text_at};

const TOLERANCE: i64 = 15 * 60;

struct Triple {
    timestamp: String,
    token: String,
    signature: String,
}

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    let (triples, event_id) = read(delivery)?;
    let mut refusal = Refusal::Missing;
    for triple in triples {
        match check(&triple, secrets, now) {
            Ok(()) => return Ok(Verified { delivery_key: triple.token, provider_event_id: event_id }),
            Err(found) => refusal = found,
        }
    }
    Err(refusal)
}

/// The signature of `timestamp` (Unix seconds) and `token`.
#[must_use]
pub fn sign(timestamp: i64, token: &str, secret: &str) -> String {
    hex::encode(mac::sign(HMAC_SHA256, secret.as_bytes(), format!("{timestamp}{token}").as_bytes()))
}

fn check(triple: &Triple, secrets: &[&str], now: DateTime<Utc>) -> Result<(), Refusal> {
    let Triple { timestamp, token, signature } = triple;
    // With a token of any length, digits could move from the timestamp into it and both would stay signed.
    if token.len() != 50 || !is_usable(token) {
        return Err(Refusal::Malformed);
    }
    let tag = header::hex(signature)?;
    header::fresh(timestamp, now, TOLERANCE)?;
    let genuine = mac::matches_sha256(secrets, format!("{timestamp}{token}").as_bytes(), &[tag]);
    if genuine { Ok(()) } else { Err(Refusal::Mismatch) }
}

fn read(delivery: &Delivery<'_>) -> Result<(Vec<Triple>, Option<String>), Refusal> {
    let kind = header::optional(delivery.headers, "content-type")?.unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let triple = form_triple(delivery.body)?;
        return Ok((vec![triple], None));
    }
    let body = crate::json::parse_without_nul(delivery.body).map_err(|_| Refusal::Malformed)?;
    let triples =
        ["signature", "parent-signature"].into_iter().filter_map(|name| json_triple(body.get(name)?));
    let event_id = text_at(&body, "/event-data/id").filter(|id| is_usable(id));
    Ok((triples.collect(), event_id.map(str::to_owned)))
}

fn json_triple(value: &Value) -> Option<Triple> {
    let timestamp = match value.get("timestamp")? {
        Value::Number(seconds) => seconds.to_string(),
        seconds => seconds.as_str()?.to_owned(),
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Triple { timestamp, token: text("token")?, signature: text("signature")? })
}

fn form_triple(body: &[u8]) -> Result<Triple, Refusal> {
    let field = |name: &str| {
        let mut values = form_urlencoded::parse(body).filter(|(key, _)| key == name);
        let (_, value) = values.next().ok_or(Refusal::Missing)?;
        if values.next().is_some() { Err(Refusal::Repeated) } else { Ok(value.into_owned()) }
    };
    Ok(Triple { timestamp: field("timestamp")?, token: field("token")?, signature: field("signature")? })
}
