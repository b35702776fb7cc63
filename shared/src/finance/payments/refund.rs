//! Giving money back.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{LockedPayment, Payment, RefundRequest, find_payment, lock_payments};
use crate::{
    db::{DbError, DbResult, TenantTx},
    events::{EventKind, NewEvent, emit},
    finance::{
        amount::PositiveAmount,
        invoices::{Allocation, lock, settle},
        ledger::{About, Account, Posting, Tender, post},
    },
    http::Problem,
    ids::new_id,
    values::Line,
};

/// What goes back of one payment.
#[derive(Clone, Debug)]
pub(in crate::finance) struct RefundPart {
    /// Locked.
    pub payment: LockedPayment,
    /// Out of what it has left.
    pub from_credit: i64,
    /// Out of what it settled: (document, amount).
    pub unapply: Vec<(Uuid, i64)>,
}

impl RefundPart {
    pub(in crate::finance) fn amount(&self) -> i64 {
        self.from_credit + self.unapplied()
    }

    fn unapplied(&self) -> i64 {
        self.unapply.iter().map(|(_, amount)| amount).sum()
    }
}

/// How money goes back.
#[derive(Clone, Debug)]
pub(in crate::finance) struct RefundOrder {
    /// None: the way it came.
    pub tender: Option<Tender>,
    pub reason: Option<String>,
    pub sale_id: Option<Uuid>,
    /// None: the payment's own shift, while that is open.
    pub shift_id: Option<Uuid>,
    pub provider: Option<&'static str>,
    pub provider_ref: Option<String>,
    pub created_by: Option<Uuid>,
}

impl RefundOrder {
    pub(in crate::finance) const fn by(tender: Option<Tender>) -> Self {
        Self {
            tender,
            reason: None,
            sale_id: None,
            shift_id: None,
            provider: None,
            provider_ref: None,
            created_by: None,
        }
    }
}

/// What payments settled and still settle, the latest first.
pub(in crate::finance) struct Held {
    pub payment_id: Uuid,
    pub invoice_id: Uuid,
    pub amount: i64,
}

/// Finds what payments (by `payments`) or documents (by `invoices`) hold together.
pub(in crate::finance) async fn allocations_of(
    tx: &mut TenantTx,
    payments: &[Uuid],
    invoices: &[Uuid],
) -> DbResult<Vec<Held>> {
    let held = sqlx::query_as!(
        Held,
        r#"select payment_id as "payment_id!", invoice_id, sum(amount)::bigint as "amount!"
             from payment_allocations
            where tenant_id = $1 and payment_id is not null and (payment_id = any($2) or invoice_id = any($3))
            group by payment_id, invoice_id having sum(amount) > 0
            order by max(created_at) desc, payment_id desc, invoice_id"#,
        tx.tenant(),
        payments,
        invoices,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(held)
}

/// Takes up to `amount` back from what a payment settled, the latest first.
fn take_back<'h>(held: impl Iterator<Item = &'h Held>, amount: i64) -> Vec<(Uuid, i64)> {
    let mut left = amount;
    let mut taken = Vec::new();
    for one in held {
        let part = one.amount.min(left);
        if part > 0 {
            taken.push((one.invoice_id, part));
            left -= part;
        }
    }
    taken
}

/// Gives money of a payment back: what it has left first, then what it settled, latest first.
///
/// # Errors
/// 404; 409 `not_refundable`; 422 `exceeds_refundable`.
pub async fn refund(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    payment: Uuid,
    request: RefundRequest,
    created_by: Option<Uuid>,
) -> Result<Payment, Problem> {
    let (payment, held) = lock_for_refund(tx, payment).await?.ok_or_else(Problem::not_found)?;
    let refundable = payment.amount - payment.refunded;
    if payment.kind != "payment" || payment.status != "succeeded" || refundable == 0 {
        return Err(Problem::conflict("not_refundable", "There is nothing to give back."));
    }
    let amount = request.amount.map_or(refundable, PositiveAmount::get);
    if amount > refundable {
        let detail = format!("At most {refundable} can be given back.");
        return Err(Problem::invalid("/amount", "exceeds_refundable", detail).with("refundable", refundable));
    }
    if request.tender == Some(Tender::Credit) {
        return Err(Problem::invalid(
            "/tender",
            "unknown_value",
            "Money that stays with the business is not given back.",
        ));
    }
    let order = RefundOrder {
        reason: request.reason.map(Line::into_string),
        created_by,
        ..RefundOrder::by(request.tender)
    };
    let part = part_of(payment, &held, amount);
    let refunds = carry_out(tx, now, &[part], &order).await?;
    let refund = refunds.first().ok_or_else(Problem::internal)?;
    find_payment(tx, *refund).await?.ok_or_else(Problem::internal)
}

/// Splits an amount into what a payment has left and what it settled.
pub(super) fn part_of(payment: LockedPayment, held: &[Held], amount: i64) -> RefundPart {
    let from_credit = payment.unapplied.min(amount);
    let unapply = take_back(held.iter(), amount - from_credit);
    RefundPart { payment, from_credit, unapply }
}

/// Locks a payment after the documents that it settled, which is the order that everybody locks in.
///
/// # Errors
/// Contention when it settled another document meanwhile.
pub(super) async fn lock_for_refund(
    tx: &mut TenantTx,
    payment: Uuid,
) -> DbResult<Option<(LockedPayment, Vec<Held>)>> {
    let before = allocations_of(tx, &[payment], &[]).await?;
    let mut documents: Vec<Uuid> = before.iter().map(|one| one.invoice_id).collect();
    documents.sort();
    lock(tx, &documents).await?;
    let Some(locked) = lock_payments(tx, &[payment]).await?.pop() else { return Ok(None) };
    let held = allocations_of(tx, &[payment], &[]).await?;
    if held.iter().any(|one| !documents.contains(&one.invoice_id)) {
        return Err(DbError::Contention("the payment settled another document meanwhile".to_owned()));
    }
    Ok(Some((locked, held)))
}

/// Writes refunds: allocations taken back, a refund per payment, the postings. Documents and payments are locked.
pub(in crate::finance) async fn carry_out(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    parts: &[RefundPart],
    order: &RefundOrder,
) -> DbResult<Vec<Uuid>> {
    let parts: Vec<(Uuid, &RefundPart)> =
        parts.iter().filter(|part| part.amount() > 0).map(|part| (new_id(), part)).collect();
    let taken_back: Vec<Allocation> = parts
        .iter()
        .flat_map(|(_, part)| {
            part.unapply.iter().map(|(id, amount)| Allocation::of_payment(part.payment.id, *id, -amount))
        })
        .collect();
    settle(tx, now, &taken_back).await?;
    insert_refunds(tx, now, &parts, order).await?;
    let postings: Vec<Posting> = parts.iter().map(|(id, part)| posting(*id, part, order)).collect();
    post(tx, now, &postings).await?;
    Ok(parts.into_iter().map(|(id, _)| id).collect())
}

fn tender_of(part: &RefundPart, order: &RefundOrder) -> Tender {
    order.tender.unwrap_or_else(|| Tender::from_word(&part.payment.tender))
}

fn posting(refund: Uuid, part: &RefundPart, order: &RefundOrder) -> Posting {
    let about = About {
        lead_id: part.payment.lead_id,
        invoice_id: part.payment.invoice_id,
        payment_id: Some(refund),
        sale_id: order.sale_id,
        shift_id: order.shift_id,
    };
    Posting::new(&part.payment.currency, "payment refunded", about)
        .debit(Account::CustomerCredit, part.from_credit)
        .debit(Account::Receivable, part.unapplied())
        .credit(tender_of(part, order).account(), part.amount())
}

/// A refund in a shift that is being closed waits for it, and then belongs to no shift.
async fn insert_refunds(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    parts: &[(Uuid, &RefundPart)],
    order: &RefundOrder,
) -> DbResult<()> {
    let rows: serde_json::Value = parts
        .iter()
        .map(|(id, part)| {
            json!({"id": id, "payment_id": part.payment.id, "amount": part.amount(), "tender": tender_of(part, order).word()})
        })
        .collect();
    sqlx::query!(
        "with given as (
             select * from jsonb_to_recordset($2) as g (id uuid, payment_id uuid, amount bigint, tender text)
         ), open as (
             select s.id from pos_shifts s
              where s.tenant_id = $1 and s.status = 'open'
                and s.id in (select p.shift_id from payments p join given g on g.payment_id = p.id where p.tenant_id = $1)
                for share
         ), reduced as (
             update payments p set refunded_amount = p.refunded_amount + g.amount
               from given g where p.tenant_id = $1 and p.id = g.payment_id
         )
         insert into payments (tenant_id, id, kind, status, lead_id, invoice_id, refund_of_id, sale_id, shift_id, tender, amount,
                               currency, reason, provider, provider_ref, received_at, created_by, created_at, updated_at)
         select $1, g.id, 'refund', 'succeeded', p.lead_id, p.invoice_id, p.id, coalesce($3, p.sale_id),
                coalesce($4, open.id), g.tender, g.amount, p.currency, $5, $6, $7, $8, $9, $8, $8
           from given g join payments p on p.tenant_id = $1 and p.id = g.payment_id
           left join open on open.id = p.shift_id",
        tx.tenant(),
        rows,
        order.sale_id,
        order.shift_id,
        order.reason,
        order.provider,
        order.provider_ref,
        now,
        order.created_by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Tells `payment.refunded`.
///
/// # Errors
/// When the database refuses.
pub async fn emit_refunded(tx: &mut TenantTx, now: DateTime<Utc>, refund: &Payment) -> DbResult<()> {
    let payload = serde_json::to_value(refund).unwrap_or_default();
    emit(tx, &[NewEvent::by_api(EventKind::PaymentRefunded, now, refund.id, refund.lead_id, payload)]).await
}
