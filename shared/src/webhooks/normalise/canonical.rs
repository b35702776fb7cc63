//! What an event means, whoever sent it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that happened, in our words.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canonical {
    /// Unique per source: the same thing told twice has the same key, even in another delivery.
    /// At most 300 bytes.
    pub dedupe_key: String,
    /// When it happened by the sender's clock, or when it arrived if the sender does not say.
    pub occurred_at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The kinds of events; `kind` in JSON.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Event {
    /// A person left their details.
    LeadCaptured(Box<LeadCaptured>),
    /// Money arrived.
    PaymentReceived(Box<Payment>),
    /// Money went back.
    PaymentRefunded(Box<Refund>),
    /// A payment was tried and failed.
    PaymentFailed(Box<FailedPayment>),
    /// A person wrote to us.
    MessageReceived(Box<MessageReceived>),
    /// A message of ours went a step further.
    MessageStatus(Box<MessageStatus>),
    /// A person does not want messages on a channel.
    OptOut(Box<OptOut>),
    /// A person booked.
    BookingMade(Box<Booking>),
    /// A booking was cancelled.
    BookingCancelled(Box<Cancellation>),
    /// Something without a meaning of its own here; automations can react to it.
    Generic(Generic),
    /// Understood, and nothing to do.
    Ignored {
        /// Why, as a stable snake_case word.
        reason: String,
    },
}

/// How a person can be recognised.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Lower-cased and of the form of an address.
    pub email: Option<String>,
    /// E.164 where the sender guarantees it (Twilio, WhatsApp), else as the person wrote it.
    pub phone: Option<String>,
}

/// The answer to a question whether one may write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whether the person agreed to marketing.
    pub granted: bool,
    /// The words agreed to, or the name of the field.
    pub text: Option<String>,
}

/// A person who left their details. At least one of the identities is there.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeadCaptured {
    /// E-mail and phone.
    pub identity: Identity,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// The name in one piece. It is not taken apart: not every name is a given and a family name.
    pub name: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// Every other answer, by the sender's field name or the mapped one.
    pub fields: Map<String, Value>,
    /// Where the lead comes from.
    pub source: String,
    /// The answer about marketing, if one was asked.
    pub consent: Option<Consent>,
    /// Campaign parameters without their prefix (`source`, `medium` …), and click ids (`gclid` …).
    pub utm: BTreeMap<String, String>,
    /// The call to action that led here.
    pub cta_id: Option<String>,
    /// The visitor of the website.
    pub visitor_id: Option<String>,
}

/// Money that arrived.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The provider's best name for the payment: the same in every event about it, as far as the provider allows.
    pub provider_ref: String,
    /// Every provider id that names this payment, `provider_ref` among them. A payment known under any of them is this
    /// one.
    pub refs: Vec<String>,
    /// Stripe's payment intent.
    pub payment_intent: Option<String>,
    /// In minor units of the currency by ISO 4217.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Our invoice, as the sender was told it.
    pub invoice_id: Option<String>,
    /// Who paid.
    pub identity: Identity,
    /// The payer's name.
    pub name: Option<String>,
}

/// Money that went back. At least one of the amounts is there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// The payment, as in [`Payment::provider_ref`].
    pub provider_ref: String,
    /// As in [`Payment::refs`].
    pub refs: Vec<String>,
    /// The provider's name for the refund itself.
    pub refund_ref: Option<String>,
    /// Stripe's payment intent.
    pub payment_intent: Option<String>,
    /// This refund, in minor units.
    pub amount_minor: Option<i64>,
    /// Everything refunded of this payment so far, in minor units: right in whatever order the events come.
    pub refunded_total_minor: Option<i64>,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Our invoice, as the sender was told it.
    pub invoice_id: Option<String>,
}

/// A payment that failed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPayment {
    /// As in [`Payment::provider_ref`].
    pub provider_ref: String,
    /// Stripe's payment intent.
    pub payment_intent: Option<String>,
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Our invoice, as the sender was told it.
    pub invoice_id: Option<String>,
    /// Who tried to pay.
    pub identity: Identity,
    /// The payer's name.
    pub name: Option<String>,
    /// The provider's word for the reason.
    pub error_code: Option<String>,
}

/// A channel of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Text messages.
    Sms,
    /// WhatsApp.
    Whatsapp,
    /// E-mail.
    Email,
}

/// A file that came with a message.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Where the provider keeps it.
    pub url: Option<String>,
    /// The provider's id of it.
    pub id: Option<String>,
    /// Its MIME type.
    pub content_type: Option<String>,
    /// Its name.
    pub filename: Option<String>,
}

/// A message from a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReceived {
    /// How it came.
    pub channel: Channel,
    /// The sender: E.164, or an e-mail address.
    pub from: String,
    /// Our side of it.
    pub to: String,
    /// The sender's name, if told.
    pub name: Option<String>,
    /// The subject of an e-mail.
    pub subject: Option<String>,
    /// The text; empty when there is only media.
    pub body: String,
    /// The provider's id of the message.
    pub provider_ref: String,
    /// The provider's id of the message it answers.
    pub in_reply_to: Option<String>,
    /// Files.
    pub media: Vec<Media>,
}

/// How far a message of ours has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// The provider has it.
    Queued,
    /// The provider is trying.
    Sending,
    /// It left the provider.
    Sent,
    /// It arrived.
    Delivered,
    /// It was not delivered by the other side.
    Undelivered,
    /// It was not sent at all.
    Failed,
    /// It was called back before it left.
    Canceled,
    /// It was opened.
    Read,
}

impl DeliveryStatus {
    /// The place of a status in the life of a message: an update may raise a message's rank and never lower it, so that
    /// updates may come in any order. A bounce outranks a delivery, because mail can be taken and returned.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 10,
            Self::Sending => 20,
            Self::Sent => 30,
            Self::Delivered => 40,
            Self::Undelivered | Self::Failed | Self::Canceled => 45,
            Self::Read => 50,
        }
    }
}

/// A step in the life of a message of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStatus {
    /// How it was sent.
    pub channel: Channel,
    /// The provider's id of the message.
    pub provider_ref: String,
    /// How far it is.
    pub status: DeliveryStatus,
    /// [`DeliveryStatus::rank`] of it.
    pub rank: u8,
    /// The effect that sent it, where the provider gives back what we sent along.
    pub effect_id: Option<String>,
    /// The recipient.
    pub to: Option<String>,
    /// The provider's code of a failure.
    pub error_code: Option<String>,
    /// The provider's words about a failure.
    pub reason: Option<String>,
    /// Whether the address will never work.
    pub permanent: bool,
}

/// A person who does not want messages on a channel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OptOut {
    /// The channel.
    pub channel: Channel,
    /// The address that is not to be written to.
    pub address: String,
    /// `unsubscribed` or `complained`.
    pub reason: String,
    /// The provider's id of the message that led to it.
    pub provider_ref: Option<String>,
    /// The effect that sent that message.
    pub effect_id: Option<String>,
}

/// A booking.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Booking {
    /// The provider's name for this person's booking.
    pub provider_ref: String,
    /// Who booked.
    pub lead: LeadCaptured,
    /// What was booked.
    pub title: Option<String>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// The person's IANA time zone.
    pub timezone: Option<String>,
    /// Where, or the link to join.
    pub location: Option<String>,
    /// The booking that this one replaces.
    pub replaces: Option<String>,
}

/// A booking that was cancelled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// As in [`Booking::provider_ref`].
    pub provider_ref: String,
    /// Who had booked.
    pub identity: Identity,
    /// The person's name.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Whether another booking took its place.
    pub rescheduled: bool,
}

/// An event without a meaning of its own here.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Generic {
    /// The sender's word for it.
    #[serde(rename = "type")]
    pub name: String,
    /// What the sender said.
    pub data: Value,
}

impl Event {
    /// The kind, as in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LeadCaptured(_) => "leadCaptured",
            Self::PaymentReceived(_) => "paymentReceived",
            Self::PaymentRefunded(_) => "paymentRefunded",
            Self::PaymentFailed(_) => "paymentFailed",
            Self::MessageReceived(_) => "messageReceived",
            Self::MessageStatus(_) => "messageStatus",
            Self::OptOut(_) => "optOut",
            Self::BookingMade(_) => "bookingMade",
            Self::BookingCancelled(_) => "bookingCancelled",
            Self::Generic(_) => "generic",
            Self::Ignored { .. } => "ignored",
        }
    }
}

impl fmt::Debug for Canonical {
    /// The kind alone: the rest is about people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Canonical").field("kind", &self.event.kind()).finish_non_exhaustive()
    }
}
