//! What an account with a provider looks like, and what may be written of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors},
    messages::{Channel, ConnectionState},
    private::Private,
    providers::Provider,
    values::Line,
};

/// An account with a provider.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The connection.
    pub id: Uuid,
    /// `email`, `sms`, `whatsapp` or `inApp`.
    pub channel: String,
    /// `sandbox`, `twilio`, `resend` or `sendgrid`.
    pub provider: String,
    /// Its name in lists.
    pub name: String,
    /// Whether the channel's messages leave through it when they name none.
    pub is_default: bool,
    /// What is not secret.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// `active`, `paused` (held until it is mended) or `disabled`.
    pub status: String,
    /// Why it is paused.
    pub status_reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// A connection that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConnection {
    /// `email`, `sms`, `whatsapp` or `inApp`.
    pub channel: Channel,
    /// `sandbox`, `twilio`, `resend` or `sendgrid`.
    pub provider: String,
    /// Its name in lists.
    pub name: Line,
    /// The default of its channel; the first of a channel is it anyway.
    #[serde(default)]
    pub is_default: bool,
    /// What is not secret: `accountSid`, `from`, `baseUrl` …
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Keys and passwords; they never come back.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub secrets: Private<Map<String, Value>>,
}

impl Check for NewConnection {
    fn check(&self, errors: &mut FieldErrors) {
        match Provider::parse(&self.provider) {
            Some(provider) if provider.carries(self.channel) => {
                provider.check_secrets(self.secrets.expose(), errors);
            }
            Some(_) => errors.add("/provider", "wrong_channel", "This provider does not carry the channel."),
            None => {
                let known = Provider::WORDS.join(", ");
                errors.add("/provider", "unknown_provider", format!("One of {known} is expected."));
            }
        }
    }
}

/// What of a connection changes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionPatch {
    /// Its name in lists.
    #[serde(default)]
    pub name: Option<Line>,
    /// True makes it the default of its channel, in place of the former one.
    #[serde(default)]
    pub is_default: Option<bool>,
    /// All settings anew.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    /// All secrets anew.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub secrets: Option<Private<Map<String, Value>>>,
    /// `active` resumes it and what waits for it; `paused`, `disabled`.
    #[serde(default)]
    pub status: Option<String>,
}

impl Check for ConnectionPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.status.as_deref().is_some_and(|word| !["active", "paused", "disabled"].contains(&word)) {
            errors.add("/status", "unknown_value", "One of active, paused, disabled is expected.");
        }
    }
}

impl Connection {
    /// Whether it can be used.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        ConnectionState::read(Some(&self.status))
    }
}
