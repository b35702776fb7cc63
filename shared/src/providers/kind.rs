//! Which providers there are, what they need and what they can promise.

use serde_json::{Map, Value};

use crate::{http::FieldErrors, messages::Channel, net::OutboundClient};

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Records what would have been sent; needs no account.
    Sandbox,
    /// Twilio Programmable Messaging.
    Twilio,
    /// Resend.
    Resend,
    /// Twilio SendGrid.
    Sendgrid,
}

/// What a provider can promise when the answer to a send was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// The same key again sends nothing twice.
    Keyed,
    /// A search says whether it was sent.
    Searchable,
    /// Only a callback or a person can tell.
    Opaque,
}

impl Provider {
    /// Every provider's word.
    pub const WORDS: &'static [&'static str] = &["sandbox", "twilio", "resend", "sendgrid"];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Twilio => "twilio",
            Self::Resend => "resend",
            Self::Sendgrid => "sendgrid",
        }
    }

    /// The provider that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Sandbox, Self::Twilio, Self::Resend, Self::Sendgrid]
            .into_iter()
            .find(|known| known.word() == word)
    }

    /// What it can promise. Resend keeps keys for a day (resend.com/docs, idempotency keys); Twilio has none, but lists
    /// messages by recipient and day; SendGrid only echoes our id in its event webhook.
    #[must_use]
    pub const fn capability(self) -> Capability {
        match self {
            Self::Sandbox | Self::Resend => Capability::Keyed,
            Self::Twilio => Capability::Searchable,
            Self::Sendgrid => Capability::Opaque,
        }
    }

    /// Whether it carries a channel.
    #[must_use]
    pub const fn carries(self, channel: Channel) -> bool {
        match self {
            Self::Sandbox => true,
            Self::Twilio => matches!(channel, Channel::Sms | Channel::Whatsapp),
            Self::Resend | Self::Sendgrid => matches!(channel, Channel::Email),
        }
    }

    const fn settings(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Sandbox => (&[], &["from"]),
            Self::Twilio => (&["accountSid", "from"], &["baseUrl", "statusCallback"]),
            Self::Resend | Self::Sendgrid => (&["from"], &["baseUrl", "domain"]),
        }
    }

    const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Sandbox => &[],
            Self::Twilio => &["authToken"],
            Self::Resend | Self::Sendgrid => &["apiKey"],
        }
    }

    /// Notes what is wrong with settings.
    pub fn check_settings(
        self,
        settings: &Map<String, Value>,
        allow_private: bool,
        errors: &mut FieldErrors,
    ) {
        let (required, optional) = self.settings();
        let known = |name: &str| required.contains(&name) || optional.contains(&name);
        check_members("/settings", settings, required, known, errors);
        for name in ["baseUrl", "statusCallback"] {
            if let Some(Value::String(target)) = settings.get(name)
                && let Err(error) = OutboundClient::check_target(target, allow_private)
            {
                errors.add(format!("/settings/{name}"), "target_refused", error.to_string());
            }
        }
    }

    /// Notes what is wrong with secrets.
    pub fn check_secrets(self, secrets: &Map<String, Value>, errors: &mut FieldErrors) {
        let required = self.secrets();
        check_members("/secrets", secrets, required, |name| required.contains(&name), errors);
    }
}

fn check_members(
    pointer: &str,
    given: &Map<String, Value>,
    required: &[&str],
    known: impl Fn(&str) -> bool,
    errors: &mut FieldErrors,
) {
    for name in required.iter().filter(|name| !given.contains_key(**name)) {
        errors.add(format!("{pointer}/{name}"), "required", "This provider needs it.");
    }
    for (name, value) in given {
        let fits = |text: &str| (1..=500).contains(&text.len()) && !text.chars().any(char::is_control);
        if !known(name) {
            errors.add(format!("{pointer}/{name}"), "unknown_field", "This provider has no such setting.");
        } else if !value.as_str().is_some_and(fits) {
            errors.add(
                format!("{pointer}/{name}"),
                "wrong_type",
                "A text of up to 500 characters is expected.",
            );
        }
    }
}
