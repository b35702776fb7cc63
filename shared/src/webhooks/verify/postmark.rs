//! Postmark signs nothing: its webhooks carry basic authentication, or a custom header (postmarkapp.com/developer,
//! webhooks overview). The secret is `user:password`; with the setting `header` it is that header's whole value. Two live
//! secrets are two users. The delivery key is `MessageID` and `RecordType`, with a hash of what else tells two records of
//! one message apart: the recipient, and for opens and clicks the moment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Delivery, Refusal, Verified, header, mac, readable, text_at};

pub(super) fn verify(
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
) -> Result<Verified, Refusal> {
    let given = match header::setting(settings, "header") {
        Some(name) => header::one(delivery.headers, name)?.as_bytes().to_vec(),
        None => credentials(header::one(delivery.headers, "authorization")?)?,
    };
    let mut genuine = false;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        genuine |= mac::equal(&given, secret.as_bytes());
    }
    if !genuine {
        return Err(Refusal::Mismatch);
    }
    let record = readable(delivery.body);
    Ok(match record.as_ref().and_then(key) {
        Some((key, id)) => Verified::keyed(&key, id, delivery.body),
        None => Verified::named(None, delivery.body),
    })
}

/// The value of the `Authorization` header for a secret `user:password`.
#[must_use]
pub fn sign(secret: &str) -> String {
    format!("Basic {}", header::to_base64(secret.as_bytes()))
}

fn credentials(value: &str) -> Result<Vec<u8>, Refusal> {
    let (scheme, encoded) = value.split_once(' ').ok_or(Refusal::Malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::Malformed);
    }
    STANDARD.decode(encoded).map_err(|_| Refusal::Malformed)
}

fn key(record: &Value) -> Option<(String, &str)> {
    let id = text_at(record, "/MessageID")?;
    let kind = text_at(record, "/RecordType").unwrap_or("Inbound");
    let mut rest = String::new();
    for field in ["/Recipient", "/Email", "/ReceivedAt", "/ChangedAt"] {
        rest.push_str(text_at(record, field).unwrap_or_default());
        rest.push('\n');
    }
    let rest = mac::sha256_hex(rest.as_bytes());
    Some((format!("{id}:{kind}:{}", rest.get(..16)?), id))
}
