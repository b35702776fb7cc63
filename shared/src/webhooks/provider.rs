//! The senders of webhooks that we know, by the words used in URLs and in the API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who sends to a webhook source; decides the signature scheme and the normaliser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Stripe events.
    Stripe,
    /// Twilio messages, status callbacks and calls.
    Twilio,
    /// Meta: WhatsApp Cloud API, Lead Ads, Messenger.
    Meta,
    /// SendGrid event webhook.
    Sendgrid,
    /// Mailgun events and routes.
    Mailgun,
    /// Postmark events and inbound mail.
    Postmark,
    /// Square payments.
    Square,
    /// Shopify shops.
    Shopify,
    /// Calendly bookings.
    Calendly,
    /// Typeform responses.
    Typeform,
    /// GitHub repositories.
    Github,
    /// Slack events and commands.
    Slack,
    /// Any sender that follows Standard Webhooks (Svix, Resend, other Wellspring deployments).
    Standard,
    /// Any sender that signs its body with HMAC-SHA-256 in one header.
    Generic,
    /// Website forms, which cannot sign.
    Forms,
}

/// A word that names no provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown webhook provider")]
pub struct UnknownProvider;

impl Provider {
    /// Every provider, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::Stripe,
        Self::Twilio,
        Self::Meta,
        Self::Sendgrid,
        Self::Mailgun,
        Self::Postmark,
        Self::Square,
        Self::Shopify,
        Self::Calendly,
        Self::Typeform,
        Self::Github,
        Self::Slack,
        Self::Standard,
        Self::Generic,
        Self::Forms,
    ];

    /// The word used in URLs, in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Twilio => "twilio",
            Self::Meta => "meta",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
            Self::Square => "square",
            Self::Shopify => "shopify",
            Self::Calendly => "calendly",
            Self::Typeform => "typeform",
            Self::Github => "github",
            Self::Slack => "slack",
            Self::Standard => "standard",
            Self::Generic => "generic",
            Self::Forms => "forms",
        }
    }

    /// Whether a source of this provider must have a secret. Forms have none to keep.
    #[must_use]
    pub const fn needs_secret(self) -> bool {
        !matches!(self, Self::Forms)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(word: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == word).ok_or(UnknownProvider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.as_str());
        }
        assert_eq!("Stripe".parse::<Provider>(), Err(UnknownProvider));
    }
}
