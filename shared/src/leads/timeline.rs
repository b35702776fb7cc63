//! One feed of everything that happened with a lead: activities, messages and invoices in one order.
//!
//! The order is total, by time and then by id, so a page boundary neither repeats nor skips anything. Each table is read
//! along its own index and the pages are merged by the server; the feed of a lead with a million rows costs as much as
//! that of one with ten. Health metrics are left out on purpose: they are numerous, and fewer people may see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::total;
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_page, push_range},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    private::Private,
};

/// Something that happened.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineItem {
    /// The activity, message or invoice.
    pub id: Uuid,
    /// `activity`, `message`, `invoice`.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Kind of the activity or invoice, channel of the message.
    pub kind: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Title of the activity, subject of the message, number of the invoice.
    pub title: Option<Private<String>>,
    /// Text of the activity or message.
    pub body: Option<Private<String>>,
    /// Status of the message or invoice.
    pub status: Option<String>,
    /// Messages: `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Messages: their thread.
    pub conversation_id: Option<Uuid>,
    /// Who did or wrote it.
    pub actor_id: Option<Uuid>,
    /// What the kind adds: the activity's data; `{total, balance, currency}` of the invoice.
    #[schema(value_type = Object)]
    pub data: Private<Value>,
}

/// What a timeline can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineFilter {
    /// `activity`, `message`, `invoice`.
    #[param(rename = "type")]
    pub types: Vec<String>,
    /// Happened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Happened before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for TimelineFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "occurredAt", column: "occurred_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self { types: params.choices("type", &["activity", "message", "invoice"]), from, to }
    }
}

const ACTIVITIES: &str = "select a.id, 'activity'::text as item_type, a.kind, a.occurred_at, a.title, a.body,
    null::text as status, null::text as direction, null::uuid as conversation_id, a.actor_id, a.data
    from activities a where a.tenant_id = ";
const MESSAGES: &str =
    "select m.id, 'message'::text, m.channel, m.created_at, m.subject, m.body, m.status, m.direction,
    m.conversation_id, m.sent_by, '{}'::jsonb from messages m where m.tenant_id = ";
const INVOICES: &str = "select i.id, 'invoice'::text, i.kind, i.created_at, i.number, i.memo, i.status, null::text,
    null::uuid, i.created_by, jsonb_build_object('total', i.total, 'balance', i.balance, 'currency', i.currency)
    from invoices i where i.tenant_id = ";

/// One page of a lead's timeline, latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_timeline(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<TimelineFilter>,
) -> DbResult<Page<TimelineItem>> {
    let wanted =
        |name: &str| query.filter.types.is_empty() || query.filter.types.iter().any(|given| given == name);
    let parts = [("activity", ACTIVITIES, "a"), ("message", MESSAGES, "m"), ("invoice", INVOICES, "i")];
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from ("));
        let mut separator = "";
        for (_, columns, alias) in parts.into_iter().filter(|(name, ..)| wanted(name)) {
            select.push(separator).push(columns).push_bind(tenant);
            select.push(format!(" and {alias}.lead_id = ")).push_bind(lead);
            separator = " union all ";
        }
        select.push(
            ") t (id, item_type, kind, occurred_at, title, body, status, direction, conversation_id, actor_id, data)
             where true",
        );
        push_range(&mut select, "t.occurred_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("select t.*");
    push_page(&mut select, "t", &query.page);
    let rows = select.build_query_as::<TimelineItem>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.occurred_at), id: row.id });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}
