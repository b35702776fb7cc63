//! Putting colleagues in charge of many leads at once.

use uuid::Uuid;

use super::{Lead, find::query_leads};
use crate::db::{DbResult, TenantTx};

/// Gives leads their colleagues. Pairs are (lead, colleague).
///
/// # Errors
/// `leads_owner_id_fkey` for an unknown colleague.
pub async fn set_owners(tx: &mut TenantTx, owners: &[(Uuid, Uuid)]) -> DbResult<Vec<Lead>> {
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let (leads, users): (Vec<Uuid>, Vec<Uuid>) = owners.iter().copied().unzip();
    let leads = query_leads!(
        "with l as (
             update leads o set owner_id = g.user_id
               from unnest($2::uuid[], $3::uuid[]) as g (lead_id, user_id)
              where o.tenant_id = $1 and o.id = g.lead_id
             returning o.*
         )",
        "from l",
        tx.tenant(),
        &leads,
        &users,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(leads)
}
