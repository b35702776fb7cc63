//! Making a lead.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Identities, Lead, NewLead, consents, find::query_leads, model::tag_words};
use crate::{
    db::{DbResult, TenantTx},
    ids::new_id,
};

/// The constraint that says: somebody has this address or number already.
pub const IDENTITY_TAKEN: &str = "lead_identities_tenant_id_kind_normalized_key";

/// Inserts the lead with its identities, its consents and its first activity, all in one statement.
///
/// `actor` is (kind, id) for the activity.
///
/// # Errors
/// [`IDENTITY_TAKEN`] when another lead has the address or number; `leads_owner_id_fkey` for an unknown owner.
pub async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewLead,
    identities: &Identities,
    actor: (&str, Option<Uuid>),
) -> DbResult<Lead> {
    let id = new_id();
    let (kinds, values): (Vec<&str>, Vec<String>) = identities.pairs().into_iter().unzip();
    let identity_ids: Vec<Uuid> = kinds.iter().map(|_| new_id()).collect();
    let tags = tag_words(new.tags);
    let currency =
        new.currency.map_or_else(|| tx.settings().currency.clone(), crate::values::Currency::into_string);
    let lead = query_leads!(
        "with l as (
             insert into leads (tenant_id, id, status, source, first_name, last_name, email, phone, owner_id, tags,
                                value, currency, custom_fields, first_touch, last_touch, last_activity_at, created_at, updated_at)
             values ($1, $2, coalesce($3, 'new'), $4, $5, $6, $7, $8, $9, $10, $21,
                     case when $21::bigint is not null then $22 end, $11, $12, $12, $13, $13, $13)
             returning *
         ), identities as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, i.id, $2, i.kind, i.value, i.value, true
               from unnest($14::uuid[], $15::text[], $16::text[]) as i (id, kind, value)
         ), activity as (
             insert into activities (tenant_id, id, lead_id, kind, title, actor_kind, actor_id, occurred_at)
             values ($1, $17, $2, 'system', 'Lead created', $18, $19, $13)
         ), consented as (
             insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, reason, proof, effective_at,
                                   recorded_by)
             select $1, c.id, $2, c.channel, c.purpose, c.state, c.source, c.reason, c.proof, c.effective_at, c.recorded_by
               from jsonb_to_recordset($20::jsonb)
                 as c (id uuid, channel text, purpose text, state text, source text, reason text, proof jsonb,
                       effective_at timestamptz, recorded_by uuid)
         )",
        "from l",
        tx.tenant(),
        id,
        new.status.map(crate::values::Word::into_string),
        new.source.map(crate::values::Word::into_string),
        new.first_name.map(crate::values::Line::into_string),
        new.last_name.map(crate::values::Line::into_string),
        identities.email.as_ref().map(crate::values::Email::as_str),
        identities.phone.as_ref().map(crate::values::Phone::as_str),
        new.owner_id,
        &tags,
        Value::Object(new.custom_fields),
        new.first_touch.map(Value::Object),
        now,
        &identity_ids,
        &kinds as &[&str],
        &values,
        new_id(),
        actor.0,
        actor.1,
        consents::rows(new.consents, now, actor),
        new.value,
        currency,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(lead)
}
