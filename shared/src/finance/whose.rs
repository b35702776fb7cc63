//! Whose money it is: what a caller who is bound to some records sees of documents, payments and sales.
//!
//! Their lead decides. What the till takes from a passer-by has no lead and belongs to whoever works the till; a document
//! of nobody, and money for it, is seen by those who see everything. What is not seen is as absent as what is missing.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    http::Problem,
    leads,
};

/// Those of the documents that the caller sees, or might see: whoever sees everything is told nothing about which exist.
///
/// # Errors
/// When the database refuses.
pub async fn visible_invoices(
    tx: &mut TenantTx,
    ids: &[Uuid],
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Uuid>> {
    let Some(owners) = own_records_of else { return Ok(ids.to_vec()) };
    let visible = sqlx::query_scalar!(
        "select i.id from invoices i join leads l on l.tenant_id = i.tenant_id and l.id = i.lead_id
          where i.tenant_id = $1 and i.id = any ($2) and l.owner_id = any ($3)",
        tx.tenant(),
        ids,
        owners,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(visible)
}

/// Whether the caller may see a payment.
///
/// # Errors
/// When the database refuses.
pub async fn is_payment_visible(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let Some(owners) = own_records_of else { return Ok(true) };
    let visible = sqlx::query_scalar!(
        r#"select exists (select from payments p left join leads l on l.tenant_id = p.tenant_id and l.id = p.lead_id
                           where p.tenant_id = $1 and p.id = $2
                             and (l.owner_id = any ($3) or p.lead_id is null and p.sale_id is not null)) as "visible!""#,
        tx.tenant(),
        id,
        owners,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(visible)
}

/// Whether the caller may see a sale or return.
///
/// # Errors
/// When the database refuses.
pub async fn is_sale_visible(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let Some(owners) = own_records_of else { return Ok(true) };
    let visible = sqlx::query_scalar!(
        r#"select exists (select from pos_sales s left join leads l on l.tenant_id = s.tenant_id and l.id = s.lead_id
                           where s.tenant_id = $1 and s.id = $2
                             and (l.owner_id = any ($3) or s.lead_id is null)) as "visible!""#,
        tx.tenant(),
        id,
        owners,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(visible)
}

/// Refuses a lead that the caller does not see, and one that is gone: erased, in the bin, or absorbed by another.
///
/// # Errors
/// 422 `unknown_lead`.
pub async fn require_lead(
    tx: &mut TenantTx,
    lead: Option<Uuid>,
    own_records_of: Owners<'_>,
) -> Result<(), Problem> {
    match lead {
        Some(lead) if !leads::hold(tx, lead, own_records_of).await? => {
            Err(Problem::invalid("/leadId", "unknown_lead", "There is no such lead."))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses to make a document of nobody for a caller who would never see it again.
///
/// # Errors
/// 422 `required`, `unknown_lead`.
pub async fn require_own_lead(
    tx: &mut TenantTx,
    lead: Option<Uuid>,
    own_records_of: Owners<'_>,
) -> Result<(), Problem> {
    if lead.is_none() && own_records_of.is_some() {
        let detail = "A document without a lead is seen only by those who see all records; name a lead.";
        return Err(Problem::invalid("/leadId", "required", detail));
    }
    require_lead(tx, lead, own_records_of).await
}

/// Narrows a list of payments (`p`) to those that the caller sees.
pub(super) fn push_visible_payments(query: &mut QueryBuilder<'_, Postgres>, own_records_of: Owners<'_>) {
    push_visible(query, "p", "p.lead_id is null and p.sale_id is not null", own_records_of);
}

/// Narrows a list of sales (`s`) to those that the caller sees.
pub(super) fn push_visible_sales(query: &mut QueryBuilder<'_, Postgres>, own_records_of: Owners<'_>) {
    push_visible(query, "s", "s.lead_id is null", own_records_of);
}

fn push_visible(
    query: &mut QueryBuilder<'_, Postgres>,
    alias: &str,
    of_the_till: &str,
    own_records_of: Owners<'_>,
) {
    let Some(owners) = own_records_of else { return };
    query.push(format!(
        " and ({of_the_till} or {alias}.lead_id in
               (select l.id from leads l where l.tenant_id = {alias}.tenant_id and l.owner_id = any ("
    ));
    query.push_bind(owners.to_vec()).push(")))");
}
