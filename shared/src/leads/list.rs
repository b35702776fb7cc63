//! The list of leads, narrowed by the one filter grammar.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::Lead;
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, PageRequest, Params, SortField, SortKind},
};

/// The row as [`Lead`] reads it. The same columns as in `find`, where the checked macro holds them against the schema.
const COLUMNS: &str = "l.id, l.status, l.source, l.first_name, l.last_name,
    nullif(concat_ws(' ', l.first_name, l.last_name), '') as name, l.email, l.phone, l.owner_id, l.stage_id, l.tags,
    l.custom_fields, l.score, l.timezone, l.locale, l.first_touch, l.last_touch, l.created_at, l.updated_at,
    l.last_activity_at, l.deleted_at, l.merged_into_id, l.version";

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
    /// Fragments of name, e-mail address or telephone number.
    pub search: Option<String>,
    /// Made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Made before.
    pub to: Option<DateTime<Utc>>,
    /// `true` shows the bin instead, to administrators.
    pub deleted: Option<bool>,
}

impl FromQuery for LeadFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "updatedAt", column: "updated_at", kind: SortKind::Time },
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
            from,
            to,
            deleted: params.flag("deleted"),
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
    let mut select = statement("", tx.tenant(), query, own_records_of);
    let rows = select.build_query_as::<Lead>().fetch_all(tx.conn()).await?;
    let by_update = query.page.sort.word == "updatedAt";
    let mut page = query.page.page(rows, |lead| Keyset {
        value: KeysetValue::Time(if by_update { lead.updated_at } else { lead.created_at }),
        id: lead.id,
    });
    let tenant = tx.tenant();
    page.total = total(tx, &query.page, || {
        let mut count = QueryBuilder::new("select count(*) from leads l");
        push_filter(&mut count, tenant, &query.filter, own_records_of);
        count
    })
    .await?;
    Ok(page)
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
    let mut explain = statement("explain ", tx.tenant(), query, own_records_of);
    let lines: Vec<String> = explain.build_query_scalar().fetch_all(tx.conn()).await?;
    Ok(lines.join("\n"))
}

fn statement(
    head: &str,
    tenant: Uuid,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
) -> QueryBuilder<'static, Postgres> {
    let mut select = QueryBuilder::new(format!("{head}select {COLUMNS} from leads l"));
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

fn push_filter(
    query: &mut QueryBuilder<'_, Postgres>,
    tenant: Uuid,
    filter: &LeadFilter,
    own_records_of: Owners<'_>,
) {
    query.push(" where l.tenant_id = ").push_bind(tenant).push(" and l.merged_into_id is null");
    query.push(if filter.deleted == Some(true) {
        " and l.deleted_at is not null"
    } else {
        " and l.deleted_at is null"
    });
    push_any(query, "l.status", &filter.status);
    push_any(query, "l.source", &filter.source);
    push_any(query, "l.owner_id", &filter.owner_id);
    push_any(query, "l.stage_id", &filter.stage_id);
    push_range(query, "l.created_at", (filter.from, filter.to));
    if !filter.tag.is_empty() {
        query.push(" and l.tags && ").push_bind(filter.tag.clone());
    }
    if let Some(text) = &filter.search {
        // The definer function finds ids by index; under row-level security a direct ILIKE would scan the tenant.
        query.push(" and l.id = any (array(select search_leads(").push_bind(text.clone()).push(", 10000)))");
    }
    if let Some(owner) = own_records_of {
        query.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
    }
}
