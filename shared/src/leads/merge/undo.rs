//! The way back.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    leads::{UpdatedLead, update::query_changes},
    private::Private,
};

/// Makes an absorbed lead itself again: the rows that came with it go back, and each field of the survivor that is still as
/// the merge left it is again as it was before. What happened since stays with the survivor. `None` when the one has not
/// absorbed the other. `actor` is (kind, id) for the activity.
///
/// # Errors
/// When the database refuses.
pub async fn unmerge(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    survivor: Uuid,
    absorbed: Uuid,
    own_records_of: Owners<'_>,
    actor: (&str, Option<Uuid>),
) -> DbResult<Option<(UpdatedLead, UpdatedLead)>> {
    let Some((merge, snapshot)) = take(tx, now, survivor, absorbed, own_records_of).await? else {
        return Ok(None);
    };
    give_back(tx, merge, survivor, absorbed).await?;
    let primaries = snapshot.get("primaries").cloned().unwrap_or_default();
    restore_primaries(tx, survivor, absorbed, &primaries).await?;
    let kept = restore(tx, now, (survivor, absorbed), &snapshot, actor).await?;
    let returned = restore(tx, now, (absorbed, survivor), &Value::Null, actor).await?;
    Ok(Some((kept, returned)))
}

async fn take(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    survivor: Uuid,
    absorbed: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<(Uuid, Value)>> {
    let taken = sqlx::query!(
        "update lead_merges m set undone_at = $4
           from leads s, leads a
          where m.tenant_id = $1 and m.survivor_id = $2 and m.absorbed_id = $3 and m.undone_at is null
            and m.snapshot ? 'merged'
            and s.tenant_id = $1 and s.id = $2 and s.deleted_at is null and s.merged_into_id is null
            and ($5::uuid[] is null or s.owner_id = any ($5))
            and a.tenant_id = $1 and a.id = $3 and a.merged_into_id = $2
         returning m.id, m.snapshot",
        tx.tenant(),
        survivor,
        absorbed,
        now,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(taken.map(|row| (row.id, row.snapshot)))
}

async fn give_back(tx: &mut TenantTx, merge: Uuid, survivor: Uuid, absorbed: Uuid) -> DbResult<()> {
    sqlx::query!(
        r#"with unsaid as (
             delete from consents c using lead_merges m
              where m.tenant_id = $1 and m.id = $2 and c.tenant_id = $1
                and c.id::text in (select jsonb_array_elements_text(m.snapshot -> 'consents'))
         )
         select move_lead_rows($3, $4, m.snapshot -> 'moved') as "moved!" from lead_merges m where m.tenant_id = $1 and m.id = $2"#,
        tx.tenant(),
        merge,
        survivor,
        absorbed,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(())
}

/// The primary identities are those from before; where one is gone, the oldest of its kind is.
async fn restore_primaries(
    tx: &mut TenantTx,
    survivor: Uuid,
    absorbed: Uuid,
    primaries: &Value,
) -> DbResult<()> {
    let leads = [survivor, absorbed];
    sqlx::query!(
        "update lead_identities set is_primary = false where tenant_id = $1 and lead_id = any($2) and is_primary",
        tx.tenant(),
        &leads,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update lead_identities set is_primary = true
          where tenant_id = $1 and id in (
                select distinct on (i.lead_id, i.kind) i.id from lead_identities i
                 where i.tenant_id = $1 and i.lead_id = any($2) and i.kind in ('email', 'phone')
                 order by i.lead_id, i.kind, (i.id::text in (select jsonb_array_elements_text($3))) desc, i.created_at, i.id)",
        tx.tenant(),
        &leads,
        primaries,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes one of the two as it was. With a snapshot, the columns that are still as the merge left them change back.
async fn restore(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (lead, other): (Uuid, Uuid),
    snapshot: &Value,
    actor: (&str, Option<Uuid>),
) -> DbResult<UpdatedLead> {
    let updated = query_changes!(
        "with old as (
             select o.version, lead_facts(o) as facts from leads o where o.tenant_id = $1 and o.id = $2
         ), primary_values as (
             select max(i.normalized) filter (where i.kind = 'email') as email,
                    max(i.normalized) filter (where i.kind = 'phone') as phone
               from lead_identities i where i.tenant_id = $1 and i.lead_id = $2 and i.is_primary
         ), former as (
             select coalesce(jsonb_object_agg(f.key, f.value), '{}') as columns
               from leads c, jsonb_each($4::jsonb -> 'survivor') as f
              where c.tenant_id = $1 and c.id = $2 and to_jsonb(c) -> f.key = $4 -> 'merged' -> f.key
         ), told as (
             insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind, actor_id, occurred_at)
             values ($1, new_id(), $2, 'system', 'Merge undone', jsonb_build_object('otherId', $3::uuid), $5, $6, $7)
         ), l as (
             update leads s set email = p.email, phone = p.phone, merged_into_id = null, first_name = r.first_name,
                    last_name = r.last_name, status = r.status, source = r.source, owner_id = r.owner_id, stage_id = r.stage_id,
                    stage_entered_at = r.stage_entered_at, won_reason = r.won_reason, lost_reason = r.lost_reason,
                    value = r.value, currency = r.currency, timezone = r.timezone, locale = r.locale, 
                    score_given = s.score_given - coalesce(($4 -> 'absorbed' ->> 'score_given')::int, 0),
                    first_touch = r.first_touch, last_touch = r.last_touch, tags = r.tags, custom_fields = r.custom_fields
               from primary_values p, leads now_is, former f, jsonb_populate_record(now_is, f.columns) r
              where s.tenant_id = $1 and s.id = $2 and now_is.tenant_id = $1 and now_is.id = $2
             returning s.*
         )",
        "from l, old",
        tx.tenant(),
        lead,
        other,
        snapshot,
        actor.0,
        actor.1,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(updated)
}
