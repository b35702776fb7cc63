//! The list of leads, narrowed by the one filter grammar.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Definitions, FieldQuery, Lead, custom_fields::Probe, search};
use crate::{
    auth::Owners,
    conditions::{Condition, Scope, push_condition},
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{
        FromQuery, Keyset, KeysetValue, ListQuery, Page, PageRequest, Params, Problem, SortField, SortKind,
    },
    mask::SearchFields,
    segments::{self, Segment},
};

/// The row as [`Lead`] reads it. The same columns as in `find`, where the checked macro holds them against the schema.
pub(super) const COLUMNS: &str = "l.id, l.status, l.source, l.first_name, l.last_name,
    nullif(concat_ws(' ', l.first_name, l.last_name), '') as name, l.email, l.phone, l.owner_id, l.stage_id,
    l.stage_entered_at, l.won_reason, l.lost_reason, l.value, l.currency, l.tags, l.custom_fields, l.score, l.timezone,
    l.locale, l.first_touch, l.last_touch, l.created_at, l.updated_at, l.last_activity_at, l.deleted_at, l.merged_into_id, l.version";

/// What leads can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LeadFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Sources.
    pub source: Vec<String>,
    /// Tags; a lead with any of them matches.
    pub tag: Vec<String>,
    /// Colleagues in charge.
    pub owner_id: Vec<Uuid>,
    /// Stages.
    pub stage_id: Vec<Uuid>,
    /// Fragments of name, e-mail address or telephone number; of the name alone for those who see only hints of the others.
    pub search: Option<String>,
    /// What the search looks through; see [`crate::http::Actor::searches`].
    #[param(ignore)]
    pub search_fields: SearchFields,
    /// Made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Made before.
    pub to: Option<DateTime<Utc>>,
    /// `true` shows the bin instead, to administrators.
    pub deleted: Option<bool>,
    /// Comparisons of custom fields: `cf.birthday[gte]=1990-01-01`.
    #[param(rename = "cf.key[op]", value_type = Option<String>)]
    pub custom: Vec<FieldQuery>,
    /// Segments; a lead in any of them matches.
    pub segment_id: Vec<Uuid>,
    /// What [`LeadFilter::resolve`] made of the comparisons and segments.
    #[param(ignore)]
    pub resolved: Resolved,
}

/// Conditions that a statement can be narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    pub(super) conditions: Vec<Condition>,
    pub(super) probes: Vec<Probe>,
    /// Alternatives.
    pub(super) segments: Vec<Segment>,
    /// The instant that `within` counts from.
    pub(super) now: DateTime<Utc>,
}

impl LeadFilter {
    /// Those for whom a condition holds.
    #[must_use]
    pub fn of_condition(condition: Condition, now: DateTime<Utc>) -> Self {
        let resolved = Resolved { conditions: vec![condition], now, ..Resolved::default() };
        Self { resolved, ..Self::default() }
    }

    /// Looks up what the filter names. To be called before the filter is used.
    ///
    /// # Errors
    /// 422 naming a custom field or a value that is not there.
    pub async fn resolve(&mut self, tx: &mut TenantTx, now: DateTime<Utc>) -> Result<(), Problem> {
        self.resolved = Resolved { now, ..Resolved::default() };
        if !self.segment_id.is_empty() {
            self.resolved.segments = segments::find_many(tx, &self.segment_id).await?;
            if self.resolved.segments.len() < self.segment_id.len() {
                return Err(Problem::invalid("?segmentId", "unknown_segment", "There is no such segment."));
            }
        }
        if self.custom.is_empty() {
            return Ok(());
        }
        let definitions = Definitions::load(tx).await?;
        for asked in &self.custom {
            let (condition, probe) = asked.read(&definitions, tx.zone())?;
            self.resolved.conditions.push(condition);
            self.resolved.probes.extend(probe);
        }
        Ok(())
    }
}

impl FromQuery for LeadFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "updatedAt", column: "updated_at", kind: SortKind::Time },
        // Whoever was never active counts from when they came.
        SortField { word: "lastActivityAt", column: "activity_at", kind: SortKind::Time },
        SortField { word: "name", column: "sort_name", kind: SortKind::Text },
        SortField { word: "score", column: "score", kind: SortKind::Number },
    ];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            status: params.words("status"),
            source: params.words("source"),
            tag: params.words("tag"),
            owner_id: params.ids("ownerId"),
            stage_id: params.ids("stageId"),
            search: params.text("search"),
            search_fields: SearchFields::default(),
            from,
            to,
            deleted: params.flag("deleted"),
            custom: FieldQuery::take(params),
            segment_id: params.ids("segmentId"),
            resolved: Resolved::default(),
        }
    }
}

/// One page of leads.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Lead>> {
    let rows = if search::is_walkable(query) {
        let found = search::find_page(tx, query, own_records_of).await?;
        found.into_iter().map(|lead| Row { lead, sort_name: String::new() }).collect()
    } else {
        let mut select = statement("", tx.tenant(), query, own_records_of);
        select.build_query_as::<Row>().fetch_all(tx.conn()).await?
    };
    let mut page = query
        .page
        .page(rows, |row| Keyset { value: position(row, query.page.sort.word), id: row.lead.id })
        .map(|row| row.lead);
    let tenant = tx.tenant();
    page.total = total(tx, &query.page, || {
        let mut count = QueryBuilder::new("select count(*) from leads l");
        push_filter(&mut count, tenant, &query.filter, own_records_of);
        count
    })
    .await?;
    Ok(page)
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    lead: Lead,
    sort_name: String,
}

/// The value of a lead in the column that the list is sorted by.
fn position(Row { lead, sort_name }: &Row, sort: &str) -> KeysetValue {
    match sort {
        "updatedAt" => KeysetValue::Time(lead.updated_at),
        "lastActivityAt" => KeysetValue::Time(lead.last_activity_at.unwrap_or(lead.created_at)),
        "score" => KeysetValue::Number(lead.score.into()),
        "name" => KeysetValue::Text(sort_name.clone()),
        _ => KeysetValue::Time(lead.created_at),
    }
}

/// How the database would find that page: one line of the plan after the other. A test holds it against the indexes.
///
/// # Errors
/// When the database refuses.
pub async fn explain(
    tx: &mut TenantTx,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<String> {
    let mut explain = if search::is_walkable(query) {
        search::statement("explain ", tx, query, own_records_of, 100)
    } else {
        statement("explain ", tx.tenant(), query, own_records_of)
    };
    let lines: Vec<String> = explain.build_query_scalar().fetch_all(tx.conn()).await?;
    Ok(lines.join("\n"))
}

fn statement(
    head: &str,
    tenant: Uuid,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
) -> QueryBuilder<'static, Postgres> {
    let mut select = QueryBuilder::new(format!("{head}select {COLUMNS}, l.sort_name from leads l"));
    push_filter(&mut select, tenant, &query.filter, own_records_of);
    push_page(&mut select, "l", &query.page);
    select
}

/// The number of all matching rows, when it is wanted.
pub(super) async fn total<'q>(
    tx: &mut TenantTx,
    page: &PageRequest,
    count: impl FnOnce() -> QueryBuilder<'q, Postgres>,
) -> DbResult<Option<i64>> {
    if !page.include_total {
        return Ok(None);
    }
    Ok(Some(count().build_query_scalar().fetch_one(tx.conn()).await?))
}

/// Whom a search through names may find. It would tell a name that is an address letter by letter.
pub(crate) const READABLE_NAME: &str = "not holds_address(concat_ws(' ', l.first_name, l.last_name))";

pub(super) fn push_searched_names(query: &mut QueryBuilder<'_, Postgres>, fields: SearchFields) {
    if fields == SearchFields::Names {
        query.push(format!(" and {READABLE_NAME}"));
    }
}

pub(super) fn push_filter(
    query: &mut QueryBuilder<'_, Postgres>,
    tenant: Uuid,
    filter: &LeadFilter,
    own_records_of: Owners<'_>,
) {
    query.push(" where l.tenant_id = ").push_bind(tenant).push(" and l.merged_into_id is null");
    query.push(if filter.deleted == Some(true) {
        " and l.deleted_at is not null and l.erased_at is null"
    } else {
        " and l.deleted_at is null"
    });
    push_any(query, "l.status", &filter.status);
    push_any(query, "l.source", &filter.source);
    push_any(query, "l.owner_id", &filter.owner_id);
    push_any(query, "l.stage_id", &filter.stage_id);
    push_range(query, "l.created_at", (filter.from, filter.to));
    if !filter.tag.is_empty() {
        // A trigger keeps the tags where an index finds the rare ones; under row-level security none may be used for `&&`.
        query.push(
            " and exists (select from lead_field_values v where v.tenant_id = l.tenant_id and v.lead_id = l.id and v.key = '#tags'",
        );
        push_any(query, "v.text_value", &filter.tag);
        query.push(")");
    }
    if let Some(text) = &filter.search {
        // The definer function finds ids by index; under row-level security a direct ILIKE would scan the tenant.
        query.push(" and l.id = any (array(select search_leads(").push_bind(text.clone());
        query.push(", 10000, ").push_bind(filter.search_fields.word()).push(")))");
        push_searched_names(query, filter.search_fields);
    }
    for probe in &filter.resolved.probes {
        probe.push(query, tenant);
    }
    for (index, segment) in filter.resolved.segments.iter().enumerate() {
        query.push(if index == 0 { " and (" } else { " or " });
        segments::push_membership(query, tenant, segment, filter.resolved.now);
    }
    if !filter.resolved.segments.is_empty() {
        query.push(")");
    }
    for condition in &filter.resolved.conditions {
        query.push(" and ");
        let scope = Scope::all(tenant, filter.resolved.now).through(filter.search_fields);
        push_condition(query, condition, scope);
    }
    if let Some(owner) = own_records_of {
        query.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
    }
}
