//! Credit notes: the only way to take back what a finalized document says.
//!
//! A credit note settles its document like a payment does. What it cannot settle, because money did, sets that money
//! free: it becomes the customer's credit, or goes back.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Allocation, Locked,
    credit_lines::{ReturnedLine, Reversal, check_returned, find_left, reverse_amount, reverse_lines},
    document::{Document, insert_document},
    settle,
};
use crate::{
    db::{DbResult, TenantTx},
    finance::{
        amount::PositiveAmount,
        calculate::Rounding,
        catalog::move_stock,
        ledger::{About, Account, Posting, Tender, post},
        payments::{LockedPayment, RefundOrder, RefundPart, allocations_of, carry_out, lock_payments},
    },
    http::{Check, FieldErrors, Problem},
    ids::new_id,
    values::Line,
};

/// What happens with money that a credit note sets free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Settle {
    /// It goes back to the customer.
    Refund,
    /// It stays as the customer's credit.
    #[default]
    Credit,
}

/// A credit note that is about to be written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCreditNote {
    /// How much, minor units, taxes included.
    #[serde(default)]
    pub amount: Option<PositiveAmount>,
    /// Or which lines.
    #[serde(default)]
    pub lines: Option<Vec<ReturnedLine>>,
    /// What happens with money that it sets free.
    #[serde(default)]
    pub settle: Settle,
    /// How it goes back; the way it came when left out.
    #[serde(default)]
    pub tender: Option<Tender>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Line>,
}

impl Check for NewCreditNote {
    fn check(&self, errors: &mut FieldErrors) {
        match (&self.amount, &self.lines) {
            (Some(_), Some(_)) => errors.add("/lines", "invalid_value", "Say either amount or lines."),
            (None, None) => errors.add("/amount", "required", "Say an amount, or lines."),
            (None, Some(lines)) => check_returned(lines, errors),
            (Some(_), None) => {}
        }
        if self.tender == Some(Tender::Credit) {
            errors.add("/tender", "unknown_value", "Say settle: credit.");
        }
    }
}

/// What is to be taken back of a locked document.
pub(in crate::finance) struct CreditOrder<'a> {
    pub amount: Option<i64>,
    pub lines: &'a [ReturnedLine],
    pub settle: Settle,
    pub refund: RefundOrder,
}

/// A credit note that was written.
pub(in crate::finance) struct Credited {
    pub id: Uuid,
    pub total: i64,
    /// What went back.
    pub refunds: Vec<Uuid>,
}

/// Writes a credit note for a locked document.
///
/// # Errors
/// 422 `exceeds_creditable`, `unknown_line`, `exceeds_quantity`, `unknown_value`.
pub(in crate::finance) async fn credit(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    document: &Locked,
    order: CreditOrder<'_>,
) -> Result<Credited, Problem> {
    let left = find_left(tx, document.id).await?;
    let too_much = || {
        let detail = format!("At most {} can be credited.", left.total);
        Problem::invalid("/amount", "exceeds_creditable", detail).with("creditable", left.total)
    };
    let reversal = match order.amount {
        Some(amount) if amount > left.total => return Err(too_much()),
        Some(amount) => reverse_amount(document, amount, &left).ok_or_else(too_much)?,
        None => reverse_lines(tx, document.id, order.lines).await?,
    };
    if reversal.total() > left.total {
        return Err(too_much());
    }
    let freed = (reversal.total() - document.balance).max(0);
    let refunds = set_free(tx, now, document, freed, &order).await?;
    let id = write(tx, now, document, &reversal, &order.refund).await?;
    let note = Allocation {
        payment_id: None,
        credit_note_id: Some(id),
        invoice_id: document.id,
        amount: reversal.total(),
    };
    settle(tx, now, &[note]).await?;
    move_stock(tx, &reversal.restock).await?;
    Ok(Credited { id, total: reversal.total(), refunds })
}

/// Takes `freed` out of what payments settled of the document, the latest first.
async fn set_free(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    document: &Locked,
    freed: i64,
    order: &CreditOrder<'_>,
) -> DbResult<Vec<Uuid>> {
    if freed == 0 {
        return Ok(Vec::new());
    }
    let held = allocations_of(tx, &[], &[document.id]).await?;
    let ids: Vec<Uuid> = held.iter().map(|one| one.payment_id).collect();
    let payments = lock_payments(tx, &ids).await?;
    let mut left = freed;
    let mut parts = Vec::new();
    for one in &held {
        let taken = one.amount.min(left);
        left -= taken;
        if let (true, Some(payment)) =
            (taken > 0, payments.iter().find(|payment| payment.id == one.payment_id))
        {
            let unapply = vec![(document.id, taken)];
            parts.push(RefundPart { payment: payment.clone(), from_credit: 0, unapply });
        }
    }
    match order.settle {
        Settle::Refund => carry_out(tx, now, &parts, &order.refund).await,
        Settle::Credit => {
            to_credit(tx, now, document.id, &parts).await?;
            Ok(Vec::new())
        }
    }
}

async fn to_credit(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    document: Uuid,
    parts: &[RefundPart],
) -> DbResult<()> {
    let posting = |payment: &LockedPayment, amount: i64| {
        let about = About {
            lead_id: payment.lead_id,
            invoice_id: Some(document),
            payment_id: Some(payment.id),
            ..About::default()
        };
        Posting::new(&payment.currency, "payment became credit", about)
            .debit(Account::Receivable, amount)
            .credit(Account::CustomerCredit, amount)
    };
    let allocations: Vec<Allocation> =
        parts.iter().map(|part| Allocation::of_payment(part.payment.id, document, -part.amount())).collect();
    let postings: Vec<Posting> = parts.iter().map(|part| posting(&part.payment, part.amount())).collect();
    settle(tx, now, &allocations).await?;
    post(tx, now, &postings).await
}

async fn write(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    document: &Locked,
    reversal: &Reversal,
    order: &RefundOrder,
) -> DbResult<Uuid> {
    let id = new_id();
    let note = Document {
        id,
        kind: "creditNote",
        lead_id: document.lead_id,
        credit_of_id: Some(document.id),
        currency: document.currency.clone(),
        rounding: Rounding::Line,
        terms: None,
        subtotal: reversal.net,
        discount: 0,
        tax: reversal.tax,
        tip: 0,
        total: reversal.total(),
        settled: true,
        tax_summary: json!(reversal.summary),
        memo: order.reason.clone(),
        created_by: order.created_by,
        lines: json!(reversal.rows),
    };
    insert_document(tx, now, &note).await?;
    let about = About {
        lead_id: document.lead_id,
        invoice_id: Some(id),
        sale_id: order.sale_id,
        shift_id: order.shift_id,
        ..About::default()
    };
    let posting = Posting::new(&document.currency, "credit note", about)
        .debit(Account::Revenue, reversal.net)
        .debit(Account::Tax, reversal.tax)
        .credit(Account::Receivable, reversal.total());
    post(tx, now, &[posting]).await?;
    Ok(id)
}
