//! Reading one document.

use uuid::Uuid;

use super::Invoice;
use crate::db::{DbResult, TenantTx};

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
