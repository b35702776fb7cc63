//! The shape of a message.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    mask::{self, Masked},
    private::Private,
};

/// A message, in or out, or an internal note.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message.
    pub id: Uuid,
    /// Its thread.
    pub conversation_id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `email`, `sms`, `whatsapp`, `inApp`, or `note`, which no provider ever sees.
    pub channel: String,
    /// `transactional` or `marketing`.
    pub purpose: String,
    /// How far it is.
    pub status: String,
    /// Where it goes.
    pub to: Option<Private<String>>,
    /// Where it comes from.
    pub from: Option<Private<String>>,
    /// E-mail: the subject.
    pub subject: Option<Private<String>>,
    /// The text; null once retention has emptied it.
    pub body: Option<Private<String>>,
    /// E-mail: the same as HTML.
    pub html: Option<Private<String>>,
    /// Files: url, content type, name.
    #[schema(value_type = Object)]
    pub attachments: Value,
    /// The template.
    pub template_id: Option<Uuid>,
    /// Its version at the time.
    pub template_version: Option<i32>,
    /// When it will be or was to be sent; null: at once.
    pub send_at: Option<DateTime<Utc>>,
    /// The provider's word.
    pub provider: Option<String>,
    /// The provider's id of it.
    pub provider_id: Option<String>,
    /// `{class, code, reason}`: why it failed.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Value>,
    /// `[{rule, outcome, reason}]`: why it was sent, held or blocked.
    #[schema(value_type = Object)]
    pub verdicts: Value,
    /// `[{status, at}]` as reported, in order of arrival.
    #[schema(value_type = Object)]
    pub history: Value,
    /// The automation run that sent it.
    pub run_id: Option<Uuid>,
    /// The message that this one repeats.
    pub retry_of_id: Option<Uuid>,
    /// Text messages: billed parts.
    pub segments: Option<i16>,
    /// The colleague who wrote it.
    pub sent_by: Option<Uuid>,
    /// When the provider took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Masked for Message {
    fn masked(self) -> Self {
        Self {
            to: self.to.map(mask::address),
            from: self.from.map(mask::address),
            subject: self.subject.masked(),
            body: self.body.masked(),
            html: self.html.masked(),
            attachments: mask::pages(self.attachments),
            failure: self.failure.masked(),
            ..self
        }
    }
}

/// The row as [`Message`] reads it, for lists. [`find`] has the same columns, held against the schema.
pub(super) const COLUMNS: &str = "m.id, m.conversation_id, m.lead_id, m.direction, m.channel, m.purpose, m.status,
    m.to_address as \"to\", m.from_address as \"from\", m.subject, m.body, m.html_body as html, m.attachments,
    m.template_id, m.template_version, m.send_at, m.provider, m.provider_ref as provider_id, m.failure, m.verdicts,
    m.history, m.run_id, m.retry_of_id, m.segment_count as segments, m.sent_by, m.sent_at, m.created_at, m.version";

/// Selects messages with the checked macro. The head is empty or a `with …`; the tail begins with `from` and calls the
/// row `m`.
macro_rules! query_messages {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::messages::Message,
            $head + r#" select m.id as "id!", m.conversation_id as "conversation_id!", m.lead_id as "lead_id!",
                      m.direction as "direction!", m.channel as "channel!", m.purpose as "purpose!",
                      m.status as "status!", m.to_address as "to: _", m.from_address as "from: _",
                      m.subject as "subject: _", m.body as "body: _", m.html_body as "html: _",
                      m.attachments as "attachments!", m.template_id, m.template_version, m.send_at, m.provider,
                      m.provider_ref as provider_id, m.failure, m.verdicts as "verdicts!", m.history as "history!",
                      m.run_id, m.retry_of_id, m.segment_count as segments, m.sent_by, m.sent_at,
                      m.created_at as "created_at!", m.version as "version!" "# + $tail
            $(, $argument)*
        )
    };
}
pub(crate) use query_messages;

/// One message, if the caller may see its person.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<Option<Message>> {
    let message = query_messages!(
        "",
        "from messages m where m.tenant_id = $1 and m.id = $2
            and ($3::uuid[] is null or exists (select from leads l where l.tenant_id = $1 and l.id = m.lead_id and l.owner_id = any ($3)))",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(message)
}
