//! Doing it, portion by portion.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::BulkOp;
use crate::{
    automations::{self, Execute},
    db::{DbResult, TenantTx},
    jobs::{JobActor, Progress, RowError},
    leads::{
        Definitions, Lead, LeadChange, LeadFilter, MAX_TAGS, consents,
        drafts::{self, Author, Draft},
        list::push_filter,
    },
    segments,
};

/// Writes down who is meant, and says how many that are.
///
/// # Errors
/// When the database refuses.
pub async fn begin(tx: &mut TenantTx, job: Uuid, filter: &LeadFilter, actor: &JobActor) -> DbResult<i64> {
    let tenant = tx.tenant();
    let mut insert = QueryBuilder::new("insert into job_leads (tenant_id, job_id, seq, lead_id) select ");
    insert.push_bind(tenant).push(", ").push_bind(job);
    insert.push(", row_number() over (order by l.created_at, l.id), l.id from leads l");
    push_filter(&mut insert, tenant, filter, actor.owners.as_deref());
    let chosen = insert.build().execute(tx.conn()).await?;
    Ok(i64::try_from(chosen.rows_affected()).unwrap_or(i64::MAX))
}

/// Does it to those whose numbers are in `(after, after + count]`, and says what that came to; `None` when there is nobody left.
///
/// # Errors
/// When the database refuses.
pub async fn portion(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (job, actor): (Uuid, &JobActor),
    op: &BulkOp,
    (after, count): (i32, i32),
) -> DbResult<Option<(Progress, Vec<RowError>)>> {
    let ids = sqlx::query_scalar!(
        "select lead_id from job_leads where tenant_id = $1 and job_id = $2 and seq > $3 and seq <= $4 order by seq",
        tx.tenant(),
        job,
        after,
        after.saturating_add(count),
    )
    .fetch_all(tx.conn())
    .await?;
    if ids.is_empty() {
        return Ok(None);
    }
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
        BulkOp::Enrol(automation) => {
            let request = Execute { lead_ids: mine, ..Execute::default() };
            automations::execute(tx, *automation, &request, actor.owners.as_deref()).await?.run_ids.len()
        }
    };
    let failed = errors.len();
    let done = Progress {
        created: 0,
        updated: number(updated),
        skipped: number(ids.len() - updated - failed),
        failed: number(failed),
    };
    Ok(Some((done, errors)))
}

/// Refuses the next lead instead: whatever was tried with it did not work.
///
/// # Errors
/// When the database refuses.
pub async fn give_up(
    tx: &mut TenantTx,
    job: Uuid,
    after: i32,
) -> DbResult<Option<(Progress, Vec<RowError>)>> {
    let lead = sqlx::query_scalar!(
        "select lead_id from job_leads where tenant_id = $1 and job_id = $2 and seq = $3",
        tx.tenant(),
        job,
        after.saturating_add(1),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead.map(|lead| {
        let error = refused(lead, "not_applied", "The database refused to change this lead.");
        (Progress { failed: 1, ..Progress::default() }, vec![error])
    }))
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
    author: Author<'_>,
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
