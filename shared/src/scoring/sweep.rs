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

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Leads that changed, or that something was told about.
    Told,
    /// Everybody, once a day.
    Everybody,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// Leads that got another score.
    pub changed: u64,
    /// Whether more of the business's leads are due.
    pub more: bool,
}

/// Businesses whose scores are behind in that sense, the furthest first.
///
/// # Errors
/// When the database refuses.
pub async fn due(tx: &mut SystemTx, due: Due, limit: i32) -> DbResult<Vec<TenantId>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    let rows: Vec<Uuid> = sqlx::query_scalar("select tenant_id from sweep_scores($1, $2)")
        .bind(due == Due::Everybody)
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(TenantId::new).collect())
}

/// Scores a portion of the leads that changed or that something was told about, or of everybody when that is due. Nothing is
/// done while somebody else is at it.
///
/// # Errors
/// When the database refuses.
pub async fn catch_up(tx: &mut TenantTx, now: DateTime<Utc>, due: Due, overlap: Overlap) -> DbResult<Scored> {
    let overlap = PgInterval::try_from(Duration::from_secs(overlap.0.as_secs()))
        .map_err(|_| DbError::Defect("the overlap is no interval".to_owned()))?;
    let Some(progress) = hold(tx, &overlap).await? else { return Ok(Scored::default()) };
    let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= PORTION);
    let (mut leads, more) = match due {
        Due::Told => {
            let touched = touched(tx, &progress).await?;
            let place = touched.last().copied().filter(|_| is_full(touched.len()));
            let more = move_on(tx, place, overlap).await?;
            (touched.into_iter().map(|(lead, _)| lead).collect(), more)
        }
        Due::Everybody if progress.pass_due => {
            let everybody = portion(tx, progress.pass_cursor).await?;
            let place = everybody.last().copied().filter(|_| is_full(everybody.len()));
            pass_on(tx, place).await?;
            (everybody, place.is_some())
        }
        Due::Everybody => (Vec::new(), false),
    };
    leads.sort_unstable();
    leads.dedup();
    let rules = find_scoring(tx).await?.rules;
    let changed = store_scores(tx, now, &rules, &leads).await?;
    Ok(Scored { changed, more })
}

struct Progress {
    told_through: DateTime<Utc>,
    told_lead: Option<Uuid>,
    pass_due: bool,
    pass_cursor: Option<Uuid>,
}

/// Takes the turn. A business that is new to it begins with everybody, and with what is being committed at this moment.
async fn hold(tx: &mut TenantTx, overlap: &PgInterval) -> DbResult<Option<Progress>> {
    sqlx::query!(
        "insert into scoring_progress (tenant_id, told_through, pass_due_at) values ($1, now() - $2::interval, now())
         on conflict (tenant_id) do nothing",
        tx.tenant(),
        overlap.clone(),
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

/// Notes how far it has come: to that place, if it stopped at one, but never beyond what may still be committed. A place among
/// what is so young is forgotten, and the next tick finds the rest. Answers whether there is more to do now.
async fn move_on(
    tx: &mut TenantTx,
    place: Option<(Uuid, DateTime<Utc>)>,
    overlap: PgInterval,
) -> DbResult<bool> {
    let more = sqlx::query_scalar!(
        r#"update scoring_progress
              set told_through = case when $2::timestamptz <= now() - $3::interval then $2
                                      else greatest(told_through, now() - $3::interval) end,
                  told_lead = case when $2::timestamptz <= now() - $3::interval then $4::uuid end
            where tenant_id = $1
           returning told_lead is not null as "more!""#,
        tx.tenant(),
        place.map(|(_, at)| at),
        overlap,
        place.map(|(lead, _)| lead),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(more)
}

/// Notes how far the daily turn has come: to that lead, or to its end.
async fn pass_on(tx: &mut TenantTx, place: Option<Uuid>) -> DbResult<()> {
    sqlx::query!(
        "update scoring_progress
            set pass_cursor = $2, pass_due_at = case when $2::uuid is null then now() + interval '1 day' else pass_due_at end
          where tenant_id = $1",
        tx.tenant(),
        place,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
