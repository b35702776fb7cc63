//! Taking money.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Incoming, InvoicePayment, NewPayment, Payment, find_payment, insert_payments, spend_credit};
use crate::{
    db::{DbResult, OnConstraint, TenantTx},
    events::{EventKind, NewEvent, emit},
    finance::{
        invoices::{Allocation, Locked, emit_paid, lock_one, settle},
        ledger::{About, Account, Posting, Tender, post},
    },
    http::Problem,
    values::{Currency, Line},
};

/// Takes a payment for an invoice: up to the balance it settles the invoice, the rest is the customer's credit.
///
/// # Errors
/// 404; 409 `not_finalized`, `void`, `not_payable`, `insufficient_credit`; 422 `currency_mismatch`, `exceeds_balance`.
pub async fn pay_invoice(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    invoice: Uuid,
    paid: InvoicePayment,
    created_by: Option<Uuid>,
) -> Result<Payment, Problem> {
    let invoice = lock_one(tx, invoice).await?.ok_or_else(Problem::not_found)?;
    invoice.require_payable()?;
    require_currency(paid.currency.as_ref(), &invoice.currency)?;
    let amount = paid.amount.get();
    if paid.tender == Tender::Credit {
        if amount > invoice.balance {
            return Err(Problem::invalid(
                "/amount",
                "exceeds_balance",
                "Credit pays what is owed and not more.",
            ));
        }
        spend_credit(tx, now, invoice.lead_id, &invoice.currency, amount).await?;
    }
    let mut incoming = Incoming::new(paid.tender, amount, &invoice.currency, paid.received_at.unwrap_or(now));
    incoming.lead_id = invoice.lead_id;
    incoming.invoice_id = Some(invoice.id);
    incoming.reference = paid.reference.map(Line::into_string);
    incoming.created_by = created_by;
    take(tx, now, &incoming, Some(&invoice)).await?;
    find_payment(tx, incoming.id).await?.ok_or_else(Problem::internal)
}

/// Takes money that is for no invoice: all of it is the customer's credit.
///
/// # Errors
/// 422 `unknown_lead`, and what [`pay_invoice`] refuses when an invoice is named.
pub async fn receive(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewPayment,
    created_by: Option<Uuid>,
) -> Result<Payment, Problem> {
    if let Some(invoice) = new.invoice_id {
        let paid = InvoicePayment {
            amount: new.amount,
            currency: new.currency,
            tender: new.tender,
            received_at: new.received_at,
            reference: new.reference,
        };
        let paying = pay_invoice(tx, now, invoice, paid, created_by).await;
        return paying
            .map_err(|problem| if problem.code() == "not_found" { unknown_invoice() } else { problem });
    }
    let currency = new.currency.map_or_else(|| tx.settings().currency.clone(), Currency::into_string);
    let mut incoming = Incoming::new(new.tender, new.amount.get(), &currency, new.received_at.unwrap_or(now));
    incoming.lead_id = new.lead_id;
    incoming.reference = new.reference.map(Line::into_string);
    incoming.created_by = created_by;
    take(tx, now, &incoming, None).await.on_constraint("payments_lead_id_fkey", || {
        Problem::invalid("/leadId", "unknown_lead", "There is no such lead.")
    })?;
    find_payment(tx, incoming.id).await?.ok_or_else(Problem::internal)
}

/// Records money, settles the locked invoice with it, posts it, and tells `invoice.paid` when that is so.
pub(super) async fn take(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    incoming: &Incoming,
    invoice: Option<&Locked>,
) -> DbResult<()> {
    insert_payments(tx, now, std::slice::from_ref(incoming)).await?;
    let applied = invoice.map_or(0, |invoice| incoming.amount.min(invoice.balance));
    let about = About {
        lead_id: incoming.lead_id,
        invoice_id: invoice.map(|invoice| invoice.id),
        payment_id: Some(incoming.id),
        ..About::default()
    };
    let posting = Posting::new(&incoming.currency, "payment received", about)
        .debit(incoming.tender.account(), incoming.amount)
        .credit(Account::Receivable, applied)
        .credit(Account::CustomerCredit, incoming.amount - applied);
    post(tx, now, &[posting]).await?;
    let allocation = invoice.map(|invoice| Allocation::of_payment(incoming.id, invoice.id, applied));
    let settled = settle(tx, now, allocation.as_slice()).await?;
    emit_paid(tx, now, &settled).await
}

/// Tells `payment.received`.
///
/// # Errors
/// When the database refuses.
pub async fn emit_received(tx: &mut TenantTx, now: DateTime<Utc>, payment: &Payment) -> DbResult<()> {
    let payload = serde_json::to_value(payment).unwrap_or_default();
    emit(tx, &[NewEvent::by_api(EventKind::PaymentReceived, now, payment.id, payment.lead_id, payload)]).await
}

/// 422: a payment names an invoice that is not there, or that the caller does not see.
#[must_use]
pub fn unknown_invoice() -> Problem {
    Problem::invalid("/invoiceId", "unknown_invoice", "There is no such invoice.")
}

fn require_currency(given: Option<&Currency>, wanted: &str) -> Result<(), Problem> {
    match given {
        Some(given) if given.as_str() != wanted => {
            Err(Problem::invalid("/currency", "currency_mismatch", format!("The invoice is in {wanted}.")))
        }
        Some(_) | None => Ok(()),
    }
}
