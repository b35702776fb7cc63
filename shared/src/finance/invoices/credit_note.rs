//! Credit notes of invoices, as people write them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Invoice, NewCreditNote, credit::CreditOrder, credit::credit, find_invoice, lock_one};
use crate::{
    db::TenantTx,
    finance::{
        amount::PositiveAmount,
        payments::{RefundOrder, emit_refunded, find_payment},
    },
    http::Problem,
    values::Line,
};

/// Writes a credit note for an invoice, and tells `payment.refunded` of what goes back.
///
/// # Errors
/// 404; 409 `not_finalized`, `void`, `not_payable`; 422 `exceeds_creditable`, `unknown_line`, `exceeds_quantity`.
pub async fn credit_invoice(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    invoice: Uuid,
    new: NewCreditNote,
    created_by: Option<Uuid>,
) -> Result<Invoice, Problem> {
    let document = lock_one(tx, invoice).await?.ok_or_else(Problem::not_found)?;
    document.require_payable()?;
    let order = CreditOrder {
        amount: new.amount.map(PositiveAmount::get),
        lines: new.lines.as_deref().unwrap_or_default(),
        settle: new.settle,
        refund: RefundOrder {
            reason: new.reason.map(Line::into_string),
            created_by,
            ..RefundOrder::by(new.tender)
        },
    };
    let credited = credit(tx, now, &document, order).await?;
    // One per payment of the invoice.
    for refund in &credited.refunds {
        if let Some(refund) = find_payment(tx, *refund).await? {
            emit_refunded(tx, now, &refund).await?;
        }
    }
    find_invoice(tx, credited.id).await?.ok_or_else(Problem::internal)
}
