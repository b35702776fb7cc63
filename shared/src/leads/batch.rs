//! Many leads at once, in a bounded number of statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{IDENTITY_TAKEN, Identities, Lead, NewLead, consents, find::query_leads, model::tag_words};
use crate::{
    db::{DbResult, TenantTx},
    ids::new_id,
};

/// What became of one lead of a batch.
#[derive(Clone, Debug)]
pub enum BatchResult {
    /// It was made.
    Created(Box<Lead>),
    /// A lead with the address or number exists, from before or from earlier in the batch.
    Exists(Uuid),
    /// There is no such colleague.
    UnknownOwner,
    /// The colleague is disabled.
    DisabledOwner,
}

/// Inserts those leads that are new, with their identities, consents and first activities, and says of each what became
/// of it, in order. Another request that takes an identity between the look-up and the insert makes it look again.
///
/// # Errors
/// [`IDENTITY_TAKEN`] when other requests were quicker three times.
pub async fn insert_all(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    items: &[(NewLead, Identities)],
    actor: (&str, Option<Uuid>),
) -> DbResult<Vec<BatchResult>> {
    let mut attempts = 1;
    loop {
        match attempt(tx, now, items, actor).await {
            Err(error) if error.constraint() == Some(IDENTITY_TAKEN) && attempts < 3 => {
                attempts += 1;
                tx.restart().await?;
            }
            result => return result,
        }
    }
}

async fn attempt(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    items: &[(NewLead, Identities)],
    actor: (&str, Option<Uuid>),
) -> DbResult<Vec<BatchResult>> {
    let mut known = leads_of_identities(tx, items).await?;
    let owners = owners(tx, items).await?;
    let mut results = Vec::with_capacity(items.len());
    let mut rows = Vec::new();
    for (new, identities) in items {
        let pairs = identities.pairs();
        if let Some(existing) = pairs.iter().find_map(|pair| known.get(pair)) {
            results.push(Err(BatchResult::Exists(*existing)));
        } else if new.owner_id.is_some_and(|owner| !owners.contains_key(&owner)) {
            results.push(Err(BatchResult::UnknownOwner));
        } else if new.owner_id.is_some_and(|owner| owners.get(&owner) == Some(&false)) {
            results.push(Err(BatchResult::DisabledOwner));
        } else {
            let id = new_id();
            rows.push(row(id, new, identities, now, actor));
            known.extend(pairs.into_iter().map(|pair| (pair, id)));
            results.push(Ok(id));
        }
    }
    let mut made: HashMap<Uuid, Lead> = if rows.is_empty() {
        HashMap::new()
    } else {
        insert_rows(tx, now, Value::Array(rows), actor).await?
    };
    Ok(results
        .into_iter()
        .filter_map(|result| match result {
            Ok(id) => made.remove(&id).map(|lead| BatchResult::Created(Box::new(lead))),
            Err(refused) => Some(refused),
        })
        .collect())
}

async fn leads_of_identities(
    tx: &mut TenantTx,
    items: &[(NewLead, Identities)],
) -> DbResult<HashMap<(&'static str, String), Uuid>> {
    let (kinds, values): (Vec<&'static str>, Vec<String>) =
        items.iter().flat_map(|(_, identities)| identities.pairs()).unzip();
    let found = sqlx::query!(
        r#"select given.place as "place!", i.lead_id
             from unnest($2::text[], $3::text[]) with ordinality as given (kind, normalized, place)
             join lead_identities i on i.tenant_id = $1 and i.kind = given.kind and i.normalized = given.normalized"#,
        tx.tenant(),
        &kinds as &[&str],
        &values,
    )
    .fetch_all(tx.conn())
    .await?;
    let pairs: Vec<(&'static str, String)> = kinds.into_iter().zip(values).collect();
    let at = |place: i64| pairs.get(usize::try_from(place - 1).ok()?).cloned();
    Ok(found.into_iter().filter_map(|row| Some((at(row.place)?, row.lead_id))).collect())
}

/// The colleagues who are named, and whether they can be given anything.
async fn owners(tx: &mut TenantTx, items: &[(NewLead, Identities)]) -> DbResult<HashMap<Uuid, bool>> {
    let wanted: Vec<Uuid> = items.iter().filter_map(|(new, _)| new.owner_id).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sqlx::query!(
        r#"select id, status <> 'disabled' as "enabled!" from users where tenant_id = $1 and id = any($2)"#,
        tx.tenant(),
        &wanted
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found.into_iter().map(|user| (user.id, user.enabled)).collect())
}

/// One lead as `jsonb_to_recordset` reads it.
fn row(
    id: Uuid,
    new: &NewLead,
    identities: &Identities,
    now: DateTime<Utc>,
    actor: (&str, Option<Uuid>),
) -> Value {
    let pairs: Vec<Value> = identities
        .pairs()
        .into_iter()
        .map(|(kind, value)| json!({"id": new_id(), "kind": kind, "value": value}))
        .collect();
    json!({
        "id": id, "status": new.status, "source": new.source, "first_name": new.first_name, "last_name": new.last_name,
        "email": identities.email, "phone": identities.phone.as_ref().map(crate::values::Phone::as_str),
        "owner_id": new.owner_id, "tags": tag_words(new.tags.clone()), "value": new.value, "currency": new.currency, "custom_fields": new.custom_fields,
        "first_touch": new.first_touch, "activity_id": new_id(), "identities": pairs,
        "consents": consents::rows(new.consents.clone(), now, actor),
    })
}

async fn insert_rows(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    rows: Value,
    actor: (&str, Option<Uuid>),
) -> DbResult<HashMap<Uuid, Lead>> {
    let currency = tx.settings().currency.clone();
    let made = query_leads!(
        "with given as (
             select * from jsonb_to_recordset($2::jsonb)
                 as g (id uuid, status text, source text, first_name text, last_name text, email text, phone text,
                       owner_id uuid, tags text[], value bigint, currency text, custom_fields jsonb, first_touch jsonb, activity_id uuid,
                       identities jsonb, consents jsonb)
         ), l as (
             insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, owner_id, tags,
                                value, currency, custom_fields, first_touch, last_touch, last_activity_at, created_at, updated_at)
             select $1, id, coalesce(status, 'new'), source, first_name, last_name, email, phone, owner_id, tags,
                    value, case when value is not null then coalesce(currency, $6) end, custom_fields, first_touch, first_touch, $3, $3, $3 from given
             returning *
         ), identities as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, i.id, given.id, i.kind, i.value, i.value, true
               from given, jsonb_to_recordset(given.identities) as i (id uuid, kind text, value text)
         ), activity as (
             insert into activities (tenant_id, id, lead_id, kind, title, actor_kind, actor_id, occurred_at)
             select $1, activity_id, id, 'system', 'Lead created', $4, $5, $3 from given
         ), consented as (
             insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, proof, effective_at,
                                   recorded_by)
             select $1, c.id, given.id, c.channel, c.purpose, c.state, c.source, c.reason, c.proof, c.effective_at,
                    c.recorded_by
               from given, jsonb_to_recordset(given.consents)
                 as c (id uuid, channel text, purpose text, state text, source text, reason text, proof jsonb,
                       effective_at timestamptz, recorded_by uuid)
         )",
        "from l",
        tx.tenant(),
        rows,
        now,
        actor.0,
        actor.1,
        currency,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(made.into_iter().map(|lead| (lead.id, lead)).collect())
}
