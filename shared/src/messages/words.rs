//! The words of messaging: channels, purposes, statuses and their order.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{crypto::AddressKind, webhooks::normalise};

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// E-mail.
    Email,
    /// Text messages.
    Sms,
    /// WhatsApp.
    Whatsapp,
    /// Inside the product.
    InApp,
}

impl Channel {
    /// Every channel's word.
    pub const WORDS: &'static [&'static str] = &["email", "sms", "whatsapp", "inApp"];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
            Self::InApp => "inApp",
        }
    }

    /// The channel that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Email, Self::Sms, Self::Whatsapp, Self::InApp]
            .into_iter()
            .find(|channel| channel.word() == word)
    }

    /// How addresses of this channel are brought to one spelling.
    #[must_use]
    pub const fn address_kind(self) -> AddressKind {
        match self {
            Self::Email | Self::InApp => AddressKind::Email,
            Self::Sms | Self::Whatsapp => AddressKind::Phone,
        }
    }
}

impl From<normalise::Channel> for Channel {
    fn from(channel: normalise::Channel) -> Self {
        match channel {
            normalise::Channel::Sms => Self::Sms,
            normalise::Channel::Whatsapp => Self::Whatsapp,
            normalise::Channel::Email => Self::Email,
        }
    }
}

/// Why a message is sent, which decides what permission it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// The person expects it: an answer, a booking, an invoice.
    #[default]
    Transactional,
    /// Advertising: needs consent and keeps quiet hours.
    Marketing,
}

impl Purpose {
    /// The word on the wire and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
        }
    }

    /// The purpose that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Transactional, Self::Marketing].into_iter().find(|purpose| purpose.word() == word)
    }
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Waits for the time that the sender chose.
    Scheduled,
    /// Waits for the end of quiet hours.
    Deferred,
    /// Will be sent next.
    Queued,
    /// On its way to the provider.
    Sending,
    /// Perhaps sent: the provider's answer was lost.
    Unknown,
    /// The provider has it.
    Sent,
    /// It arrived.
    Delivered,
    /// The provider refused it, or gave up.
    Failed,
    /// The other side did not take it.
    Undelivered,
    /// It was opened.
    Read,
    /// Called back before it was sent.
    Canceled,
    /// A rule forbids it; see the verdicts.
    Blocked,
    /// It came in.
    Received,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Scheduled,
        Self::Deferred,
        Self::Queued,
        Self::Sending,
        Self::Unknown,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Undelivered,
        Self::Read,
        Self::Canceled,
        Self::Blocked,
        Self::Received,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Deferred => "deferred",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Read => "read",
            Self::Canceled => "canceled",
            Self::Blocked => "blocked",
            Self::Received => "received",
        }
    }

    /// The status that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.word() == word)
    }

    /// The place in the life of a message. What others report may raise it and never lower it, so that reports may
    /// come in any order; a bounce outranks a delivery, because mail can be taken and returned.
    #[must_use]
    pub const fn rank(self) -> i16 {
        match self {
            Self::Scheduled | Self::Deferred => 0,
            Self::Queued => 10,
            Self::Sending => 20,
            Self::Unknown => 25,
            Self::Sent => 30,
            Self::Delivered => 40,
            Self::Failed | Self::Undelivered => 45,
            Self::Read => 50,
            Self::Canceled | Self::Blocked | Self::Received => 60,
        }
    }

    /// Whether the message has not begun its way to the provider.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Scheduled | Self::Deferred | Self::Queued)
    }
}

impl From<normalise::DeliveryStatus> for Status {
    fn from(status: normalise::DeliveryStatus) -> Self {
        match status {
            normalise::DeliveryStatus::Queued => Self::Queued,
            normalise::DeliveryStatus::Sending => Self::Sending,
            normalise::DeliveryStatus::Sent => Self::Sent,
            normalise::DeliveryStatus::Delivered => Self::Delivered,
            normalise::DeliveryStatus::Undelivered => Self::Undelivered,
            // A provider that called a message back has not delivered it; only we cancel on a person's behalf.
            normalise::DeliveryStatus::Failed | normalise::DeliveryStatus::Canceled => Self::Failed,
            normalise::DeliveryStatus::Read => Self::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.word()), Some(*status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
        for word in Channel::WORDS {
            assert_eq!(Channel::parse(word).unwrap().word(), *word);
        }
    }

    #[test]
    fn what_a_provider_reports_ranks_as_the_normaliser_says() {
        use normalise::DeliveryStatus as Reported;
        for reported in [
            Reported::Queued,
            Reported::Sending,
            Reported::Sent,
            Reported::Delivered,
            Reported::Undelivered,
            Reported::Failed,
            Reported::Read,
        ] {
            assert_eq!(Status::from(reported).rank(), i16::from(reported.rank()));
        }
    }
}
