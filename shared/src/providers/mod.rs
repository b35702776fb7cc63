//! Providers: who carries messages to people.
//!
//! One function, [`send`], whoever the provider is, and one answer, [`Outcome`]. What a provider can promise when an
//! answer was lost is its [`Capability`]; the worker acts on that and never on the provider's name.

mod kind;
mod resend;
mod sandbox;
mod sendgrid;
mod twilio;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use kind::{Capability, Provider};

use crate::{
    app::App,
    db::DbError,
    ids::TenantId,
    messages::Channel,
    net::{Answer, OutboundClient, OutboundError},
    private::Private,
};

/// An account with a provider, opened for one send.
#[derive(Clone, Debug)]
pub struct Account {
    /// The provider.
    pub provider: Provider,
    /// What is not secret: sender, account number, base address.
    pub settings: Value,
    /// Keys and passwords.
    pub secrets: Private<Value>,
}

impl Account {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn secret(&self, name: &str) -> &str {
        self.secrets.expose().get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The API's base address: the vendor's, or a stand-in's by the setting `baseUrl`.
    fn base<'a>(&'a self, vendor: &'a str) -> &'a str {
        self.setting("baseUrl").unwrap_or(vendor).trim_end_matches('/')
    }

    /// Whether what is sent with it goes to the provider itself, and not to an address that somebody has put in its place.
    #[must_use]
    pub fn is_at_the_vendors(&self) -> bool {
        let own: &[&str] = match self.provider {
            Provider::Sandbox => return false,
            Provider::Twilio => &[twilio::VENDOR],
            Provider::Resend => &[resend::VENDOR],
            Provider::Sendgrid => &[sendgrid::VENDOR, sendgrid::VENDOR_IN_EUROPE],
        };
        self.setting("baseUrl").is_none_or(|base| own.contains(&base.trim_end_matches('/')))
    }

    /// The sender's address or number.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.setting("from")
    }
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The effect, which callbacks bring back.
    pub effect_id: Uuid,
    /// The same for every try of the same message.
    pub idem_key: String,
    /// How it travels.
    pub channel: Channel,
    /// To whom.
    pub to: Private<String>,
    /// E-mail: the subject.
    pub subject: Option<Private<String>>,
    /// The text.
    pub body: Private<String>,
    /// E-mail: the same as HTML.
    pub html: Option<Private<String>>,
    /// Advertising by e-mail: where one click ends it (RFC 8058).
    pub unsubscribe_url: Option<String>,
    /// When it was first tried.
    pub first_tried_at: DateTime<Utc>,
}

/// What kind of failure a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// It will never work like this.
    Permanent,
    /// It may work later.
    Transient,
    /// A rule of the provider forbids it.
    Policy,
}

impl FailureClass {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Policy => "policy",
        }
    }
}

/// The code and the words of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The provider's code, or a word of ours.
    pub code: String,
    /// For people.
    pub reason: String,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
}

impl Cause {
    fn new(code: impl Into<String>, reason: impl Into<String>, http_status: Option<u16>) -> Self {
        Self { code: code.into(), reason: reason.into(), http_status }
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has it.
    Accepted {
        /// Its id there.
        provider_ref: String,
    },
    /// Definitely not sent, and not to be tried again.
    Rejected(FailureClass, Cause),
    /// Definitely not sent; to be tried again, not before `after` if the provider says so.
    Retry(Option<Duration>, Cause),
    /// Definitely not sent, because the provider no longer knows the account.
    AccountRefused(Cause),
    /// Perhaps sent.
    Ambiguous(Cause),
}

/// What a search for a perhaps-sent message found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// It was sent.
    Found {
        /// Its id there.
        provider_ref: String,
    },
    /// It was provably not sent.
    Absent,
    /// The provider could not say.
    Unclear,
}

/// Hands a message to the account's provider. Outside any transaction.
///
/// # Errors
/// Only the sandbox's: when our own database is lost.
pub async fn send(
    app: &App,
    tenant: TenantId,
    account: &Account,
    outgoing: &Outgoing,
) -> Result<Outcome, DbError> {
    let client = (account.provider != Provider::Sandbox).then(|| OutboundClient::new(&app.config));
    Ok(match (account.provider, client) {
        (Provider::Sandbox, _) | (_, None) => sandbox::send(app, tenant, outgoing).await?,
        (_, Some(Err(error))) => no_answer(&error),
        (Provider::Twilio, Some(Ok(client))) => twilio::send(&client, account, outgoing).await,
        (Provider::Resend, Some(Ok(client))) => resend::send(&client, account, outgoing).await,
        (Provider::Sendgrid, Some(Ok(client))) => sendgrid::send(&client, account, outgoing).await,
    })
}

/// Asks the provider whether a message was sent whose answer was lost.
pub async fn search(app: &App, account: &Account, outgoing: &Outgoing) -> Search {
    match (account.provider, OutboundClient::new(&app.config)) {
        (Provider::Twilio, Ok(client)) => twilio::search(&client, account, outgoing).await,
        _ => Search::Unclear,
    }
}

/// Asks the provider whether it knows the account.
///
/// # Errors
/// Why it does not.
pub async fn test(app: &App, account: &Account) -> Result<(), Cause> {
    let client = OutboundClient::new(&app.config).map_err(|error| cause(&error))?;
    let answer = match account.provider {
        Provider::Sandbox => return Ok(()),
        Provider::Twilio => twilio::probe(&client, account).await,
        Provider::Resend => resend::probe(&client, account).await,
        Provider::Sendgrid => sendgrid::probe(&client, account).await,
    };
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(Cause::new(
            format!("http_{}", answer.status),
            "The provider did not accept the account.",
            Some(answer.status),
        )),
        Err(error) => Err(cause(&error)),
    }
}

fn cause(error: &OutboundError) -> Cause {
    let code = match error {
        OutboundError::Refused(_) => "target_refused",
        OutboundError::NotSent(_) => "not_reachable",
        OutboundError::Ambiguous(_) => "answer_lost",
    };
    Cause::new(code, error.to_string(), None)
}

fn no_answer(error: &OutboundError) -> Outcome {
    let cause = cause(error);
    match error {
        OutboundError::Refused(_) => Outcome::Rejected(FailureClass::Permanent, cause),
        OutboundError::NotSent(_) => Outcome::Retry(None, cause),
        OutboundError::Ambiguous(_) => Outcome::Ambiguous(cause),
    }
}

/// Sorts an answer that is no success by its status, which means the same with all providers. `code` and `reason` come
/// from the body where it says more.
fn refusal(answer: &Answer, code: Option<String>, reason: Option<String>) -> Outcome {
    let cause = Cause::new(
        code.unwrap_or_else(|| format!("http_{}", answer.status)),
        reason.unwrap_or_else(|| format!("The provider answered {}.", answer.status)),
        Some(answer.status),
    );
    match answer.status {
        401 | 403 => Outcome::AccountRefused(cause),
        408 | 425 | 429 => Outcome::Retry(answer.retry_after(), cause),
        // A redirect was not followed, so nothing was taken; a server error may have come after the work.
        300..=499 => Outcome::Rejected(FailureClass::Permanent, cause),
        _ => Outcome::Ambiguous(cause),
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// A member as text, be it text or number.
fn text(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The header of an API key.
fn bearer(key: &str) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    if let Ok(mut value) = http::HeaderValue::from_str(&format!("Bearer {key}")) {
        value.set_sensitive(true);
        headers.insert(http::header::AUTHORIZATION, value);
    }
    headers
}
