//! Meta (WhatsApp Cloud API, Lead Ads): `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA-256 of the body under the app
//! secret (developers.facebook.com, webhooks getting started). The body is signed as sent, with its escapes, so it must
//! not be re-serialised. Nothing is dated. A delivery with one message or one status is named by it; a larger one by its
//! hash, since its elements are told apart later.

use serde_json::Value;

use super::{Delivery, Refusal, Verified, github, header, mac, readable, text_at};

/// The signature header.
pub const HEADER: &str = github::HEADER;

pub(super) fn verify(delivery: &Delivery<'_>, secrets: &[&str]) -> Result<Verified, Refusal> {
    github::check(delivery, secrets)?;
    let body = readable(delivery.body);
    Ok(match body.as_ref().and_then(only_element) {
        Some((key, id)) => Verified::keyed(&key, id, delivery.body),
        None => Verified::named(None, delivery.body),
    })
}

/// Answers the challenge that Meta sends by GET when the URL is registered: the text to return, as `text/plain`.
/// Reads `verifyToken` of the source's settings.
///
/// # Errors
/// A [`Refusal`] if the token is not ours, or a parameter is missing, repeated or not a plain word (which Meta's always
/// is, and which keeps us from echoing markup).
pub fn challenge(query: &str, settings: &Value) -> Result<String, Refusal> {
    let ours = header::setting(settings, "verifyToken").ok_or(Refusal::NoSecret)?;
    let mode = parameter(query, "hub.mode")?;
    let token = parameter(query, "hub.verify_token")?;
    let challenge = parameter(query, "hub.challenge")?;
    let plain = (1..=200).contains(&challenge.len())
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if mode != "subscribe" || !plain {
        return Err(Refusal::Malformed);
    }
    if mac::equal(token.as_bytes(), ours.as_bytes()) { Ok(challenge) } else { Err(Refusal::Mismatch) }
}

/// The value of the header for `body`.
#[must_use]
pub fn sign(body: &[u8], secret: &str) -> String {
    github::sign(body, secret)
}

fn parameter(query: &str, name: &str) -> Result<String, Refusal> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let (_, value) = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() { Err(Refusal::Repeated) } else { Ok(value.into_owned()) }
}

fn only_element(body: &Value) -> Option<(String, &str)> {
    let [entry] = body.get("entry")?.as_array()?.as_slice() else { return None };
    let [change] = entry.get("changes")?.as_array()?.as_slice() else { return None };
    let value = change.get("value")?;
    if let Some(id) = text_at(value, "/leadgen_id") {
        return Some((format!("leadgen:{id}"), id));
    }
    let elements = |name: &str| value.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match (elements("messages"), elements("statuses")) {
        ([message], []) => text_at(message, "/id").map(|id| (id.to_owned(), id)),
        ([], [status]) => {
            let id = text_at(status, "/id")?;
            Some((format!("{id}:{}", text_at(status, "/status")?), id))
        }
        _ => None,
    }
}
