//! Settling invoices with money that is there already.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{AllocationRequest, LockedPayment, Payment, find_payment, lock_payments};
use crate::{
    auth::Owners,
    db::TenantTx,
    finance::{
        invoices::{Allocation, Locked, emit_paid, lock, settle},
        ledger::{About, Account, Posting, post},
        whose::visible_invoices,
    },
    http::{FieldErrors, Problem},
};

/// Settles invoices with what a payment has left. An invoice that the caller does not see is unknown.
///
/// # Errors
/// 404; 409 `not_allocatable`; 422 naming the part that does not fit: `unknown_invoice`, `not_payable`,
/// `currency_mismatch`, `other_customer`, `exceeds_balance`, `exceeds_unapplied`.
pub async fn allocate(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    payment: Uuid,
    request: &AllocationRequest,
    own_records_of: Owners<'_>,
) -> Result<Payment, Problem> {
    let ids: Vec<Uuid> = request.allocations.iter().map(|share| share.invoice_id).collect();
    let seen = visible_invoices(tx, &ids, own_records_of).await?;
    let invoices = lock(tx, &seen).await?;
    let payment = lock_payments(tx, &[payment]).await?.pop().ok_or_else(Problem::not_found)?;
    if payment.kind != "payment" || payment.status != "succeeded" {
        return Err(Problem::conflict("not_allocatable", "Only money that has come in can be allocated."));
    }
    check(request, &payment, &invoices)?;
    let allocations: Vec<Allocation> = request
        .allocations
        .iter()
        .map(|share| Allocation::of_payment(payment.id, share.invoice_id, share.amount.get()))
        .collect();
    let postings: Vec<Posting> = allocations
        .iter()
        .map(|one| {
            let about = About {
                lead_id: payment.lead_id,
                invoice_id: Some(one.invoice_id),
                payment_id: Some(payment.id),
                ..About::default()
            };
            Posting::new(&payment.currency, "credit allocated", about)
                .debit(Account::CustomerCredit, one.amount)
                .credit(Account::Receivable, one.amount)
        })
        .collect();
    post(tx, now, &postings).await?;
    let settled = settle(tx, now, &allocations).await?;
    emit_paid(tx, now, &settled).await?;
    find_payment(tx, payment.id).await?.ok_or_else(Problem::internal)
}

fn check(request: &AllocationRequest, payment: &LockedPayment, invoices: &[Locked]) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    let mut left = payment.unapplied;
    for (at, share) in request.allocations.iter().enumerate() {
        let pointer = |field: &str| format!("/allocations/{at}/{field}");
        let Some(invoice) = invoices.iter().find(|invoice| invoice.id == share.invoice_id) else {
            errors.add(pointer("invoiceId"), "unknown_invoice", "There is no such invoice.");
            continue;
        };
        left = left.saturating_sub(share.amount.get());
        if invoice.require_payable().is_err() {
            errors.add(pointer("invoiceId"), "not_payable", "Only finalized invoices can be settled.");
        } else if invoice.currency != payment.currency {
            errors.add(
                pointer("invoiceId"),
                "currency_mismatch",
                "Invoice and payment are in different currencies.",
            );
        } else if invoice.lead_id.is_some() && payment.lead_id.is_some() && invoice.lead_id != payment.lead_id
        {
            errors.add(pointer("invoiceId"), "other_customer", "The money is another customer's.");
        } else if share.amount.get() > invoice.balance {
            errors.add(pointer("amount"), "exceeds_balance", "That is more than is owed.");
        } else if left < 0 {
            errors.add(pointer("amount"), "exceeds_unapplied", "That is more than the payment has left.");
        }
    }
    errors.into_result()
}
