//! Catching up: the leads that something happened with, and once a day everybody.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::store::{find_scoring, store_scores};
use crate::{
    db::{DbError, DbResult, SystemTx, TenantTx},
    ids::TenantId,
};

/// Leads that one turn looks at, of each sort.
const PORTION: i64 = 500;

/// How long a transaction may take to commit what it has dated by its beginning: what is younger is looked at again.
#[derive(Clone, Copy, Debug)]
pub struct Overlap(pub Duration);

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// Leads that got another score.
    pub changed: u64,
    /// Whether more of the business's leads are due.
    pub more: bool,
}

/// Businesses whose scores are behind.
///
/// # Errors
/// When the database refuses.
pub async fn due(tx: &mut SystemTx, limit: i32) -> DbResult<Vec<TenantId>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    let rows: Vec<Uuid> =
        sqlx::query_scalar("select tenant_id from sweep_scores($1)").bind(limit).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(TenantId::new).collect())
}

/// Scores a portion of the leads that changed or that something was told about, and a portion of everybody when that is due.
/// Nothing is done while somebody else is at it.
///
/// # Errors
/// When the database refuses.
pub async fn catch_up(tx: &mut TenantTx, now: DateTime<Utc>, overlap: Overlap) -> DbResult<Scored> {
    let Some(progress) = hold(tx).await? else { return Ok(Scored::default()) };
    let touched = touched(tx, &progress).await?;
    let everybody = if progress.pass_due { portion(tx, progress.pass_cursor).await? } else { Vec::new() };
    let mut leads: Vec<Uuid> =
        touched.iter().map(|(lead, _)| *lead).chain(everybody.iter().copied()).collect();
    leads.sort_unstable();
    leads.dedup();
    let rules = find_scoring(tx).await?.rules;
    let changed = store_scores(tx, now, &rules, &leads).await?;
    let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= PORTION);
    let told = touched.last().copied().filter(|_| is_full(touched.len()));
    let pass_cursor = everybody.last().copied().filter(|_| is_full(everybody.len()));
    move_on(tx, told, overlap, (progress.pass_due, pass_cursor)).await?;
    Ok(Scored { changed, more: told.is_some() || pass_cursor.is_some() })
}

struct Progress {
    told_through: DateTime<Utc>,
    told_lead: Option<Uuid>,
    pass_due: bool,
    pass_cursor: Option<Uuid>,
}

/// Takes the turn. A business that is new to it begins with everybody.
async fn hold(tx: &mut TenantTx) -> DbResult<Option<Progress>> {
    sqlx::query!(
        "insert into scoring_progress (tenant_id, told_through, pass_due_at) values ($1, now(), now())
         on conflict (tenant_id) do nothing",
        tx.tenant(),
    )
    .execute(tx.conn())
    .await?;
    let progress = sqlx::query_as!(
        Progress,
        r#"select told_through, told_lead, pass_due_at <= now() as "pass_due!", pass_cursor from scoring_progress
            where tenant_id = $1 for update skip locked"#,
        tx.tenant(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(progress)
}

/// Leads that changed, or that something was told about, since then: the longest ago first, with the time. Many share a time,
/// because a transaction dates by its beginning; hence the lead as the second half of the place.
async fn touched(tx: &mut TenantTx, since: &Progress) -> DbResult<Vec<(Uuid, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        r#"select t.lead_id as "lead_id!", t.at as "at!"
             from ((select l.id as lead_id, l.updated_at as at from leads l
                     where l.tenant_id = $1 and l.updated_at >= $2 and (l.updated_at > $2 or $4::uuid is null or l.id > $4)
                     order by l.updated_at, l.id limit $3)
                   union all
                   (select e.lead_id, e.recorded_at from events e
                     where e.tenant_id = $1 and e.lead_id is not null and e.recorded_at >= $2
                       and (e.recorded_at > $2 or $4::uuid is null or e.lead_id > $4)
                     order by e.recorded_at, e.lead_id limit $3)) t
            order by t.at, t.lead_id limit $3"#,
        tx.tenant(),
        since.told_through,
        PORTION,
        since.told_lead,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.lead_id, row.at)).collect())
}

async fn portion(tx: &mut TenantTx, after: Option<Uuid>) -> DbResult<Vec<Uuid>> {
    let leads = sqlx::query_scalar!(
        "select id from leads where tenant_id = $1 and ($2::uuid is null or id > $2) and deleted_at is null
            and merged_into_id is null order by id limit $3",
        tx.tenant(),
        after,
        PORTION,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(leads)
}

/// Notes how far it has come. `pass` is whether everybody is due, and the place where that stopped, if it did.
async fn move_on(
    tx: &mut TenantTx,
    told: Option<(Uuid, DateTime<Utc>)>,
    overlap: Overlap,
    (passing, pass_cursor): (bool, Option<Uuid>),
) -> DbResult<()> {
    let overlap = PgInterval::try_from(Duration::from_secs(overlap.0.as_secs()))
        .map_err(|_| DbError::Defect("the overlap is no interval".to_owned()))?;
    sqlx::query!(
        "update scoring_progress
            set told_through = greatest(told_through, coalesce($2::timestamptz, now() - $3::interval)), told_lead = $6, pass_cursor = $5,
                pass_due_at = case when $4 and $5::uuid is null then now() + interval '1 day' else pass_due_at end
          where tenant_id = $1",
        tx.tenant(),
        told.map(|(_, at)| at),
        overlap,
        passing,
        pass_cursor,
        told.map(|(lead, _)| lead),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
