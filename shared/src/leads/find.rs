//! Reading one lead.

use uuid::Uuid;

use super::{Identities, IdentityKind, Lead};
use crate::auth::Owners;
use crate::db::{DbResult, TenantTx};

/// Selects leads with the checked macro. The head is empty or a `with …`; the tail begins with `from` and calls the
/// row `l`.
macro_rules! query_leads {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::leads::Lead,
            $head + r#" select l.id, l.status, l.source, l.first_name as "first_name: _", l.last_name as "last_name: _",
                      nullif(concat_ws(' ', l.first_name, l.last_name), '') as "name: _", l.email as "email: _",
                      l.phone as "phone: _", l.owner_id, l.stage_id, l.stage_entered_at,
                      l.won_reason, l.lost_reason, l.value, l.currency, l.tags, l.custom_fields, l.score, l.timezone,
                      l.locale, l.first_touch, l.last_touch, l.created_at, l.updated_at, l.last_activity_at,
                      l.deleted_at, l.merged_into_id, l.version "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_leads;

/// The lead, unless it is in the bin, was merged into another one or is outside the records that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<Option<Lead>> {
    let lead = query_leads!(
        "",
        "from leads l where l.tenant_id = $1 and l.id = $2 and l.deleted_at is null
            and l.merged_into_id is null and ($3::uuid[] is null or l.owner_id = any ($3))",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}

/// Whether [`find`] would find it.
///
/// # Errors
/// When the database refuses.
pub async fn exists(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from leads where tenant_id = $1 and id = $2 and deleted_at is null
                             and merged_into_id is null and ($3::uuid[] is null or owner_id = any ($3))) as "found!""#,
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

/// The same, and it stays what it is until the transaction ends: nobody merges or erases it behind what is about to be written to it. Whoever
/// is doing so at the moment is waited for, and decides.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let held = sqlx::query_scalar!(
        "select id from leads where tenant_id = $1 and id = $2 and deleted_at is null and merged_into_id is null
            and ($3::uuid[] is null or owner_id = any ($3)) for key share",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}

/// The lead that an absorbed one was merged into, at the end of the chain, when the caller may see it.
///
/// # Errors
/// When the database refuses.
pub async fn find_survivor(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Uuid>> {
    let survivor = sqlx::query_scalar!(
        r#"with recursive chain as (
               select merged_into_id as id from leads where tenant_id = $1 and id = $2 and merged_into_id is not null
               union
               select l.merged_into_id from chain join leads l on l.tenant_id = $1 and l.id = chain.id
                where l.merged_into_id is not null
           )
           select l.id from chain join leads l on l.tenant_id = $1 and l.id = chain.id
            where l.merged_into_id is null and l.deleted_at is null and ($3::uuid[] is null or l.owner_id = any ($3))"#,
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(survivor)
}

/// The lead that one of the identities belongs to: the e-mail address decides before the telephone number.
///
/// # Errors
/// When the database refuses.
pub async fn owner_of_identity(tx: &mut TenantTx, identities: &Identities) -> DbResult<Option<Uuid>> {
    let (kinds, values): (Vec<&str>, Vec<String>) = identities.pairs().into_iter().unzip();
    let lead = sqlx::query_scalar!(
        "select i.lead_id
           from unnest($2::text[], $3::text[]) with ordinality as given (kind, normalized, place)
           join lead_identities i on i.tenant_id = $1 and i.kind = given.kind and i.normalized = given.normalized
          order by given.place
          limit 1",
        tx.tenant(),
        &kinds as &[&str],
        &values,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}

/// The lead that has an identity, by its normalised value.
///
/// # Errors
/// When the database refuses.
pub async fn owner_of(tx: &mut TenantTx, kind: IdentityKind, normalized: &str) -> DbResult<Option<Uuid>> {
    let lead = sqlx::query_scalar!(
        "select lead_id from lead_identities where tenant_id = $1 and kind = $2 and normalized = $3",
        tx.tenant(),
        kind.as_str(),
        normalized,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(lead)
}
