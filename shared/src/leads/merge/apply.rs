//! The merge itself.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MergeRequest, fields};
use crate::{
    auth::Owners,
    db::{DbError, DbResult, TenantTx},
    ids::new_id,
    leads::{UpdatedLead, update::query_changes},
    private::Private,
};

/// Why leads were not merged.
#[derive(Debug)]
pub enum MergeRefusal {
    /// One of them is not there, or not the caller's.
    Unknown(Uuid),
    /// The database refused.
    Database(DbError),
}

impl From<DbError> for MergeRefusal {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::Error> for MergeRefusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Merges leads, each of which the caller must be allowed to see. `actor` is (kind, id) for the activity.
///
/// # Errors
/// [`MergeRefusal`].
pub async fn merge(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    request: &MergeRequest,
    own_records_of: Owners<'_>,
    actor: (&str, Option<Uuid>),
) -> Result<Vec<UpdatedLead>, MergeRefusal> {
    lock(tx, request, own_records_of).await?;
    let mut steps = Vec::new();
    for absorbed in &request.absorbed_ids {
        steps.push(absorb(tx, now, request, *absorbed, actor).await?);
    }
    Ok(steps)
}

/// In order of their ids, so that two merges never wait for each other.
async fn lock(
    tx: &mut TenantTx,
    request: &MergeRequest,
    own_records_of: Owners<'_>,
) -> Result<(), MergeRefusal> {
    let ids: Vec<Uuid> = [request.survivor_id].iter().chain(&request.absorbed_ids).copied().collect();
    let found = sqlx::query_scalar!(
        "select id from leads
          where tenant_id = $1 and id = any($2) and deleted_at is null and merged_into_id is null and erased_at is null
            and ($3::uuid[] is null or owner_id = any ($3))
          order by id for update",
        tx.tenant(),
        &ids,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    match ids.into_iter().find(|id| !found.contains(id)) {
        Some(missing) => Err(MergeRefusal::Unknown(missing)),
        None => Ok(()),
    }
}

async fn absorb(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    request: &MergeRequest,
    absorbed: Uuid,
    actor: (&str, Option<Uuid>),
) -> DbResult<UpdatedLead> {
    let survivor = request.survivor_id;
    let merge = new_id();
    let snapshot = record(tx, merge, survivor, absorbed, actor.1).await?;
    keep_refusals(tx, now, merge, survivor, &snapshot).await?;
    let chosen: Vec<&str> = ["email", "phone"]
        .into_iter()
        .filter(|kind| request.field_choices.get(*kind) == Some(&absorbed))
        .collect();
    let primaries = snapshot.get("primaries").cloned().unwrap_or_default();
    settle_primaries(tx, survivor, &chosen, &primaries).await?;
    let (before, other) = (snapshot.get("survivor"), snapshot.get("absorbed"));
    let empty = Value::Null;
    let columns =
        fields::merged(before.unwrap_or(&empty), other.unwrap_or(&empty), absorbed, &request.field_choices);
    write(tx, now, (merge, survivor, absorbed), columns.into(), actor).await
}

/// Writes down what both look like, and moves the rows.
async fn record(
    tx: &mut TenantTx,
    merge: Uuid,
    survivor: Uuid,
    absorbed: Uuid,
    merged_by: Option<Uuid>,
) -> DbResult<Value> {
    let snapshot = sqlx::query_scalar!(
        "insert into lead_merges (tenant_id, id, survivor_id, absorbed_id, merged_by, snapshot)
         select $1, $2, $3, $4, $5, jsonb_build_object(
                    'survivor', to_jsonb(s) - 'search_text', 'absorbed', to_jsonb(a) - 'search_text',
                    'primaries', (select coalesce(jsonb_agg(i.id), '[]') from lead_identities i
                                   where i.tenant_id = $1 and i.lead_id in ($3, $4) and i.is_primary),
                    'refusals', (select coalesce(jsonb_agg(latest), '[]') from (
                                     select distinct on (c.lead_id, c.purpose, c.channel) c.purpose, c.channel, c.state from consents c
                                      where c.tenant_id = $1 and c.lead_id in ($3, $4)
                                      order by c.lead_id, c.purpose, c.channel, c.effective_at desc, c.id desc) latest
                                  where latest.state <> 'granted'))
           from leads s, leads a
          where s.tenant_id = $1 and s.id = $3 and a.tenant_id = $1 and a.id = $4
         returning snapshot",
        tx.tenant(),
        merge,
        survivor,
        absorbed,
        merged_by,
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!(
        "update lead_merges set snapshot = snapshot || jsonb_build_object('moved', move_lead_rows($4, $3))
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        merge,
        survivor,
        absorbed,
    )
    .execute(tx.conn())
    .await?;
    Ok(snapshot)
}

/// A no of either is a no of the person, even where the other's later word was yes.
async fn keep_refusals(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    merge: Uuid,
    survivor: Uuid,
    snapshot: &Value,
) -> DbResult<()> {
    sqlx::query!(
        "with refused as (
             select distinct on (r.purpose, r.channel) r.purpose, r.channel, r.state
               from jsonb_to_recordset($4) as r (purpose text, channel text, state text)
              order by r.purpose, r.channel, r.state desc
         ), added as (
             insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, effective_at)
             select $1, new_id(), $3, r.channel, r.purpose, r.state, 'merge', 'The stricter word of two merged leads', $5
               from refused r
              where (select c.state from consents c
                      where c.tenant_id = $1 and c.lead_id = $3 and c.purpose = r.purpose and c.channel is not distinct from r.channel
                      order by c.effective_at desc, c.id desc limit 1) = 'granted'
             returning id
         )
         update lead_merges
            set snapshot = snapshot || jsonb_build_object('consents', (select coalesce(jsonb_agg(id), '[]') from added))
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        merge,
        survivor,
        snapshot.get("refusals").cloned().unwrap_or_else(|| json!([])),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One primary address and number: the chosen one, else the survivor's, else the absorbed one's.
async fn settle_primaries(
    tx: &mut TenantTx,
    survivor: Uuid,
    chosen: &[&str],
    primaries: &Value,
) -> DbResult<()> {
    sqlx::query!(
        "with former as (
             update lead_identities i set is_primary = false
              where i.tenant_id = $1 and i.lead_id = $2 and i.is_primary and i.kind = any($3)
                and exists (select from lead_identities o
                             where o.tenant_id = $1 and o.lead_id = $2 and o.kind = i.kind and not o.is_primary
                               and o.id::text in (select jsonb_array_elements_text($4)))
             returning i.id
         )
         update lead_identities i set is_primary = true
          where i.tenant_id = $1 and i.lead_id = $2 and not i.is_primary
            and i.id::text in (select jsonb_array_elements_text($4)) and (select count(*) from former) >= 0
            and (i.kind = any($3) or not exists (select from lead_identities p
                                                  where p.tenant_id = $1 and p.lead_id = $2 and p.kind = i.kind and p.is_primary))",
        tx.tenant(),
        survivor,
        chosen as &[&str],
        primaries,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes the survivor's new values, points the absorbed lead to it, and notes what both look like now.
async fn write(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (merge, survivor, absorbed): (Uuid, Uuid, Uuid),
    columns: Value,
    actor: (&str, Option<Uuid>),
) -> DbResult<UpdatedLead> {
    let updated = query_changes!(
        "with old as (
             select o.version, lead_facts(o) as facts from leads o where o.tenant_id = $1 and o.id = $2
         ), primary_values as (
             select max(i.normalized) filter (where i.kind = 'email') as email,
                    max(i.normalized) filter (where i.kind = 'phone') as phone
               from lead_identities i where i.tenant_id = $1 and i.lead_id = $2 and i.is_primary
         ), gone as (
             update leads set merged_into_id = $2 where tenant_id = $1 and id = $3
         ), told as (
             insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind, actor_id, occurred_at)
             values ($1, new_id(), $2, 'system', 'Leads merged', jsonb_build_object('absorbedId', $3::uuid), $6, $7, $8)
         ), l as (
             update leads s set email = p.email, phone = p.phone, first_name = r.first_name, last_name = r.last_name,
                    status = r.status, source = r.source, owner_id = r.owner_id, stage_id = r.stage_id,
                    stage_entered_at = r.stage_entered_at, won_reason = r.won_reason, lost_reason = r.lost_reason,
                    value = r.value, currency = r.currency, timezone = r.timezone, locale = r.locale, score_given = r.score_given,
                    first_touch = r.first_touch, last_touch = r.last_touch, tags = r.tags, custom_fields = r.custom_fields,
                    last_inbound_at = r.last_inbound_at, last_activity_at = r.last_activity_at
               from primary_values p, jsonb_populate_record(null::leads, $5) r
              where s.tenant_id = $1 and s.id = $2
             returning s.*
         ), noted as (
             update lead_merges m set snapshot = m.snapshot || jsonb_build_object('merged', to_jsonb(l) - 'search_text')
               from l where m.tenant_id = $1 and m.id = $4
         )",
        "from l, old",
        tx.tenant(),
        survivor,
        absorbed,
        merge,
        columns,
        actor.0,
        actor.1,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(updated)
}
