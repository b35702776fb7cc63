//! One feed of everything that happened with a lead: activities, messages, invoices, payments, measurements, runs, consents and
//! calls to action, in one order.
//!
//! The order is total, by time and then by id, so a page boundary neither repeats nor skips anything. Each table gives its own
//! page along its own index, and the pages are merged: the feed of a lead with a million rows costs as much as that of one
//! with ten. Who may not read a kind of thing elsewhere does not read it here.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::total;
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, PageRequest, Params, SortField, SortKind},
    private::Private,
};

/// Something that happened.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineItem {
    /// The activity, message, invoice …
    pub id: Uuid,
    /// `activity`, `message`, `invoice`, `payment`, `metric`, `run`, `consent`, `cta`.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Kind of the activity, invoice, payment or call to action, channel of the message, type of the measurement, purpose of
    /// the consent; `run`.
    pub kind: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Title of the activity, subject of the message, number of the invoice, name of the automation, id of the call to action.
    pub title: Option<Private<String>>,
    /// Text of the activity or message, note of the measurement.
    pub body: Option<Private<String>>,
    /// Status of the message, invoice, payment or run; state of the consent.
    pub status: Option<String>,
    /// Messages: `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Messages: their thread.
    pub conversation_id: Option<Uuid>,
    /// Who did or wrote it.
    pub actor_id: Option<Uuid>,
    /// What the kind adds: the activity's data; `{total, balance, currency}` of the invoice; `{value, unit}` of the measurement …
    #[schema(value_type = Object)]
    pub data: Private<Value>,
}

/// What a timeline can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineFilter {
    /// `activity`, `message`, `invoice`, `payment`, `metric`, `run`, `consent`, `cta`; all that the caller may read when left out.
    #[param(rename = "type")]
    pub types: Vec<String>,
    /// Kinds: `note`, `visit`, `email`, `creditNote`, `weight` …
    pub kind: Vec<String>,
    /// Happened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Happened before.
    pub to: Option<DateTime<Utc>>,
}

/// The types of a timeline.
pub const TIMELINE_TYPES: &[&str] =
    &["activity", "message", "invoice", "payment", "metric", "run", "consent", "cta"];

impl FromQuery for TimelineFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "occurredAt", column: "occurred_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self { types: params.choices("type", TIMELINE_TYPES), kind: params.words("kind"), from, to }
    }
}

/// Where one type of item comes from.
struct Feed {
    name: &'static str,
    /// Title, body, status, direction, conversation, actor, data.
    select: &'static str,
    table: &'static str,
    alias: &'static str,
    at: &'static str,
    kind: &'static str,
}

const FEEDS: [Feed; 8] = [
    Feed {
        name: "activity",
        select: "a.title, a.body, null::text, null::text, null::uuid, a.actor_id, a.data",
        table: "activities a",
        alias: "a",
        at: "occurred_at",
        kind: "a.kind",
    },
    Feed {
        name: "message",
        select: "m.subject, m.body, m.status, m.direction, m.conversation_id, m.sent_by, '{}'::jsonb",
        table: "messages m",
        alias: "m",
        at: "created_at",
        kind: "m.channel",
    },
    Feed {
        name: "invoice",
        select: "i.number, i.memo, i.status, null::text, null::uuid, i.created_by,
                 jsonb_build_object('total', i.total, 'balance', i.balance, 'currency', i.currency)",
        table: "invoices i",
        alias: "i",
        at: "created_at",
        kind: "i.kind",
    },
    Feed {
        name: "payment",
        select: "p.reference, p.reason, p.status, null::text, null::uuid, p.created_by, jsonb_build_object('amount', p.amount,
                 'currency', p.currency, 'tender', p.tender, 'invoiceId', p.invoice_id)",
        table: "payments p",
        alias: "p",
        at: "received_at",
        kind: "p.kind",
    },
    Feed {
        name: "metric",
        select: "null::text, w.note, null::text, null::text, null::uuid, w.recorded_by,
                 jsonb_build_object('value', w.value, 'unit', w.unit, 'source', w.source, 'endAt', w.end_at)",
        table: "metrics w",
        alias: "w",
        at: "start_at",
        kind: "w.type",
    },
    Feed {
        name: "run",
        select: "(select n.name from automations n where n.tenant_id = r.tenant_id and n.id = r.automation_id), null::text, r.status,
                 null::text, null::uuid, null::uuid, jsonb_build_object('automationId', r.automation_id, 'version', r.version,
                 'exitReason', r.exit_reason, 'finishedAt', r.finished_at)",
        table: "automation_runs r",
        alias: "r",
        at: "created_at",
        kind: "'run'::text",
    },
    Feed {
        name: "consent",
        select: "null::text, c.reason, c.state, null::text, null::uuid, c.recorded_by,
                 jsonb_build_object('channel', c.channel, 'source', c.source)",
        table: "consents c",
        alias: "c",
        at: "effective_at",
        kind: "c.purpose",
    },
    Feed {
        name: "cta",
        select: "e.cta_id, null::text, null::text, null::text, null::uuid, null::uuid,
                 jsonb_build_object('surface', e.surface, 'page', e.page, 'variant', e.variant, 'utm', e.utm)",
        table: "cta_events e",
        alias: "e",
        at: "occurred_at",
        kind: "e.kind",
    },
];

/// One page of a lead's timeline, latest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_timeline(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<TimelineFilter>,
) -> DbResult<Page<TimelineItem>> {
    let filter = &query.filter;
    let wanted: Vec<&Feed> = FEEDS
        .iter()
        .filter(|feed| filter.types.is_empty() || filter.types.iter().any(|given| given == feed.name))
        .collect();
    let tenant = tx.tenant();
    let narrow = |select: &mut QueryBuilder<'_, Postgres>, feed: &Feed| {
        select.push(format!(" from {} where {}.tenant_id = ", feed.table, feed.alias)).push_bind(tenant);
        select.push(format!(" and {}.lead_id = ", feed.alias)).push_bind(lead);
        push_any(select, feed.kind, &filter.kind);
        push_range(select, &format!("{}.{}", feed.alias, feed.at), (filter.from, filter.to));
    };
    let mut select = QueryBuilder::new("select t.* from (");
    for (place, feed) in wanted.iter().enumerate() {
        let (name, alias, at, kind) = (feed.name, feed.alias, feed.at, feed.kind);
        select.push(if place == 0 { "(" } else { " union all (" });
        select.push(format!("select {alias}.id, '{name}'::text, {kind}, {alias}.{at}, {}", feed.select));
        narrow(&mut select, feed);
        // Its own page, along its own index.
        let sort = SortField { column: feed.at, ..query.page.sort };
        push_page(&mut select, alias, &PageRequest { sort, ..query.page.clone() });
        select.push(")");
    }
    select.push(
        ") t (id, item_type, kind, occurred_at, title, body, status, direction, conversation_id, actor_id, data)
         where true",
    );
    push_page(&mut select, "t", &query.page);
    let rows = select.build_query_as::<TimelineItem>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.occurred_at), id: row.id });
    page.total = total(tx, &query.page, || {
        let mut count = QueryBuilder::new("select sum(n)::bigint from (");
        for (place, feed) in wanted.iter().enumerate() {
            count.push(if place == 0 { "select count(*)" } else { " union all select count(*)" });
            narrow(&mut count, feed);
        }
        count.push(") t (n)");
        count
    })
    .await?;
    Ok(page)
}
