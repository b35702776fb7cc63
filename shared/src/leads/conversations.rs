//! The threads with one person.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::total;
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    messages::Channel,
    private::Private,
};

/// A thread with a person on one channel.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadConversation {
    /// The conversation.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `email`, `sms`, `whatsapp`, `inApp`.
    pub channel: String,
    /// `open`, `pending`, `snoozed`, `closed`.
    pub status: String,
    /// The colleague who answers.
    pub assignee_id: Option<Uuid>,
    /// E-mail: what it is about.
    pub subject: Option<Private<String>>,
    /// Messages that nobody has read yet.
    pub unread: i32,
    /// When the latest message came or went.
    pub last_message_at: Option<DateTime<Utc>>,
    /// Snoozed until when.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// The latest message's time, or that of the thread itself: what the list is sorted by.
    #[serde(skip)]
    pub touched_at: DateTime<Utc>,
}

/// What a lead's conversations can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LeadConversationFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Channels.
    pub channel: Vec<String>,
}

impl FromQuery for LeadConversationFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "lastMessageAt", column: "touched_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            status: params.choices("status", &["open", "pending", "snoozed", "closed"]),
            channel: params.choices("channel", Channel::WORDS),
        }
    }
}

/// One page of a lead's conversations, the latest first. A person has a handful, so they are sorted as they come.
///
/// # Errors
/// When the database refuses.
pub async fn list_conversations(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<LeadConversationFilter>,
) -> DbResult<Page<LeadConversation>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!(
            "{head} from (
                 select c.id, c.lead_id, c.channel, c.status, c.assignee_id, c.subject, c.unread_count as unread,
                        c.last_message_at, c.snoozed_until, coalesce(c.last_message_at, c.created_at) as touched_at
                   from conversations c where c.tenant_id = "
        ));
        select.push_bind(tenant).push(" and c.lead_id = ").push_bind(lead).push(") t where true");
        push_any(&mut select, "t.status", &query.filter.status);
        push_any(&mut select, "t.channel", &query.filter.channel);
        select
    };
    let mut select = filtered("select t.*");
    push_page(&mut select, "t", &query.page);
    let rows = select.build_query_as::<LeadConversation>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.touched_at), id: row.id });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}
