//! Conversations: threads with people. A person has one on each channel; further ones differ by their thread key.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Channel, Message, model::query_messages};
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField,
        SortKind,
    },
    ids::new_id,
    mask::{Masked, SearchFields},
    private::Private,
    values::{Line, Prose},
};

const STATUSES: &[&str] = &["open", "pending", "snoozed", "closed"];

/// A thread with one person on one channel.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The conversation.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// The person's name.
    pub lead_name: Option<Private<String>>,
    /// `email`, `sms`, `whatsapp` or `inApp`.
    pub channel: String,
    /// `open`, `pending`, `snoozed` or `closed`.
    pub status: String,
    /// The colleague in charge.
    pub assignee_id: Option<Uuid>,
    /// What it is about.
    pub subject: Option<Private<String>>,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: String,
    /// Inbound messages that nobody has read.
    pub unread: i32,
    /// When somebody last wrote.
    pub last_message_at: Option<DateTime<Utc>>,
    /// When the person last wrote.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// Until when it is put aside.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// When the first answer is due.
    pub first_response_due_at: Option<DateTime<Utc>>,
    /// When the first answer was given.
    pub first_responded_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Which of the person's threads on the channel it is.
    #[serde(skip)]
    pub thread_key: String,
    /// The account that it runs through.
    #[serde(skip)]
    pub connection_id: Option<Uuid>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Masked for Conversation {
    fn masked(self) -> Self {
        Self { lead_name: self.lead_name.masked(), subject: self.subject.masked(), ..self }
    }
}

const COLUMNS: &str = "c.id, c.lead_id, nullif(concat_ws(' ', l.first_name, l.last_name), '') as lead_name, c.channel,
    c.status, c.assignee_id, c.subject, c.priority, c.unread_count as unread, c.last_message_at, c.last_inbound_at,
    c.snoozed_until, c.first_response_due_at, c.first_responded_at, c.created_at, c.updated_at, c.thread_key,
    c.connection_id, c.version";

/// What conversations can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversationFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Channels.
    pub channel: Vec<String>,
    /// Colleagues in charge.
    pub assignee_id: Vec<Uuid>,
    /// People.
    pub lead_id: Vec<Uuid>,
    /// Only those with unread messages, or only those without.
    pub unread: Option<bool>,
    /// Fragments of the subject, or of the person's name, e-mail address or telephone number; not of the latter two for those
    /// who see only hints of them, nor of subjects that hold one.
    pub search: Option<String>,
    /// What the search looks through; see [`crate::http::Actor::searches`].
    #[param(ignore)]
    pub search_fields: SearchFields,
}

impl ConversationFilter {
    /// All conversations with one person.
    #[must_use]
    pub fn of_lead(lead: Uuid) -> Self {
        Self { lead_id: vec![lead], ..Self::default() }
    }
}

impl FromQuery for ConversationFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "lastMessageAt", column: "last_message_at", kind: SortKind::Time },
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
    ];

    fn read(params: &mut Params) -> Self {
        Self {
            status: params.choices("status", STATUSES),
            channel: params.choices("channel", Channel::WORDS),
            assignee_id: params.ids("assigneeId"),
            lead_id: params.ids("leadId"),
            unread: params.flag("unread"),
            search: params.text("search"),
            search_fields: SearchFields::default(),
        }
    }
}

/// One page of conversations, the latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_conversations(
    tx: &mut TenantTx,
    query: &ListQuery<ConversationFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Conversation>> {
    let filter = &query.filter;
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push(format!(
        "select {COLUMNS} from conversations c join leads l on l.tenant_id = c.tenant_id and l.id = c.lead_id
          where c.tenant_id = "
    ));
        select.push_bind(tenant);
        push_any(&mut select, "c.status", &filter.status);
        push_any(&mut select, "c.channel", &filter.channel);
        push_any(&mut select, "c.assignee_id", &filter.assignee_id);
        push_any(&mut select, "c.lead_id", &filter.lead_id);
        match filter.unread {
            Some(true) => select.push(" and c.unread_count > 0"),
            Some(false) => select.push(" and c.unread_count = 0"),
            None => &mut select,
        };
        if let Some(text) = &filter.search {
            // The definer function finds ids by index; under row-level security a direct LIKE would scan the tenant.
            select
                .push(" and c.id = any (array(select search_conversations(")
                .push_bind(text.clone())
                .push(", 10000, ")
                .push_bind(filter.search_fields.word())
                .push(")))");
        }
        if let Some(owner) = own_records_of {
            select.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "c", &query.page);
    let rows = select.build_query_as::<Conversation>().fetch_all(tx.conn()).await?;
    let by_creation = query.page.sort.word == "createdAt";
    let mut page = query.page.page(rows, |row| Keyset {
        value: KeysetValue::Time(if by_creation {
            row.created_at
        } else {
            row.last_message_at.unwrap_or(row.created_at)
        }),
        id: row.id,
    });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Selects conversations with the checked macro. The head is empty or a `with …`; the tail begins with `from`, calls the
/// row `c` and its person `l`.
macro_rules! query_conversations {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Conversation,
            $head + r#" select c.id as "id!", c.lead_id as "lead_id!",
                      nullif(concat_ws(' ', l.first_name, l.last_name), '') as "lead_name: _", c.channel as "channel!",
                      c.status as "status!", c.assignee_id, c.subject as "subject: _", c.priority as "priority!",
                      c.unread_count as "unread!", c.last_message_at, c.last_inbound_at, c.snoozed_until,
                      c.first_response_due_at, c.first_responded_at, c.created_at as "created_at!",
                      c.updated_at as "updated_at!", c.thread_key as "thread_key!", c.connection_id,
                      c.version as "version!" "# + $tail
            $(, $argument)*
        )
    };
}

/// One conversation, if the caller may see its person.
///
/// # Errors
/// When the database refuses.
pub async fn find_conversation(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Conversation>> {
    let conversation = query_conversations!(
        "",
        "from conversations c join leads l on l.tenant_id = $1 and l.id = c.lead_id
          where c.tenant_id = $1 and c.id = $2 and ($3::uuid[] is null or l.owner_id = any ($3))",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(conversation)
}

/// What of a conversation changes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConversationPatch {
    /// `open`, `pending`, `snoozed` or `closed`.
    #[serde(default)]
    pub status: Option<String>,
    /// The colleague in charge; null for nobody.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub assignee_id: Patch<Uuid>,
    /// What it is about.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Patch<Line>,
    /// `low`, `normal`, `high` or `urgent`.
    #[serde(default)]
    pub priority: Option<String>,
    /// Puts it aside until then; null takes it back.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub snoozed_until: Patch<DateTime<Utc>>,
}

impl Check for ConversationPatch {
    fn check(&self, errors: &mut FieldErrors) {
        let mut word = |pointer: &str, given: &Option<String>, known: &[&str]| {
            if given.as_deref().is_some_and(|word| !known.contains(&word)) {
                errors.add(pointer, "unknown_value", format!("One of {} is expected.", known.join(", ")));
            }
        };
        word("/status", &self.status, STATUSES);
        word("/priority", &self.priority, &["low", "normal", "high", "urgent"]);
        if self.status.as_deref() == Some("snoozed") && self.snoozed_until.as_set().is_none() {
            errors.add("/snoozedUntil", "required", "Say until when.");
        }
    }
}

/// Changes a conversation. A time to put it aside until makes it snoozed, taking that away opens it again.
///
/// # Errors
/// `conversations_assignee_id_fkey` for an unknown colleague.
pub async fn update_conversation(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    version: i64,
    patch: ConversationPatch,
) -> DbResult<Option<Conversation>> {
    let status = match (&patch.status, &patch.snoozed_until) {
        (Some(status), _) => Some(status.clone()),
        (None, Patch::Set(_)) => Some("snoozed".to_owned()),
        (None, Patch::Clear) => Some("open".to_owned()),
        (None, Patch::Keep) => None,
    };
    let (assigns, assignee) = patch.assignee_id.into_parts();
    let (renames, subject) = patch.subject.into_parts();
    let until = patch.snoozed_until.as_set().copied();
    let conversation = query_conversations!(
        "with c as (
            update conversations
               set status = coalesce($4, status),
                   assignee_id = case when $5 then $6 else assignee_id end,
                   subject = case when $7 then $8 else subject end,
                   priority = coalesce($9, priority),
                   snoozed_until = case when $4 is null then snoozed_until when $4 = 'snoozed' then $10 end,
                   closed_at = case when $4 is null then closed_at when $4 = 'closed' then coalesce(closed_at, $11) end
             where tenant_id = $1 and id = $2 and version = $3
            returning *
        )",
        "from c join leads l on l.tenant_id = $1 and l.id = c.lead_id",
        tx.tenant(),
        id,
        version,
        status,
        assigns,
        assignee,
        renames,
        subject.map(Line::into_string),
        patch.priority,
        until,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(conversation)
}

/// Notes that everything in a conversation has been read.
///
/// # Errors
/// When the database refuses.
pub async fn mark_read(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    sqlx::query!(
        "update conversations set unread_count = 0 where tenant_id = $1 and id = $2 and unread_count > 0",
        tx.tenant(),
        id,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes an internal note into a conversation. No provider ever sees it.
///
/// # Errors
/// When the database refuses.
pub async fn insert_note(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    conversation: &Conversation,
    body: &Prose,
    by: Option<Uuid>,
) -> DbResult<Message> {
    let message = query_messages!(
        r#"with m as (
            insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, status_rank, body,
                                  sent_by, sent_at, created_at, updated_at)
            values ($1, $2, $3, $4, 'outbound', 'note', 'sent', 30, $5, $6, $7, $7, $7)
            returning *
        )"#,
        "from m",
        tx.tenant(),
        new_id(),
        conversation.id,
        conversation.lead_id,
        body.as_str(),
        by,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(message)
}

/// Opens again what was put aside until a time that has come.
///
/// # Errors
/// When the database refuses.
pub async fn reopen_snoozed(tx: &mut TenantTx) -> DbResult<u64> {
    let reopened = sqlx::query!(
        "update conversations set status = 'open', snoozed_until = null
          where tenant_id = $1 and status = 'snoozed' and snoozed_until <= now()",
        tx.tenant(),
    )
    .execute(tx.conn())
    .await?;
    Ok(reopened.rows_affected())
}
