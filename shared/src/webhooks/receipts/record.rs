//! Writing down on a lead what a receipt told about the person.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Claimed;
use crate::{
    db::{DbResult, TenantTx},
    ids::new_id,
    private::Private,
};

/// What is to be written down.
pub struct Record<'a> {
    /// The person.
    pub lead_id: Uuid,
    /// `form`, `payment`, `refund`, `booking`, `system`
    pub kind: &'a str,
    /// One line.
    pub title: &'a str,
    /// What the person wrote.
    pub body: Option<Private<String>>,
    /// The details.
    pub data: Private<Value>,
    /// Its cause: a second record with the same key is not written.
    pub dedupe_key: &'a str,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// The website's visitor who turned out to be this person.
    pub visitor_id: Option<&'a str>,
    /// The answer about marketing messages, and its proof.
    pub consent: Option<(bool, Value)>,
}

/// Writes an activity with what belongs to it: the visitor, and the answer about marketing for each way to reach the
/// person. `false` when it was written down before.
///
/// # Errors
/// When the database refuses.
pub async fn record(tx: &mut TenantTx, record: Record<'_>) -> DbResult<bool> {
    let state = record.consent.as_ref().map(|(granted, _)| if *granted { "granted" } else { "denied" });
    let written = sqlx::query_scalar!(
        r#"with activity as (
               insert into activities (tenant_id, id, lead_id, kind, title, body, data, actor_kind, occurred_at, dedupe_key)
               values ($1, $3, $2, $4, $5, $6, $7, 'lead', $8, $9)
               on conflict (tenant_id, dedupe_key) do nothing
               returning id
           ), touched as (
               update leads set last_activity_at = greatest(last_activity_at, $8)
                where tenant_id = $1 and id = $2 and exists (select from activity)
           ), visitor as (
               insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized)
               select $1, new_id(), $2, 'visitor', $10, $10 where $10::text is not null
               on conflict (tenant_id, kind, normalized) do nothing
           ), consent as (
               insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, proof, effective_at)
               select $1, new_id(), $2, channel, 'marketing', $11, 'form', $12, $8
                 from leads l cross join unnest(array['email', 'sms', 'whatsapp']) as channel
                where l.tenant_id = $1 and l.id = $2 and $11::text is not null and exists (select from activity)
                  and case channel when 'email' then l.email else l.phone end is not null
           )
           select exists (select from activity) as "written!""#,
        tx.tenant(),
        record.lead_id,
        new_id(),
        record.kind,
        record.title,
        record.body.as_ref().map(|body| body.expose().as_str()),
        record.data.expose(),
        record.occurred_at,
        record.dedupe_key,
        record.visitor_id,
        state,
        record.consent.map(|(_, proof)| proof),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(written)
}

/// Notes whom a receipt told about, so that handing over and forgetting a person finds it.
///
/// # Errors
/// When the database refuses.
pub async fn note_people(tx: &mut TenantTx, claimed: &Claimed, people: &[Uuid]) -> DbResult<()> {
    if people.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into webhook_receipt_leads (tenant_id, id, receipt_id, lead_id)
         select $1, new_id(), $2, lead_id from unnest($3::uuid[]) as p (lead_id)",
        tx.tenant(),
        claimed.id,
        people,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The person on whom one of these causes was written down.
///
/// # Errors
/// When the database refuses.
pub async fn lead_of(tx: &mut TenantTx, dedupe_keys: &[String]) -> DbResult<Option<Uuid>> {
    let lead = sqlx::query_scalar!(
        "select lead_id from activities where tenant_id = $1 and dedupe_key = any($2) limit 1",
        tx.tenant(),
        dedupe_keys,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}
