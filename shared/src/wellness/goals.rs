//! Goals: what a person aims at, and how far it is.
//!
//! Progress is never stored, it is computed from the days whenever it is asked for; so late data, corrections and deletions
//! need no repair. Only the *event* that a period was met is remembered, by its dedupe key: one per goal and period.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{
    Aggregation, Metric,
    days::{DayRow, priorities},
    goal::{Direction, Goal, GoalFilter, GoalPatch, GoalStatus, NewGoal, Row},
    progress::{Judgement, LOOK_BACK_DAYS},
    series::Piece,
};
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    events::{Cause, EventKind, NewEvent},
    http::{Keyset, KeysetValue, ListQuery, Page},
    ids::new_id,
    values::Line,
};

/// Sets a goal. `target` is in the canonical unit. `None` for a lead that the caller may not see.
///
/// # Errors
/// When the database refuses.
pub async fn insert_goal(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewGoal,
    (target, aggregation): (f64, Aggregation),
    own_records_of: Owners<'_>,
) -> DbResult<Option<Goal>> {
    let today = now.with_timezone(&tx.zone()).date_naive();
    let direction = if new.direction == Direction::AtLeast { "atLeast" } else { "atMost" };
    let row = sqlx::query_as!(
        Row,
        r#"insert into metric_goals (tenant_id, id, lead_id, type, target, direction, period, aggregation, title, starts_on, ends_on)
           select $1, $2, l.id, $4, $5, $6, $7, $8, $9, $10, $11 from leads l
            where l.tenant_id = $1 and l.id = $3 and l.deleted_at is null and ($12::uuid[] is null or l.owner_id = any ($12))
           returning id, lead_id, type as kind, target, direction, period, aggregation, title, starts_on, ends_on, status,
                     reached_at, version, created_at, updated_at"#,
        tx.tenant(),
        new_id(),
        new.lead_id,
        new.kind,
        target,
        direction,
        new.period.word(),
        aggregation.word(),
        new.title.map(Line::into_string),
        new.starts_on.unwrap_or(today),
        new.ends_on,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    let rows = row.into_iter().collect();
    Ok(with_progress(tx, now, rows).await?.pop())
}

/// One goal, of a lead that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn find_goal(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Goal>> {
    let row = sqlx::query_as!(
        Row,
        r#"select g.id, g.lead_id, g.type as kind, g.target, g.direction, g.period, g.aggregation, g.title, g.starts_on,
                  g.ends_on, g.status, g.reached_at, g.version, g.created_at, g.updated_at
             from metric_goals g join leads l on l.tenant_id = g.tenant_id and l.id = g.lead_id
            where g.tenant_id = $1 and g.id = $2 and l.deleted_at is null and ($3::uuid[] is null or l.owner_id = any ($3))"#,
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    let rows = row.into_iter().collect();
    Ok(with_progress(tx, now, rows).await?.pop())
}

/// One page of goals.
///
/// # Errors
/// When the database refuses.
pub async fn list_goals(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    query: &ListQuery<GoalFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Goal>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select g.* from metric_goals g where g.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "g.lead_id", &query.filter.lead_id);
        push_any(&mut select, "g.type", &query.filter.kind);
        push_any(&mut select, "g.status", &query.filter.status);
        select.push(" and exists (select from leads l where l.tenant_id = g.tenant_id and l.id = g.lead_id and l.deleted_at is null");
        if let Some(owner) = own_records_of {
            select.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
        }
        select.push(")");
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "g", &query.page);
    let rows = select.build_query_as::<Row>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    let (next_cursor, total) = (page.next_cursor, page.total);
    Ok(Page { items: with_progress(tx, now, page.items).await?, next_cursor, total })
}

/// Changes a goal if its version still stands; `target` is in the canonical unit. `None`: somebody was faster.
///
/// # Errors
/// `metric_goals_ends_on_check` for a last day before the first.
pub async fn update_goal(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    goal: &Goal,
    patch: GoalPatch,
    target: Option<f64>,
) -> DbResult<Option<Goal>> {
    let (set_title, title) = patch.title.into_parts();
    let (set_end, ends_on) = patch.ends_on.into_parts();
    let row = sqlx::query_as!(
        Row,
        r#"update metric_goals
              set target = coalesce($3, target), title = case when $4 then $5 else title end,
                  ends_on = case when $6 then $7 else ends_on end, status = coalesce($8, status)
            where tenant_id = $1 and id = $2 and version = $9
           returning id, lead_id, type as kind, target, direction, period, aggregation, title, starts_on, ends_on, status,
                     reached_at, version, created_at, updated_at"#,
        tx.tenant(),
        goal.id,
        target,
        set_title,
        title.map(Line::into_string),
        set_end,
        ends_on,
        patch.status.map(GoalStatus::word),
        goal.version,
    )
    .fetch_optional(tx.conn())
    .await?;
    let rows = row.into_iter().collect();
    Ok(with_progress(tx, now, rows).await?.pop())
}

/// Deletes a goal if its version still stands. `false`: somebody was faster.
///
/// # Errors
/// When the database refuses.
pub async fn delete_goal(tx: &mut TenantTx, goal: &Goal) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "delete from metric_goals where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        goal.id,
        goal.version,
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}

async fn with_progress(tx: &mut TenantTx, now: DateTime<Utc>, rows: Vec<Row>) -> DbResult<Vec<Goal>> {
    let judged = judge(tx, now, &rows).await?;
    Ok(rows.into_iter().zip(judged).map(|(row, judgement)| row.judged(judgement)).collect())
}

/// Judges goals by two queries, however many there are.
async fn judge(tx: &mut TenantTx, now: DateTime<Utc>, rows: &[Row]) -> DbResult<Vec<Judgement>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let today = now.with_timezone(&tx.zone()).date_naive();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let days = sqlx::query_as!(
        DayRow,
        "select distinct d.lead_id, d.type as kind, d.local_date, d.source, d.grain, d.count, d.sum, d.min, d.max, d.last, d.last_at
           from metric_goals g
           join metric_days d on d.tenant_id = $1 and d.lead_id = g.lead_id and d.type = g.type
            and d.local_date >= greatest(g.starts_on, $3) and d.local_date <= least(g.ends_on, $4)
          where g.tenant_id = $1 and g.id = any($2)",
        tx.tenant(),
        &ids,
        today - chrono::Days::new(LOOK_BACK_DAYS),
        today,
    )
    .fetch_all(tx.conn())
    .await?;
    let kinds: Vec<String> = rows.iter().map(|row| row.kind.clone()).collect();
    let rules = priorities(tx, &kinds).await?;
    let judged = rows.iter().map(|row| {
        let of_row = |day: &&DayRow| day.lead_id == row.lead_id && day.kind == row.kind;
        let pieces: Vec<Piece> = days.iter().filter(of_row).map(DayRow::piece).collect();
        row.aim().judge(&pieces, rules.of(row.lead_id, &row.kind), today)
    });
    Ok(judged.collect())
}

/// The events of goals that these measurements have met; the caller tells them, and what was told before is told no more.
///
/// # Errors
/// When the database refuses.
pub async fn evaluate_goals(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    metrics: &[&Metric],
) -> DbResult<Vec<NewEvent>> {
    let leads: Vec<Uuid> = metrics.iter().map(|metric| metric.lead_id).collect();
    let kinds: Vec<&str> = metrics.iter().map(|metric| metric.kind.as_str()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select id, lead_id, type as kind, target, direction, period, aggregation, title, starts_on, ends_on, status,
                  reached_at, version, created_at, updated_at
             from metric_goals
            where tenant_id = $1 and status = 'active'
              and (lead_id, type) in (select * from unnest($2::uuid[], $3::text[]))"#,
        tx.tenant(),
        &leads,
        &kinds as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    let judged = judge(tx, now, &rows).await?;
    let mut events = Vec::new();
    let mut reached = Vec::new();
    for (row, judgement) in rows.into_iter().zip(judged) {
        let period = row.aim().period;
        let touched = |day: &NaiveDate| {
            metrics.iter().any(|m| {
                m.lead_id == row.lead_id && m.kind == row.kind && period.start_date(m.local_date) == *day
            })
        };
        let met: Vec<NaiveDate> = judgement.met.iter().filter(|day| touched(day)).copied().collect();
        if !met.is_empty() && row.reached_at.is_none() {
            reached.push(row.id);
        }
        let (id, lead) = (row.id, row.lead_id);
        let payload = serde_json::to_value(row.judged(judgement)).unwrap_or_default();
        events.extend(met.into_iter().map(|day| told(now, (id, lead), day, &payload)));
    }
    remember(tx, now, &reached).await?;
    Ok(events)
}

fn told(
    now: DateTime<Utc>,
    (goal, lead): (Uuid, Uuid),
    period: NaiveDate,
    payload: &serde_json::Value,
) -> NewEvent {
    NewEvent {
        kind: EventKind::GoalReached,
        subject_id: goal,
        lead_id: Some(lead),
        payload: payload.clone(),
        previous: None,
        source: "wellness",
        dedupe_key: format!("goal.reached:{goal}:{period}"),
        cause: Cause::default(),
        occurred_at: now,
    }
}

async fn remember(tx: &mut TenantTx, now: DateTime<Utc>, goals: &[Uuid]) -> DbResult<()> {
    if goals.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update metric_goals set reached_at = $3 where tenant_id = $1 and id = any($2) and reached_at is null",
        tx.tenant(),
        goals,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
