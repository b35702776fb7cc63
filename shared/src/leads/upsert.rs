//! Making a lead, or finding out that we know the person already.
//!
//! Two callers that bring the same new person at the same moment both look, both find nothing, and both insert; the
//! unique index on identities lets one of them win and the other looks again. Nothing is checked first and trusted
//! later, so fifty parallel forms of one person end in one lead.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::Executor;
use uuid::Uuid;

use super::{IDENTITY_TAKEN, Identities, Lead, NewLead, find::query_leads, insert};
use crate::{
    db::{DbError, DbResult, TenantTx},
    ids::new_id,
};

/// Each round ends in a lead unless somebody deletes people as fast as we find them.
const ROUNDS: usize = 4;

/// What happens to the fields of a person who is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Only empty fields are filled: what a provider says does not overrule what colleagues have written.
    Fill,
    /// What is given wins: the caller means it.
    Overwrite,
}

/// What an upsert did.
#[derive(Clone, Debug, PartialEq)]
pub enum Upserted {
    /// A new lead.
    Created,
    /// A known one, with the former values of the fields that changed, if any did.
    Updated {
        /// Names as in the API.
        previous: Map<String, Value>,
    },
}

/// Makes the lead, or completes the one that has one of the identities (the e-mail address decides before the telephone
/// number). A further address or number of a known person is added to the lead and the primary one stays; one that
/// belongs to somebody else stays with them. A lead in the bin comes back. Tells no event: that is the caller's.
///
/// `actor` is (kind, id) for the activity of a new lead.
///
/// # Errors
/// `leads_owner_id_fkey` for an unknown owner.
pub async fn upsert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewLead,
    identities: &Identities,
    actor: (&str, Option<Uuid>),
    known: Known,
) -> DbResult<(Lead, Upserted)> {
    for _ in 0..ROUNDS {
        if let Some(before) = lock_known(tx, identities).await? {
            let after = complete(tx, now, before.id, new, identities, known).await?;
            let previous = former_values(&before, &after);
            return Ok((after, Upserted::Updated { previous }));
        }
        // A refused statement ends the transaction; the savepoint keeps what the caller has done before.
        tx.conn().execute("savepoint new_lead").await?;
        match insert(tx, now, new.clone(), identities, actor).await {
            Ok(lead) => return Ok((lead, Upserted::Created)),
            Err(error) if error.constraint() == Some(IDENTITY_TAKEN) => {
                tx.conn().execute("rollback to savepoint new_lead").await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(DbError::Contention("an identity was taken and given up again and again".to_owned()))
}

/// The fields that differ, with their former values; what changes with every touch is left out.
#[must_use]
pub fn former_values(before: &Lead, after: &Lead) -> Map<String, Value> {
    let fields = |lead: &Lead| match serde_json::to_value(lead) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let after = fields(after);
    let touched = ["updatedAt", "lastActivityAt"];
    fields(before)
        .into_iter()
        .filter(|(name, value)| !touched.contains(&name.as_str()) && after.get(name) != Some(value))
        .collect()
}

/// The lead that has one of the identities, held until the end of the transaction. Whoever waits for it while it is erased or
/// merged away finds nobody: the conditions are asked again of the row as it is when it is free, so no shell comes back to life.
async fn lock_known(tx: &mut TenantTx, identities: &Identities) -> DbResult<Option<Lead>> {
    let (kinds, values): (Vec<&str>, Vec<String>) = identities.pairs().into_iter().unzip();
    if kinds.is_empty() {
        return Ok(None);
    }
    let lead = query_leads!(
        "",
        "from (select i.lead_id
                 from unnest($2::text[], $3::text[]) with ordinality as given (kind, normalized, place)
                 join lead_identities i
                   on i.tenant_id = $1 and i.kind = given.kind and i.normalized = given.normalized
                order by given.place limit 1) owner
          join leads l on l.tenant_id = $1 and l.id = owner.lead_id
         where l.erased_at is null and l.merged_into_id is null
           for no key update of l",
        tx.tenant(),
        &kinds as &[&str],
        &values,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}

async fn complete(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    new: NewLead,
    identities: &Identities,
    known: Known,
) -> DbResult<Lead> {
    let (kinds, values): (Vec<&str>, Vec<String>) = identities.pairs().into_iter().unzip();
    let identity_ids: Vec<Uuid> = kinds.iter().map(|_| new_id()).collect();
    let tags: Vec<String> = new.tags.into_iter().map(crate::values::Tag::into_string).collect();
    let currency =
        new.currency.map_or_else(|| tx.settings().currency.clone(), crate::values::Currency::into_string);
    let lead = query_leads!(
        "with added as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, g.id, $2, g.kind, g.normalized, g.normalized,
                    not exists (select from lead_identities p
                                 where p.tenant_id = $1 and p.lead_id = $2 and p.kind = g.kind and p.is_primary)
               from unnest($3::uuid[], $4::text[], $5::text[]) as g (id, kind, normalized)
             on conflict (tenant_id, kind, normalized) do nothing
             returning kind, normalized, is_primary
         ), l as (
             update leads set
                 email = coalesce((select normalized from added where kind = 'email' and is_primary), email),
                 phone = coalesce((select normalized from added where kind = 'phone' and is_primary), phone),
                 first_name = case when $6 then coalesce($7, first_name) else coalesce(first_name, $7) end,
                 last_name = case when $6 then coalesce($8, last_name) else coalesce(last_name, $8) end,
                 source = case when $6 then coalesce($9, source) else coalesce(source, $9) end,
                 status = case when $6 then coalesce($10, status) else status end,
                 owner_id = case when $6 then coalesce($11, owner_id) else coalesce(owner_id, $11) end,
                 value = case when $6 then coalesce($16, value) else coalesce(value, $16) end,
                 currency = case when coalesce(value, $16) is null then null
                                 when $16 is not null and ($6 or value is null) then $17 else currency end,
                 tags = array(select distinct tag from unnest(tags || $12::text[]) as tag order by tag),
                 custom_fields = case when $6 then custom_fields || $13 else $13 || custom_fields end,
                 first_touch = coalesce(first_touch, $14),
                 -- A visit that is heard of late is not the latest.
                 last_touch = case when $14::jsonb is null or condition_instant($14 -> 'at') < condition_instant(last_touch -> 'at')
                                   then last_touch else $14 end,
                 last_activity_at = greatest(last_activity_at, $15),
                 deleted_at = null
              where tenant_id = $1 and id = $2
             returning *
         )",
        "from l",
        tx.tenant(),
        lead,
        &identity_ids,
        &kinds as &[&str],
        &values,
        known == Known::Overwrite,
        new.first_name.map(crate::values::Line::into_string),
        new.last_name.map(crate::values::Line::into_string),
        new.source.map(crate::values::Word::into_string),
        new.status.map(crate::values::Word::into_string),
        new.owner_id,
        &tags,
        Value::Object(new.custom_fields),
        new.first_touch.map(Value::Object),
        now,
        new.value,
        currency,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(lead)
}
