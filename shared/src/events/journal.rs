//! The journal: every event in the order in which it was written down.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    private::Private,
};

/// An event of the journal.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// The event; deliveries carry it as `webhook-id`.
    pub id: Uuid,
    /// `lead.created`, `invoice.paid` …
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Version of the shape of `data`.
    pub schema_version: i32,
    /// What it happened to: `lead`, `invoice` …
    pub subject_kind: String,
    /// Which one.
    pub subject_id: Option<Uuid>,
    /// The person it is about, if any.
    pub lead_id: Option<Uuid>,
    /// Who said so: `api`, `automation`, `stripe` …
    pub source: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When it was written down.
    pub recorded_at: DateTime<Utc>,
    /// The subject as the API shows it.
    #[schema(value_type = Object)]
    pub data: Private<Value>,
    /// Changed fields with their former values.
    #[schema(value_type = Option<Object>)]
    pub previous: Option<Private<Value>>,
}

/// What the journal can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JournalFilter {
    /// Types of events.
    #[param(rename = "type")]
    pub kind: Vec<String>,
    /// Leads.
    pub lead_id: Vec<Uuid>,
    /// Who said so.
    pub source: Vec<String>,
    /// Written down at or after.
    pub from: Option<DateTime<Utc>>,
    /// Written down before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for JournalFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "recordedAt", column: "recorded_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            kind: params.words("type"),
            lead_id: params.ids("leadId"),
            source: params.words("source"),
            from,
            to,
        }
    }
}

/// One page of the journal.
///
/// A reader who goes forward (`sort=recordedAt`) and keeps the last cursor misses nothing: an event bears the time at which
/// its transaction began, so what is younger than the oldest transaction still open is held back until that one has
/// ended.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<JournalFilter>) -> DbResult<Page<JournalEntry>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select e.id, e.type, 1 as schema_version, e.subject_kind, e.subject_id, e.lead_id, e.source, e.occurred_at,
                e.recorded_at, e.payload as data, e.previous
           from events e where e.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "e.type", &query.filter.kind);
        push_any(&mut select, "e.lead_id", &query.filter.lead_id);
        push_any(&mut select, "e.source", &query.filter.source);
        push_range(&mut select, "e.recorded_at", (query.filter.from, query.filter.to));
        if !query.page.descending {
            select.push(
                " and e.recorded_at < (select coalesce(min(a.xact_start), now()) from pg_catalog.pg_stat_activity a
                                        where a.datname = current_database() and a.usename = current_user)",
            );
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "e", &query.page);
    let rows = select.build_query_as::<JournalEntry>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.recorded_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}
