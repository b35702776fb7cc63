//! Locking documents, and settling them: which money, or which credit note, paid which document.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::find_invoice;
use crate::{
    db::{DbResult, TenantTx},
    events::{EventKind, NewEvent, emit},
    http::Problem,
};

/// A document that nobody else can change until the transaction ends.
#[derive(Clone, Debug)]
pub(in crate::finance) struct Locked {
    pub id: Uuid,
    pub kind: String,
    pub status: String,
    pub lead_id: Option<Uuid>,
    pub currency: String,
    pub tax: i64,
    pub total: i64,
    pub balance: i64,
    pub version: i64,
}

impl Locked {
    /// Whether money can be taken for it.
    pub(in crate::finance) fn require_payable(&self) -> Result<(), Problem> {
        match (self.kind.as_str(), self.status.as_str()) {
            (_, "draft") => {
                Err(Problem::conflict("not_finalized", "A draft is not owed yet; finalize it first."))
            }
            (_, "void") => Err(Problem::conflict("void", "The document is void.")),
            ("invoice", _) => Ok(()),
            _ => Err(Problem::conflict("not_payable", "Only invoices take payments.")),
        }
    }
}

/// Locks documents in the order of their ids, which is the order that everybody locks in.
pub(in crate::finance) async fn lock(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<Vec<Locked>> {
    let locked = sqlx::query_as!(
        Locked,
        r#"select id, kind, status, lead_id, currency::text as "currency!", tax_total as tax, total, balance as "balance!",
                  version
             from invoices where tenant_id = $1 and id = any($2) order by id for update"#,
        tx.tenant(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(locked)
}

/// Locks one document.
pub(in crate::finance) async fn lock_one(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Locked>> {
    Ok(lock(tx, &[id]).await?.pop())
}

/// Money of a payment, or a credit note, that goes to a document; negative takes an earlier allocation back.
#[derive(Clone, Copy, Debug)]
pub(in crate::finance) struct Allocation {
    pub payment_id: Option<Uuid>,
    pub credit_note_id: Option<Uuid>,
    pub invoice_id: Uuid,
    pub amount: i64,
}

impl Allocation {
    pub(in crate::finance) const fn of_payment(payment: Uuid, invoice: Uuid, amount: i64) -> Self {
        Self { payment_id: Some(payment), credit_note_id: None, invoice_id: invoice, amount }
    }
}

/// What became of a document.
#[derive(Clone, Debug)]
pub(in crate::finance) struct Settled {
    pub invoice_id: Uuid,
    pub kind: String,
    pub status: String,
    pub amount: i64,
}

/// Writes allocations and carries them over to the payments and the documents, whose status follows from what is paid.
/// The documents and payments are locked. Zero amounts are left out.
pub(in crate::finance) async fn settle(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    allocations: &[Allocation],
) -> DbResult<Vec<Settled>> {
    let allocations: Vec<&Allocation> = allocations.iter().filter(|one| one.amount != 0).collect();
    if allocations.is_empty() {
        return Ok(Vec::new());
    }
    let payments: Vec<Option<Uuid>> = allocations.iter().map(|one| one.payment_id).collect();
    let notes: Vec<Option<Uuid>> = allocations.iter().map(|one| one.credit_note_id).collect();
    let invoices: Vec<Uuid> = allocations.iter().map(|one| one.invoice_id).collect();
    let amounts: Vec<i64> = allocations.iter().map(|one| one.amount).collect();
    let settled = sqlx::query_as!(
        Settled,
        r#"with given as (
               select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[])
                          as g (payment_id, credit_note_id, invoice_id, amount)
           ), written as (
               insert into payment_allocations (tenant_id, id, payment_id, credit_note_id, invoice_id, amount, created_at)
               select $1, new_id(), g.payment_id, g.credit_note_id, g.invoice_id, g.amount, $6 from given g
           ), used as (
               update payments p set applied_amount = p.applied_amount + s.amount
                 from (select payment_id, sum(amount)::bigint as amount from given where payment_id is not null group by 1) s
                where p.tenant_id = $1 and p.id = s.payment_id
           )
           update invoices i
              set paid_total = i.paid_total + s.amount,
                  status = case when i.paid_total + s.amount = i.total then 'paid'
                                when i.overdue_at is not null then 'overdue'
                                when i.paid_total + s.amount > 0 then 'partiallyPaid'
                                else 'finalized' end,
                  paid_at = case when i.paid_total + s.amount = i.total then coalesce(i.paid_at, $6) end
             from (select invoice_id, sum(amount)::bigint as amount from given group by 1) s
            where i.tenant_id = $1 and i.id = s.invoice_id
           returning i.id as invoice_id, i.kind, i.status, s.amount as "amount!""#,
        tx.tenant(),
        &payments as &[Option<Uuid>],
        &notes as &[Option<Uuid>],
        &invoices,
        &amounts,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(settled)
}

/// Tells `invoice.paid` of the invoices that have just been paid up.
pub(in crate::finance) async fn emit_paid(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    settled: &[Settled],
) -> DbResult<()> {
    let mut events = Vec::new();
    for one in settled.iter().filter(|one| one.kind == "invoice" && one.status == "paid" && one.amount > 0) {
        // At most as many as one payment was split into; each needs its own lines.
        if let Some(invoice) = find_invoice(tx, one.invoice_id).await? {
            let payload = serde_json::to_value(&invoice).unwrap_or_default();
            events.push(NewEvent::by_api(EventKind::InvoicePaid, now, invoice.id, invoice.lead_id, payload));
        }
    }
    emit(tx, &events).await
}
