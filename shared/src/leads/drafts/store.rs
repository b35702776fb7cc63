//! Drafts in the database.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, to_value};
use uuid::Uuid;

use super::Draft;
use crate::{
    assignment::{self, Assigned},
    db::{DbError, DbResult, TenantTx},
    events::{EventKind, NewEvent, emit},
    http::Problem,
    ids::new_id,
    leads::{Lead, UpdatedLead, consents, find::query_leads, update::query_changes},
    private::Private,
};

/// Events that are told by one statement.
const TOLD_AT_ONCE: usize = 500;

/// Reads leads and holds them until the end of the transaction, those in the bin or the others.
pub(in crate::leads) async fn load(
    tx: &mut TenantTx,
    ids: &[Uuid],
    in_bin: bool,
) -> DbResult<HashMap<Uuid, Lead>> {
    let leads = query_leads!(
        "",
        "from leads l where l.tenant_id = $1 and l.id = any ($2) and (l.deleted_at is not null) = $3
            and l.merged_into_id is null and (not $3 or l.erased_at is null)
          order by l.id
            for no key update of l",
        tx.tenant(),
        ids,
        in_bin,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(leads.into_iter().map(|lead| (lead.id, lead)).collect())
}

/// Who writes, and how it is told.
#[derive(Clone, Copy, Debug)]
pub(in crate::leads) struct Author {
    /// (kind, id) for activities.
    pub(in crate::leads) actor: (&'static str, Option<Uuid>),
    /// Who says so, in events.
    pub(in crate::leads) source: &'static str,
}

/// Writes drafts and tells what happened.
pub(in crate::leads) async fn write(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    drafts: &[&Draft],
    author: Author,
) -> DbResult<()> {
    let made: Vec<&Draft> = drafts.iter().copied().filter(|draft| draft.is_new).collect();
    let changed: Vec<&Draft> =
        drafts.iter().copied().filter(|draft| !draft.is_new && draft.is_changed).collect();
    let mut events = Vec::new();
    if !made.is_empty() {
        for lead in insert(tx, now, &made, author.actor).await? {
            let payload = to_value(&lead).map_err(|error| unwritable(&error))?;
            events.push(NewEvent::by_api(EventKind::LeadCreated, now, lead.id, Some(lead.id), payload));
        }
    }
    add_identities(tx, drafts).await?;
    if !changed.is_empty() {
        let mut assigned = Vec::new();
        for updated in update(tx, now, &changed, author.actor).await? {
            assigned.extend(updated.former_owner().map(|previous| Assigned {
                lead_id: updated.lead.id,
                owner: updated.lead.owner_id,
                previous,
                policy_id: None,
                absent: Vec::new(),
                actor: author.actor,
            }));
            events.extend(updated.events(now).map_err(|problem| defect(&problem))?);
        }
        assignment::note(tx, now, &assigned).await?;
    }
    add_consents(tx, now, drafts, author.actor).await?;
    tell(tx, events, author.source).await
}

async fn tell(tx: &mut TenantTx, mut events: Vec<NewEvent>, source: &'static str) -> DbResult<()> {
    for event in &mut events {
        event.source = source;
    }
    for told in events.chunks(TOLD_AT_ONCE) {
        emit(tx, told).await?;
    }
    Ok(())
}

fn unwritable(error: &serde_json::Error) -> DbError {
    DbError::Defect(error.to_string())
}

fn defect(problem: &Problem) -> DbError {
    DbError::Defect(problem.code().to_owned())
}

fn rows(drafts: &[&Draft]) -> DbResult<Value> {
    drafts.iter().map(|draft| to_value(&draft.lead).map_err(|error| unwritable(&error))).collect()
}

async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    drafts: &[&Draft],
    actor: (&str, Option<Uuid>),
) -> DbResult<Vec<Lead>> {
    let leads = query_leads!(
        r#"with given as (
             select * from jsonb_to_recordset($2::jsonb)
                 as g (id uuid, status text, source text, "firstName" text, "lastName" text, email text, phone text, "ownerId" uuid,
                       "stageId" uuid, "wonReason" text, "lostReason" text, value bigint, currency text, tags text[], "customFields" jsonb,
                       timezone text, locale text, "firstTouch" jsonb, "lastTouch" jsonb, "createdAt" timestamptz,
                       "lastActivityAt" timestamptz)
         ), l as (
             insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, owner_id, stage_id, stage_entered_at,
                                won_reason, lost_reason, value, currency, tags, custom_fields, timezone, locale, first_touch, last_touch,
                                last_activity_at, created_at, updated_at)
             select $1, id, status, source, "firstName", "lastName", email, phone, "ownerId", "stageId",
                    case when "stageId" is not null then $3::timestamptz end, "wonReason", "lostReason", value, currency, tags,
                    "customFields", timezone, locale, "firstTouch", "lastTouch", "lastActivityAt", "createdAt", $3
               from given
             returning *
         ), activity as (
             insert into activities (tenant_id, id, lead_id, kind, title, actor_kind, actor_id, occurred_at)
             select $1, new_id(), id, 'system', 'Lead created', $4, $5, $3 from given
         )"#,
        "from l",
        tx.tenant(),
        rows(drafts)?,
        now,
        actor.0,
        actor.1,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(leads)
}

async fn update(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    drafts: &[&Draft],
    actor: (&str, Option<Uuid>),
) -> DbResult<Vec<UpdatedLead>> {
    let updated = query_changes!(
        r#"with given as (
             select * from jsonb_to_recordset($2::jsonb)
                 as g (id uuid, status text, source text, "firstName" text, "lastName" text, email text, phone text, "ownerId" uuid,
                       "stageId" uuid, "wonReason" text, "lostReason" text, value bigint, currency text, tags text[], "customFields" jsonb,
                       timezone text, locale text, "firstTouch" jsonb, "lastTouch" jsonb)
         ), old as (
             select o.id, o.version, o.stage_id, o.stage_entered_at, lead_facts(o) as facts
               from given g join leads o on o.tenant_id = $1 and o.id = g.id
              where o.deleted_at is null and o.merged_into_id is null
                for update of o
         ), moved as (
             insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind, actor_id, occurred_at)
             select $1, new_id(), old.id, 'stage', 'Stage changed',
                    jsonb_strip_nulls(jsonb_build_object(
                        'secondsInStage', extract(epoch from $3::timestamptz - old.stage_entered_at)::bigint,
                        'reason', coalesce(g."wonReason", g."lostReason")))
                        || jsonb_build_object('fromStageId', old.stage_id, 'toStageId', g."stageId"), $4, $5, $3
               from old join given g on g.id = old.id
              where old.stage_id is distinct from g."stageId"
         ), l as (
             update leads set
                 status = g.status, source = g.source, first_name = g."firstName", last_name = g."lastName", email = g.email,
                 phone = g.phone, owner_id = g."ownerId", stage_id = g."stageId",
                 stage_entered_at = case when old.stage_id is distinct from g."stageId" then $3 else leads.stage_entered_at end,
                 last_activity_at = case when old.stage_id is distinct from g."stageId" then greatest(leads.last_activity_at, $3)
                                         else leads.last_activity_at end,
                 won_reason = g."wonReason", lost_reason = g."lostReason", value = g.value, currency = g.currency, tags = g.tags,
                 custom_fields = g."customFields", timezone = g.timezone, locale = g.locale, first_touch = g."firstTouch",
                 last_touch = g."lastTouch"
               from old join given g on g.id = old.id
              where leads.tenant_id = $1 and leads.id = old.id
             returning leads.*
         )"#,
        "from l join old on old.id = l.id",
        tx.tenant(),
        rows(drafts)?,
        now,
        actor.0,
        actor.1,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(updated)
}

async fn add_identities(tx: &mut TenantTx, drafts: &[&Draft]) -> DbResult<()> {
    let added = drafts.iter().flat_map(|draft| draft.added.iter().map(|added| (draft.lead.id, added)));
    let (mut ids, mut leads, mut kinds, mut values, mut primary) = (vec![], vec![], vec![], vec![], vec![]);
    for (lead, added) in added {
        ids.push(new_id());
        leads.push(lead);
        kinds.push(added.kind);
        values.push(added.value.as_str());
        primary.push(added.is_primary);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
         select $1, i.id, i.lead_id, i.kind, i.value, i.value, i.is_primary
           from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bool[]) as i (id, lead_id, kind, value, is_primary)",
        tx.tenant(),
        &ids,
        &leads,
        &kinds as &[&str],
        &values as &[&str],
        &primary,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn add_consents(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    drafts: &[&Draft],
    actor: (&str, Option<Uuid>),
) -> DbResult<()> {
    let mut entries = Vec::new();
    for draft in drafts.iter().filter(|draft| !draft.consents.is_empty()) {
        if let Value::Array(rows) = consents::rows(draft.consents.clone(), now, actor) {
            entries.extend(rows.into_iter().map(|mut row| {
                if let Some(fields) = row.as_object_mut() {
                    fields.insert("lead_id".to_owned(), draft.lead.id.to_string().into());
                }
                row
            }));
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, proof, effective_at, recorded_by)
         select $1, c.id, c.lead_id, c.channel, c.purpose, c.state, c.source, c.reason, c.proof, c.effective_at, c.recorded_by
           from jsonb_to_recordset($2::jsonb)
             as c (id uuid, lead_id uuid, channel text, purpose text, state text, source text, reason text, proof jsonb,
                   effective_at timestamptz, recorded_by uuid)",
        tx.tenant(),
        Value::Array(entries),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves leads to the bin, as `bin::archive` moves one.
pub(in crate::leads) async fn archive(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    ids: &[Uuid],
    source: &'static str,
) -> DbResult<usize> {
    let archived = query_leads!(
        "with parked as (
             update lead_identities i set normalized = 'bin:' || i.id || ':' || i.normalized
              where i.tenant_id = $1 and i.lead_id = any ($2)
         ), l as (
             update leads set deleted_at = $3
              where tenant_id = $1 and id = any ($2) and deleted_at is null and merged_into_id is null returning leads.*
         )",
        "from l",
        tx.tenant(),
        ids,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut events = Vec::new();
    for lead in &archived {
        let payload = to_value(lead).map_err(|error| unwritable(&error))?;
        events.push(NewEvent::by_api(EventKind::LeadDeleted, now, lead.id, Some(lead.id), payload));
    }
    tell(tx, events, source).await?;
    Ok(archived.len())
}

/// Those of the leads in the bin whose address or number somebody else has taken meanwhile.
pub(in crate::leads) async fn rivals(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<HashSet<Uuid>> {
    // Two in the bin may have had the same address one after the other; the first to come back gets it.
    let rivals = sqlx::query_scalar!(
        r#"with parked as (
               select i.lead_id, i.kind, substr(i.normalized, length('bin:' || i.id || ':') + 1) as value,
                      row_number() over (partition by i.kind, substr(i.normalized, length('bin:' || i.id || ':') + 1)
                                         order by i.lead_id) as place
                 from lead_identities i
                where i.tenant_id = $1 and i.lead_id = any ($2) and i.normalized like 'bin:%'
           )
           select distinct p.lead_id as "lead_id!" from parked p
            where p.place > 1
               or exists (select from lead_identities o
                           where o.tenant_id = $1 and o.kind = p.kind and o.normalized = p.value)"#,
        tx.tenant(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rivals.into_iter().collect())
}

/// Takes leads without rivals out of the bin, as `bin::restore` takes one.
pub(in crate::leads) async fn restore(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    ids: &[Uuid],
    source: &'static str,
) -> DbResult<usize> {
    let restored = query_changes!(
        "with old as (
             select o.id, o.version, lead_facts(o) || jsonb_build_object('deletedAt', o.deleted_at) as facts from leads o
              where o.tenant_id = $1 and o.id = any ($2) and o.deleted_at is not null and o.merged_into_id is null
                and o.erased_at is null
                for update
         ), unparked as (
             update lead_identities i set normalized = substr(i.normalized, length('bin:' || i.id || ':') + 1)
               from old where i.tenant_id = $1 and i.lead_id = old.id and i.normalized like 'bin:%'
         ), l as (
             update leads set deleted_at = null from old where leads.tenant_id = $1 and leads.id = old.id
             returning leads.*
         )",
        "from l join old on old.id = l.id",
        tx.tenant(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut events = Vec::new();
    for updated in &restored {
        events.extend(updated.events(now).map_err(|problem| defect(&problem))?);
    }
    tell(tx, events, source).await?;
    Ok(restored.len())
}
