//! Segments in the database.
//!
//! The members of a static one are counted when it is read: they go by erasure, into the bin and in merges without anybody asking
//! the segment. Of a live one the count of its last asking is stored.

use chrono::{DateTime, Utc};
use serde_json::{Value, to_value};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Segment, SegmentKind};
use crate::{
    conditions::Condition,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
};

/// What segments can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SegmentFilter {
    /// `live`, `static`.
    pub kind: Vec<String>,
    /// A part of the name.
    pub search: Option<String>,
}

impl FromQuery for SegmentFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "name", column: "name", kind: SortKind::Text },
    ];

    fn read(params: &mut Params) -> Self {
        Self { kind: params.choices("kind", &["live", "static"]), search: params.text("search") }
    }
}

/// One page of segments.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<SegmentFilter>) -> DbResult<Page<Segment>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from segments s where s.tenant_id = "));
        select.push_bind(tenant);
        push_any(&mut select, "s.kind", &query.filter.kind);
        if let Some(text) = &query.filter.search {
            // A tenant has tens of these, so a scan of its own rows is quick.
            select.push(" and strpos(lower(s.name), lower(").push_bind(text.clone()).push(")) > 0");
        }
        select
    };
    let mut select = filtered(
        "select s.id, s.name, s.kind, s.conditions, case when s.kind = 'static' then (
                   select count(*)::int from segment_members m join leads l on l.tenant_id = s.tenant_id and l.id = m.lead_id
                    where m.tenant_id = s.tenant_id and m.segment_id = s.id and l.deleted_at is null and l.merged_into_id is null)
               else s.member_count end as member_count,
               s.evaluated_at, s.created_at, s.updated_at, s.version",
    );
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<Segment>().fetch_all(tx.conn()).await?;
    let by_name = query.page.sort.word == "name";
    let mut page = query.page.page(rows, |row| Keyset {
        value: if by_name { KeysetValue::Text(row.name.clone()) } else { KeysetValue::Time(row.created_at) },
        id: row.id,
    });
    if query.page.include_total {
        page.total = Some(filtered("select count(*)").build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

/// One segment.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Segment>> {
    Ok(find_many(tx, &[id]).await?.pop())
}

/// Those of the segments that are there.
///
/// # Errors
/// When the database refuses.
pub async fn find_many(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<Vec<Segment>> {
    let found = sqlx::query_as!(
        Segment,
        "select s.id, s.name, s.kind, s.conditions, case when s.kind = 'static' then (
                   select count(*)::int from segment_members m join leads l on l.tenant_id = $1 and l.id = m.lead_id
                    where m.tenant_id = $1 and m.segment_id = s.id and l.deleted_at is null and l.merged_into_id is null)
               else s.member_count end as member_count,
               s.evaluated_at, s.created_at, s.updated_at, s.version
           from segments s where s.tenant_id = $1 and s.id = any($2)",
        tx.tenant(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

/// Makes a segment; nobody belongs to it yet.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    name: &str,
    kind: SegmentKind,
    condition: &Condition,
) -> DbResult<Segment> {
    let segment = sqlx::query_as!(
        Segment,
        "insert into segments (tenant_id, id, name, kind, conditions, due_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, case when $4 = 'live' then now() end, $6, $6)
         returning id, name, kind, conditions, member_count, evaluated_at, created_at, updated_at, version",
        tx.tenant(),
        new_id(),
        name,
        kind.as_str(),
        to_value(condition).unwrap_or_default(),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(segment)
}

/// Changes a segment that the caller has seen in `version`; `None` when it has changed meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn update(
    tx: &mut TenantTx,
    id: Uuid,
    version: i64,
    name: Option<&str>,
    condition: Option<&Condition>,
) -> DbResult<Option<Segment>> {
    let conditions: Option<Value> = condition.and_then(|condition| to_value(condition).ok());
    let segment = sqlx::query_as!(
        Segment,
        "update segments s set name = coalesce($4, s.name), conditions = coalesce($5, s.conditions)
          where s.tenant_id = $1 and s.id = $2 and s.version = $3
         returning s.id, s.name, s.kind, s.conditions, case when s.kind = 'static' then (
                   select count(*)::int from segment_members m join leads l on l.tenant_id = $1 and l.id = m.lead_id
                    where m.tenant_id = $1 and m.segment_id = s.id and l.deleted_at is null and l.merged_into_id is null)
               else s.member_count end as member_count,
               s.evaluated_at, s.created_at, s.updated_at, s.version",
        tx.tenant(),
        id,
        version,
        name,
        conditions,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(segment)
}

/// Removes a segment of this version; `false` when it has another by now. Nobody leaves it by that.
///
/// # Errors
/// When the database refuses.
pub async fn delete(tx: &mut TenantTx, id: Uuid, version: i64) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "delete from segments where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}
