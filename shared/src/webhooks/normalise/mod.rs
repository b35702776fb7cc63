//! What does a delivery say? Raw bytes in, [`Canonical`] events out.
//!
//! One file per sender, each written after the sender's public documentation and each total: whatever comes in, the
//! answer is events or an error, never a panic. What is not understood is an error and not a guess, since an error can be
//! looked at and replayed. Where a body holds many elements (SendGrid, Meta), one bad element does not spoil the others.

mod calendly;
mod canonical;
pub mod forms;
mod lead;
mod mailgun;
mod meta;
mod postmark;
mod read;
mod resend;
mod sendgrid;
mod shopify;
mod signals;
mod square;
mod stripe;
#[cfg(test)]
mod tests;
mod twilio;
mod typeform;

use std::fmt;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use ring::digest;
use serde_json::Value;

pub use canonical::{
    Booking, Cancellation, Canonical, Channel, Consent, DeliveryStatus, Event, FailedPayment, Generic,
    Identity, LeadCaptured, Media, MessageReceived, MessageStatus, OptOut, Payment, Refund,
};

use super::Provider;

/// The request headers that normalising needs: they must be kept with a receipt.
pub const KEPT_HEADERS: [&str; 3] = ["content-type", "x-github-event", "x-shopify-topic"];

const MAX_KEY: usize = 300;

/// One stored delivery.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    /// The delivery key it was verified under.
    pub delivery_key: &'a str,
    /// The query of the URL, without `?`. Status callbacks carry `effect=<id>` in it.
    pub query: &'a str,
    /// At least [`KEPT_HEADERS`].
    pub headers: &'a HeaderMap,
    /// The body as it came.
    pub body: &'a [u8],
    /// When it arrived: the time of events that tell none.
    pub received_at: DateTime<Utc>,
}

/// What a delivery said.
#[derive(Debug, Default)]
pub struct Normalised {
    /// The events, in the sender's order.
    pub events: Vec<Canonical>,
    /// The elements that could not be read, beside those that could.
    pub errors: Vec<ElementError>,
}

/// One element of a delivery that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementError {
    /// Its place among the elements, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: NormaliseError,
}

/// Why a delivery, or an element of it, could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormaliseError {
    /// A stable snake_case word.
    pub code: &'static str,
    /// What and where, never the value itself.
    pub detail: String,
}

impl fmt::Display for NormaliseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for NormaliseError {}

/// Reads a verified delivery. `settings` are those of its source: `map` (sender's field → lead field; a dotted path or a
/// JSON pointer for JSON), `source` (the lead source), `honeypot` (forms), `typeField` (generic).
///
/// # Errors
/// A [`NormaliseError`] if nothing of the delivery can be read. Elements that cannot be read beside others that can are
/// in [`Normalised::errors`].
pub fn normalise(provider: Provider, raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    match provider {
        Provider::Stripe => stripe::read(raw),
        Provider::Twilio => twilio::read(raw),
        Provider::Meta => meta::read(raw),
        Provider::Sendgrid => sendgrid::read(raw),
        Provider::Mailgun => mailgun::read(raw),
        Provider::Postmark => postmark::read(raw),
        Provider::Square => square::read(raw),
        Provider::Shopify => shopify::read(raw),
        Provider::Calendly => calendly::read(raw, settings),
        Provider::Typeform => typeform::read(raw, settings),
        Provider::Github => signals::read_github(raw, settings),
        Provider::Slack => signals::read_slack(raw, settings),
        Provider::Standard => signals::read_standard(raw, settings),
        Provider::Generic => signals::read_generic(raw, settings),
        Provider::Forms => forms::read(raw, settings),
    }
}

impl Normalised {
    fn one(event: Canonical) -> Self {
        Self { events: vec![event], errors: Vec::new() }
    }

    /// Collects what was read of each element. When every element is bad, so is the delivery.
    fn collect(
        elements: impl Iterator<Item = Result<Vec<Canonical>, NormaliseError>>,
    ) -> Result<Self, NormaliseError> {
        let mut all = Self::default();
        for (index, element) in elements.enumerate() {
            match element {
                Ok(events) => all.events.extend(events),
                Err(error) => all.errors.push(ElementError { index, error }),
            }
        }
        match all.errors.first() {
            Some(first) if all.events.is_empty() => Err(first.error.clone()),
            _ => Ok(all),
        }
    }
}

impl Canonical {
    fn new(dedupe_key: impl Into<String>, occurred_at: DateTime<Utc>, event: Event) -> Self {
        Self { dedupe_key: bounded(dedupe_key.into()), occurred_at, event }
    }

    fn ignored(dedupe_key: impl Into<String>, occurred_at: DateTime<Utc>, reason: &str) -> Self {
        Self::new(dedupe_key, occurred_at, Event::Ignored { reason: reason.to_owned() })
    }

    fn generic(dedupe_key: impl Into<String>, occurred_at: DateTime<Utc>, name: String, data: Value) -> Self {
        Self::new(dedupe_key, occurred_at, Event::Generic(Generic { name, data }))
    }
}

/// A key that fits into an index, whatever the sender calls its things.
fn bounded(key: String) -> String {
    if key.len() <= MAX_KEY { key } else { hex::encode(digest::digest(&digest::SHA256, key.as_bytes())) }
}

impl NormaliseError {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}
