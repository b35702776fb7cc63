//! The bin: a deleted lead is kept for a while and can come back with everything that hangs on it.
//!
//! Its addresses and numbers are free at once: a person who was deleted and writes again is a new lead. They are parked
//! under a prefix that no address begins with, because the unique index knows nothing of bins; restoring takes the
//! prefix off again, and the index then says whether somebody else has taken one of them meanwhile.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Lead, UpdatedLead, find::query_leads, update::query_changes};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    private::Private,
};

/// Moves a lead to the bin.
///
/// # Errors
/// When the database refuses.
pub async fn archive(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<UpdatedLead>> {
    let archived = query_changes!(
        "with old as (
             select o.id, o.version, lead_facts(o) as facts from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is null and o.merged_into_id is null
                and ($3::uuid[] is null or o.owner_id = any ($3))
                for update
         ), parked as (
             update lead_identities i set normalized = 'bin:' || i.id || ':' || i.normalized
               from old where i.tenant_id = $1 and i.lead_id = old.id
         ), l as (
             update leads set deleted_at = $4 from old where leads.tenant_id = $1 and leads.id = old.id returning leads.*
         )",
        "from l, old",
        tx.tenant(),
        id,
        own_records_of,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(archived)
}

/// Takes a lead out of the bin.
///
/// # Errors
/// [`super::IDENTITY_TAKEN`] when another lead has one of its addresses or numbers by now; see [`rival_of`].
pub async fn restore(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<UpdatedLead>> {
    let restored = query_changes!(
        "with old as (
             select o.id, o.version, lead_facts(o) || jsonb_build_object('deletedAt', o.deleted_at) as facts from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is not null and o.merged_into_id is null
                and o.erased_at is null and ($3::uuid[] is null or o.owner_id = any ($3))
                for update
         ), unparked as (
             update lead_identities i set normalized = substr(i.normalized, length('bin:' || i.id || ':') + 1)
               from old where i.tenant_id = $1 and i.lead_id = old.id and i.normalized like 'bin:%'
         ), l as (
             update leads set deleted_at = null from old where leads.tenant_id = $1 and leads.id = old.id
             returning leads.*
         )",
        "from l, old",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(restored)
}

/// The lead that has taken an address or number of one in the bin.
///
/// # Errors
/// When the database refuses.
pub async fn rival_of(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Uuid>> {
    let rival = sqlx::query_scalar!(
        "select other.lead_id
           from lead_identities i
           join lead_identities other on other.tenant_id = $1 and other.kind = i.kind
            and other.normalized = substr(i.normalized, length('bin:' || i.id || ':') + 1)
          where i.tenant_id = $1 and i.lead_id = $2 and i.normalized like 'bin:%'
          limit 1",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(rival)
}

/// A lead in the bin.
///
/// # Errors
/// When the database refuses.
pub async fn find_archived(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Lead>> {
    let lead = query_leads!(
        "",
        "from leads l where l.tenant_id = $1 and l.id = $2 and l.deleted_at is not null and l.merged_into_id is null
            and l.erased_at is null and ($3::uuid[] is null or l.owner_id = any ($3))",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}
