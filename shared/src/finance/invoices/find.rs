//! Reading one document.

use uuid::Uuid;

use super::Invoice;
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// The document, whatever its kind.
///
/// # Errors
/// When the database refuses.
pub async fn find_invoice(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Invoice>> {
    // The same columns as `list::COLUMNS`; here the macro holds them against the schema.
    let invoice = sqlx::query_as!(
        Invoice,
        r#"select i.id, i.kind, i.number, i.status, i.lead_id, i.credit_of_id, i.currency::text as "currency!", i.rounding,
                  invoice_lines_shape(i.tenant_id, i.id) as "lines!: _", i.subtotal, i.discount_total as discount,
                  case when i.discount_amount is not null then jsonb_build_object('amount', i.discount_amount)
                       when i.discount_percent is not null
                       then jsonb_build_object('percent', trim_scale(i.discount_percent)::text) end as document_discount,
                  i.tax_total as tax, i.tip, i.total, i.paid_total as paid, i.balance as "balance!", i.tax_summary,
                  i.billing as "billing: _", i.memo as "memo: _", i.issue_date, i.due_date, i.finalized_at, i.paid_at,
                  i.overdue_at, i.voided_at, i.created_at, i.updated_at, i.version
             from invoices i where i.tenant_id = $1 and i.id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(invoice)
}

/// Whether a caller may see a document: its lead decides. A document of nobody is seen by those who see everything.
///
/// # Errors
/// When the database refuses.
pub async fn is_visible(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let Some(owners) = own_records_of else { return Ok(true) };
    let visible = sqlx::query_scalar!(
        r#"select exists (select from invoices i join leads l on l.tenant_id = i.tenant_id and l.id = i.lead_id
                           where i.tenant_id = $1 and i.id = $2 and l.owner_id = any ($3)) as "visible!""#,
        tx.tenant(),
        id,
        owners,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(visible)
}
