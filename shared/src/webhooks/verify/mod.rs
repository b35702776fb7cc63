//! Is a delivery genuine?
//!
//! One file per scheme. The rules they share: the signature is checked over the raw bytes, before anything is parsed;
//! exactly one signature header; comparison in constant time; timestamps bounded on both sides, because a library that
//! accepts the future lets a thief date a stolen delivery ten years ahead; whatever cannot be parsed is a [`Refusal`],
//! never a panic; and up to two secrets live at once, so that a secret can be changed without losing deliveries.
//!
//! What is verified gets a delivery key, unique per source: a second delivery with the same key is the same delivery.
//! When the sender names none, the key is the SHA-256 of the body. A body that is signed but cannot be read still
//! verifies, so that it is kept and can be looked at.

pub mod calendly;
pub mod forms;
pub mod generic;
pub mod github;
mod header;
mod mac;
pub mod mailgun;
pub mod meta;
pub mod postmark;
#[cfg(test)]
mod scheme_tests;
mod secret;
pub mod sendgrid;
pub mod shopify;
pub mod slack;
pub mod square;
pub mod standard;
pub mod stripe;
#[cfg(test)]
mod tests;
mod timed;
pub mod twilio;
pub mod typeform;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use serde_json::Value;

pub use secret::check_secret;

use super::Provider;

/// One delivery as it arrived.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The exact public URL, query included, as the sender knows it: from the configured public base, not from `Host`.
    pub url: &'a str,
    /// The request headers.
    pub headers: &'a HeaderMap,
    /// The body, decoded from the gateway's base64 but otherwise untouched.
    pub body: &'a [u8],
}

/// What a genuine delivery is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Unique per source; two deliveries with one key are one delivery. At most 300 printable ASCII characters.
    pub delivery_key: String,
    /// The sender's own id of the event, when it gives one.
    pub provider_event_id: Option<String>,
}

/// Why a delivery is not believed. All of them are answered alike; the code is for our own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header (or signed field) that the scheme needs is absent.
    #[error("a required signature header is missing")]
    Missing,
    /// A signature header is there twice.
    #[error("a signature header is repeated")]
    Repeated,
    /// A signature, timestamp or id is not in the form of the scheme.
    #[error("a signature header is malformed")]
    Malformed,
    /// The timestamp is too far in the past or in the future.
    #[error("the timestamp is outside the tolerance")]
    Stale,
    /// The signature is not the one of any live secret.
    #[error("the signature does not match")]
    Mismatch,
    /// The source has no usable secret.
    #[error("the source has no usable secret")]
    NoSecret,
    /// The body is of a kind that this scheme does not sign (Twilio JSON without its hash in the URL).
    #[error("the body is not covered by the signature")]
    Unsigned,
    /// A form was posted from a website that is not on the list of the source.
    #[error("the origin is not allowed")]
    Origin,
}

impl Refusal {
    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Repeated => "signature_repeated",
            Self::Malformed => "signature_malformed",
            Self::Stale => "timestamp_stale",
            Self::Mismatch => "signature_mismatch",
            Self::NoSecret => "secret_missing",
            Self::Unsigned => "body_unsigned",
            Self::Origin => "origin_not_allowed",
        }
    }
}

/// Checks one delivery against the live secrets (one, or two while a secret is being changed) of its source.
///
/// `settings` are the source's own; each scheme's file says which it reads. `now` is the time of arrival.
///
/// # Errors
/// The [`Refusal`]; nothing of an unverified delivery may be stored or acted upon.
pub fn verify(
    provider: Provider,
    delivery: &Delivery<'_>,
    secrets: &[&str],
    settings: &Value,
    now: DateTime<Utc>,
) -> Result<Verified, Refusal> {
    if provider.needs_secret() && secrets.iter().all(|secret| secret.is_empty()) {
        return Err(Refusal::NoSecret);
    }
    match provider {
        Provider::Stripe => stripe::verify(delivery, secrets, now),
        Provider::Twilio => twilio::verify(delivery, secrets, settings),
        Provider::Meta => meta::verify(delivery, secrets),
        Provider::Sendgrid => sendgrid::verify(delivery, secrets, settings, now),
        Provider::Mailgun => mailgun::verify(delivery, secrets, now),
        Provider::Postmark => postmark::verify(delivery, secrets, settings),
        Provider::Square => square::verify(delivery, secrets, settings),
        Provider::Shopify => shopify::verify(delivery, secrets),
        Provider::Calendly => calendly::verify(delivery, secrets, now),
        Provider::Typeform => typeform::verify(delivery, secrets),
        Provider::Github => github::verify(delivery, secrets),
        Provider::Slack => slack::verify(delivery, secrets, now),
        Provider::Standard => standard::verify(delivery, secrets, now),
        Provider::Generic => generic::verify(delivery, secrets, settings, now),
        Provider::Forms => forms::verify(delivery, settings, now),
    }
}

impl Verified {
    /// Names a delivery by the sender's id, or by the SHA-256 of its body when there is none that can be used.
    fn named(id: Option<&str>, body: &[u8]) -> Self {
        match id.filter(|id| is_usable(id)) {
            Some(id) => Self { delivery_key: id.to_owned(), provider_event_id: Some(id.to_owned()) },
            None => Self { delivery_key: mac::sha256_hex(body), provider_event_id: None },
        }
    }

    /// Names a delivery by a key of ours that is built around the sender's id.
    fn keyed(key: &str, id: &str, body: &[u8]) -> Self {
        if is_usable(key) && is_usable(id) {
            return Self { delivery_key: key.to_owned(), provider_event_id: Some(id.to_owned()) };
        }
        Self::named(None, body)
    }
}

/// An id that can stand in a key: short, and nothing in it that a database, a log or a header would choke on.
fn is_usable(id: &str) -> bool {
    (1..=300).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The JSON body, for the delivery key only: an unreadable one is named by its hash.
fn readable(body: &[u8]) -> Option<Value> {
    crate::json::parse_without_nul(body).ok()
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}
