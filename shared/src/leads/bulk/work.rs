//! Doing it, portion by portion.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::BulkOp;
use crate::{
    automations::{self, Execute},
    db::{DbResult, TenantTx},
    jobs::{JobActor, JobTrouble, Progress, RowError},
    leads::{
        Definitions, Lead, LeadChange, LeadFilter, MAX_TAGS, consents,
        drafts::{self, Author, Draft},
        search::Narrowed,
    },
    segments,
};

/// Writes down who is meant, and says how many that are.
///
/// # Errors
/// When the database refuses.
pub async fn begin(tx: &mut TenantTx, job: Uuid, filter: &LeadFilter, actor: &JobActor) -> DbResult<i64> {
    let (tenant, mut total, mut after) = (tx.tenant(), 0, None);
    loop {
        let narrowed = Narrowed::behind(tx, filter, after, 0).await?;
        let mut insert = QueryBuilder::new("insert into job_leads (tenant_id, job_id, seq, lead_id) select ");
        insert.push_bind(tenant).push(", ").push_bind(job).push(", ").push_bind(total);
        insert.push(" + row_number() over (order by l.created_at, l.id), l.id from leads l");
        narrowed.push(&mut insert, tenant, actor.owners.as_deref());
        let chosen = insert.build().execute(tx.conn()).await?;
        total += i64::try_from(chosen.rows_affected()).unwrap_or(i64::MAX);
        after = narrowed.rest;
        if after.is_none() {
            return Ok(total);
        }
    }
}

/// What a portion came to.
#[derive(Debug)]
pub enum Portion {
    /// It was done, as far as to the lead with this number.
    Done(i32, Progress, Vec<RowError>),
    /// What is to be done can be done no more.
    Refused(JobTrouble),
    /// There is nobody left.
    End,
}

/// Does it to the next `count` behind the number `after`, and says what that came to. Numbers have gaps where somebody was erased; whoever stood there is
/// skipped.
///
/// # Errors
/// When the database refuses.
pub async fn portion(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (job, actor): (Uuid, &JobActor),
    op: &BulkOp,
    (after, count): (i32, i32),
) -> DbResult<Portion> {
    let chosen = next(tx, job, after, count).await?;
    let Some((last, _)) = chosen.last().copied() else { return Ok(Portion::End) };
    let ids: Vec<Uuid> = chosen.into_iter().map(|(_, lead)| lead).collect();
    // Who was in the bin or changed hands meanwhile is left alone.
    let mut found = drafts::load(tx, &ids, matches!(op, BulkOp::Restore)).await?;
    found.retain(|_, lead| actor.sees(lead.owner_id));
    let mine: Vec<Uuid> = ids.iter().copied().filter(|id| found.contains_key(id)).collect();
    let author = Author { actor: actor.named(), source: "api" };
    let mut errors = Vec::new();
    let updated = match op {
        BulkOp::Change(change) => change_all(tx, now, (&mine, found), change, author, &mut errors).await?,
        BulkOp::Delete => drafts::archive(tx, now, &mine, author.source).await?,
        BulkOp::Restore => {
            let rivals = drafts::rivals(tx, &mine).await?;
            let free: Vec<Uuid> = mine.iter().copied().filter(|id| !rivals.contains(id)).collect();
            let detail = "Another lead has the e-mail address or telephone number by now.";
            let taken = mine.iter().filter(|id| rivals.contains(*id));
            errors.extend(taken.map(|id| refused(*id, "lead_exists", detail)));
            drafts::restore(tx, now, &free, author.source).await?
        }
        BulkOp::Join(segment) => segments::add_members(tx, now, *segment, &mine).await?,
        BulkOp::Leave(segment) => segments::remove_members(tx, now, *segment, &mine).await?,
        BulkOp::Enrol(automation) => match enrol(tx, *automation, mine, actor).await? {
            Some(begun) => begun,
            None => return Ok(Portion::Refused(not_active())),
        },
    };
    let failed = errors.len();
    let done = Progress {
        created: 0,
        updated: number(updated),
        skipped: last - after - number(updated + failed),
        failed: number(failed),
    };
    Ok(Portion::Done(last, done, errors))
}

/// Those behind a number, with their own.
async fn next(tx: &mut TenantTx, job: Uuid, after: i32, count: i32) -> DbResult<Vec<(i32, Uuid)>> {
    let rows = sqlx::query!(
        "select seq, lead_id from job_leads where tenant_id = $1 and job_id = $2 and seq > $3 order by seq limit $4",
        tx.tenant(),
        job,
        after,
        i64::from(count),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.seq, row.lead_id)).collect())
}

/// Begins a run with each whom the rule of re-entry lets in, and says how many; none once the automation has been paused or is gone.
async fn enrol(
    tx: &mut TenantTx,
    automation: Uuid,
    lead_ids: Vec<Uuid>,
    actor: &JobActor,
) -> DbResult<Option<usize>> {
    if automations::find(tx, automation).await?.is_none_or(|found| found.status != "active") {
        return Ok(None);
    }
    // Named nobody, it would begin a run that is about nobody.
    if lead_ids.is_empty() {
        return Ok(Some(0));
    }
    let request = Execute { lead_ids, ..Execute::default() };
    let executed = automations::execute(tx, automation, &request, actor.owners.as_deref()).await?;
    Ok(Some(executed.run_ids.len()))
}

fn not_active() -> JobTrouble {
    JobTrouble {
        code: "not_active".to_owned(),
        detail: "The automation was paused or deleted before everybody was in it.".to_owned(),
    }
}

/// Refuses the next lead instead: whatever was tried with it did not work.
///
/// # Errors
/// When the database refuses.
pub async fn give_up(tx: &mut TenantTx, job: Uuid, after: i32) -> DbResult<Portion> {
    let Some((last, lead)) = next(tx, job, after, 1).await?.first().copied() else { return Ok(Portion::End) };
    let error = refused(lead, "not_applied", "The database refused to change this lead.");
    let done = Progress { failed: 1, skipped: last - after - 1, ..Progress::default() };
    Ok(Portion::Done(last, done, vec![error]))
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn refused(lead: Uuid, code: &'static str, detail: &'static str) -> RowError {
    RowError::of_row(None, code, detail).with_value(&lead.to_string())
}

async fn change_all(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (ids, mut found): (&[Uuid], HashMap<Uuid, Lead>),
    change: &LeadChange,
    author: Author,
    errors: &mut Vec<RowError>,
) -> DbResult<usize> {
    let currency = tx.settings().currency.clone();
    let agreed = agreed(tx, ids, change).await?;
    let mut changed = Vec::new();
    for id in ids {
        let Some(lead) = found.remove(id) else { continue };
        let tags_before = lead.tags.len();
        let mut draft = Draft::of(lead);
        draft.apply(change, &currency);
        if draft.lead.tags.len() > MAX_TAGS.max(tags_before) {
            errors.push(refused(*id, "too_many_values", "A lead has at most 50 tags.").in_column("tags"));
        } else if draft.lead.currency.is_some() && draft.lead.value.is_none() {
            errors.push(refused(*id, "required", "A currency needs a value.").in_column("value"));
        } else if agreed.as_ref().is_some_and(|agreed| !agreed.contains(id)) {
            let detail = "Health data needs the person's consent with purpose `health`.";
            errors.push(refused(*id, "health_consent_required", detail).in_column("customFields"));
        } else if draft.is_changed {
            changed.push(draft);
        }
    }
    let changed: Vec<&Draft> = changed.iter().collect();
    drafts::write(tx, now, &changed, author).await?;
    Ok(changed.len())
}

/// Those who agreed to health data, when the change holds any.
async fn agreed(tx: &mut TenantTx, ids: &[Uuid], change: &LeadChange) -> DbResult<Option<HashSet<Uuid>>> {
    if change.custom.is_empty() || Definitions::load(tx).await?.health_key(&change.custom).is_none() {
        return Ok(None);
    }
    let states = consents::latest(tx, ids).await?;
    let granted =
        |((_, purpose), state): (&(String, String), &String)| purpose == "health" && state == "granted";
    Ok(Some(states.into_iter().filter(|(_, said)| said.iter().any(granted)).map(|(lead, _)| lead).collect()))
}
