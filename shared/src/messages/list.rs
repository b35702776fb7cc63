//! Lists of messages, and the sandbox's ledger.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Channel, Message, Status, model::COLUMNS};
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    private::Private,
};

/// What messages can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Channels; `note` for internal notes.
    pub channel: Vec<String>,
    /// `inbound` or `outbound`.
    pub direction: Vec<String>,
    /// `transactional` or `marketing`.
    pub purpose: Vec<String>,
    /// People.
    pub lead_id: Vec<Uuid>,
    /// Conversations.
    pub conversation_id: Vec<Uuid>,
    /// Automation runs.
    pub run_id: Vec<Uuid>,
    /// Written at or after.
    pub from: Option<DateTime<Utc>>,
    /// Written before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for MessageFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.word()).collect();
        let channels: Vec<&str> = Channel::WORDS.iter().copied().chain(["note"]).collect();
        let (from, to) = params.range();
        Self {
            status: params.choices("status", &statuses),
            channel: params.choices("channel", &channels),
            direction: params.choices("direction", &["inbound", "outbound"]),
            purpose: params.choices("purpose", &["transactional", "marketing"]),
            lead_id: params.ids("leadId"),
            conversation_id: params.ids("conversationId"),
            run_id: params.ids("runId"),
            from,
            to,
        }
    }
}

/// One page of messages.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    query: &ListQuery<MessageFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Message>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push(format!("select {COLUMNS} from messages m where m.tenant_id = "));
        select.push_bind(tenant);
        push_any(&mut select, "m.status", &query.filter.status);
        push_any(&mut select, "m.channel", &query.filter.channel);
        push_any(&mut select, "m.direction", &query.filter.direction);
        push_any(&mut select, "m.purpose", &query.filter.purpose);
        push_any(&mut select, "m.lead_id", &query.filter.lead_id);
        push_any(&mut select, "m.conversation_id", &query.filter.conversation_id);
        push_any(&mut select, "m.run_id", &query.filter.run_id);
        push_range(&mut select, "m.created_at", (query.filter.from, query.filter.to));
        if let Some(owner) = own_records_of {
            select.push(" and exists (select from leads l where l.tenant_id = m.tenant_id and l.id = m.lead_id and l.owner_id = any (");
            select.push_bind(owner.to_vec()).push("))");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "m", &query.page);
    let rows = select.build_query_as::<Message>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// What the sandbox would have sent.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxDelivery {
    /// The entry; with `sandbox-` before it, the message's `providerId`.
    pub id: Uuid,
    /// The key that each try of the same message carries.
    pub idem_key: String,
    /// The channel.
    pub channel: String,
    /// The address.
    pub recipient: Private<String>,
    /// E-mail: the subject.
    pub subject: Option<Private<String>>,
    /// The text.
    pub body: Option<Private<String>>,
    /// How often it was handed over. More than once would be a double send with a provider that keeps no keys.
    pub attempts: i32,
    /// First handed over.
    pub first_at: DateTime<Utc>,
    /// Last handed over.
    pub last_at: DateTime<Utc>,
}

/// What the ledger can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SandboxFilter {
    /// Channels.
    pub channel: Vec<String>,
    /// Addresses.
    pub recipient: Vec<String>,
}

impl FromQuery for SandboxFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "firstAt", column: "first_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self { channel: params.choices("channel", Channel::WORDS), recipient: params.words("recipient") }
    }
}

/// One page of the sandbox's ledger.
///
/// # Errors
/// When the database refuses.
pub async fn list_sandbox(
    tx: &mut TenantTx,
    query: &ListQuery<SandboxFilter>,
) -> DbResult<Page<SandboxDelivery>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select s.id, s.idem_key, s.channel, s.recipient, s.subject, s.body, s.attempts, s.first_at, s.last_at
           from sandbox_deliveries s where s.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "s.channel", &query.filter.channel);
        push_any(&mut select, "s.recipient", &query.filter.recipient);
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<SandboxDelivery>().fetch_all(tx.conn()).await?;
    let mut page = query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.first_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}
