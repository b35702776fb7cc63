//! Asking a segment who belongs to it, and telling who came and went.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Postgres, QueryBuilder, postgres::types::PgInterval};
use uuid::Uuid;

use super::{Preview, Segment};
use crate::{
    auth::Owners,
    conditions::{Condition, Scope, push_condition},
    db::{DbError, DbResult, SystemTx, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
    http::{ListQuery, PageRequest},
    ids::TenantId,
    leads::{self, LeadFilter},
    mask::SearchFields,
};

/// Events that are told by one statement.
const TOLD_AT_ONCE: usize = 500;
/// How many people a preview shows.
const SAMPLE: i64 = 20;

/// Who came to a segment and who left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Leads that belong to it now and did not before.
    pub entered: usize,
    /// Leads that belonged to it before and do not now.
    pub exited: usize,
}

/// Live segments that are to be asked, whose turn came first at the front.
///
/// # Errors
/// When the database refuses.
pub async fn due(tx: &mut SystemTx, limit: i32) -> DbResult<Vec<(TenantId, Uuid)>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as("select tenant_id, id from sweep_segments($1)")
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|(tenant, id)| (TenantId::new(tenant), id)).collect())
}

/// Asks a live segment and tells who came and went. Nothing is done for one that somebody else is asking, or that is not
/// due any more. Whoever asks says by [`rest`] when its turn comes again.
///
/// # Errors
/// When the database refuses.
pub async fn evaluate(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid) -> DbResult<Option<Evaluation>> {
    let Some(segment) = take(tx, id).await? else { return Ok(None) };
    let Ok(condition) = segment.condition() else {
        return Err(DbError::Defect(format!("the conditions of segment {id} cannot be read")));
    };
    let changes = refresh(tx, now, id, &condition).await?;
    tell(tx, &segment, now, changes.iter().copied()).await?;
    let entered = changes.iter().filter(|(_, entered)| *entered).count();
    Ok(Some(Evaluation { entered, exited: changes.len() - entered }))
}

/// Tells who came and who went.
pub(super) async fn tell(
    tx: &mut TenantTx,
    segment: &Segment,
    now: DateTime<Utc>,
    changes: impl Iterator<Item = (Uuid, bool)>,
) -> DbResult<()> {
    let events: Vec<NewEvent> = changes.map(|(lead, entered)| event(segment, now, lead, entered)).collect();
    for told in events.chunks(TOLD_AT_ONCE) {
        emit(tx, told).await?;
    }
    Ok(())
}

async fn take(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Segment>> {
    let segment = sqlx::query_as!(
        Segment,
        "select id, name, kind, conditions, member_count, evaluated_at, created_at, updated_at, version
           from segments where tenant_id = $1 and id = $2 and due_at <= now()
            for no key update skip locked",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(segment)
}

/// Lets a segment rest until its next turn, in whole seconds.
///
/// # Errors
/// When the database refuses.
pub async fn rest(tx: &mut TenantTx, id: Uuid, pause: Duration) -> DbResult<()> {
    let pause = PgInterval::try_from(Duration::from_secs(pause.as_secs()))
        .map_err(|_| DbError::Defect("the pause is no interval".to_owned()))?;
    sqlx::query!(
        "update segments set due_at = clock_timestamp() + $3 where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
        pause,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn event(segment: &Segment, now: DateTime<Utc>, lead: Uuid, entered: bool) -> NewEvent {
    let kind = if entered { EventKind::SegmentEntered } else { EventKind::SegmentExited };
    NewEvent {
        kind,
        subject_id: segment.id,
        lead_id: Some(lead),
        payload: json!({"id": segment.id, "segmentId": segment.id, "name": segment.name, "leadId": lead}),
        previous: None,
        source: "segment",
        dedupe_key: format!("{}:{lead}:{}:{}", segment.id, kind.word(), now.timestamp_micros()),
        cause: Cause::default(),
        occurred_at: now,
    }
}

/// Stores who belongs to a segment, without telling anybody.
///
/// # Errors
/// When the database refuses.
pub async fn fill(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid, condition: &Condition) -> DbResult<()> {
    refresh(tx, now, id, condition).await?;
    Ok(())
}

/// Makes what is stored equal to the answer, and returns (lead, whether it came) for each difference.
async fn refresh(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    condition: &Condition,
) -> DbResult<Vec<(Uuid, bool)>> {
    let tenant = tx.tenant();
    let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "with found as materialized (
             select l.id from leads l where l.deleted_at is null and l.merged_into_id is null and l.tenant_id = ",
    );
    query.push_bind(tenant).push(" and ");
    push_condition(&mut query, condition, Scope::all(tenant, now));
    query.push("), gone as (delete from segment_members m where m.tenant_id = ").push_bind(tenant);
    query.push(" and m.segment_id = ").push_bind(id);
    query.push(" and m.lead_id not in (select f.id from found f) returning m.lead_id), came as (");
    query
        .push("insert into segment_members (tenant_id, segment_id, lead_id, entered_at) select ")
        .push_bind(tenant);
    query.push(", ").push_bind(id).push(", f.id, ").push_bind(now);
    query.push(" from found f on conflict (tenant_id, segment_id, lead_id) do nothing returning lead_id), counted as (");
    query
        .push("update segments set member_count = (select count(*) from found), evaluated_at = ")
        .push_bind(now);
    query.push(" where tenant_id = ").push_bind(tenant).push(" and id = ").push_bind(id);
    query.push(") select lead_id, true from came union all select lead_id, false from gone");
    let changes = query.build_query_as::<(Uuid, bool)>().fetch_all(tx.conn()).await?;
    Ok(changes)
}

/// Who a tree is about, among the records that the caller may see and as far as the caller may compare their `fields`.
///
/// # Errors
/// When the database refuses.
pub async fn preview(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    condition: Condition,
    fields: SearchFields,
    own_records_of: Owners<'_>,
) -> DbResult<Preview> {
    let filter = LeadFilter { search_fields: fields, ..LeadFilter::of_condition(condition, now) };
    let page = PageRequest { limit: SAMPLE, include_total: true, ..PageRequest::first::<LeadFilter>() };
    let page = leads::list(tx, &ListQuery { filter, page }, own_records_of).await?;
    Ok(Preview { count: page.total.unwrap_or_default(), sample: page.items })
}

/// The ids of those who belong to a segment now, `limit` at most, among the records that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn members(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    segment: &Segment,
    limit: i64,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Uuid>> {
    let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new(
        "select l.id from leads l where l.deleted_at is null and l.merged_into_id is null and l.tenant_id = ",
    );
    query.push_bind(tx.tenant());
    query.push(" and ");
    push_membership(&mut query, tx.tenant(), segment, now);
    if let Some(owner) = own_records_of {
        query.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
    }
    query.push(" order by l.id limit ").push_bind(limit);
    Ok(query.build_query_scalar().fetch_all(tx.conn()).await?)
}

/// Appends "the lead belongs to the segment". One whose conditions cannot be read has nobody: they were read before they
/// were stored, so this is a defect, not an invitation.
pub(crate) fn push_membership(
    query: &mut QueryBuilder<'_, Postgres>,
    tenant: Uuid,
    segment: &Segment,
    now: DateTime<Utc>,
) {
    if segment.is_live() {
        let nobody = Condition::Any { any: Vec::new() };
        push_condition(query, &segment.condition().unwrap_or(nobody), Scope::all(tenant, now));
    } else {
        query.push("l.id in (select m.lead_id from segment_members m where m.tenant_id = ").push_bind(tenant);
        query.push(" and m.segment_id = ").push_bind(segment.id).push(")");
    }
}
