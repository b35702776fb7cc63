//! Rows of payments: inserting, locking, spending credit.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{RefundOrder, RefundPart, carry_out};
use crate::{
    db::{DbResult, TenantTx},
    finance::ledger::Tender,
    http::Problem,
    ids::new_id,
};

/// Money that is about to be recorded as received.
#[derive(Clone, Debug)]
pub(in crate::finance) struct Incoming {
    pub id: Uuid,
    pub status: &'static str,
    pub lead_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub sale_id: Option<Uuid>,
    pub shift_id: Option<Uuid>,
    pub tender: Tender,
    pub amount: i64,
    pub currency: String,
    pub reference: Option<String>,
    pub provider: Option<&'static str>,
    pub provider_ref: Option<String>,
    pub received_at: DateTime<Utc>,
    pub created_by: Option<Uuid>,
}

impl Incoming {
    /// Money in hand, for nobody and nothing yet.
    pub(in crate::finance) fn new(
        tender: Tender,
        amount: i64,
        currency: &str,
        received_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: new_id(),
            status: "succeeded",
            lead_id: None,
            invoice_id: None,
            sale_id: None,
            shift_id: None,
            tender,
            amount,
            currency: currency.to_owned(),
            reference: None,
            provider: None,
            provider_ref: None,
            received_at,
            created_by: None,
        }
    }
}

/// Records money as received; nothing is allocated and nothing is posted yet.
///
/// # Errors
/// `payments_lead_id_fkey`, `payments_tenant_id_provider_provider_ref_key`.
pub(in crate::finance) async fn insert_payments(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    payments: &[Incoming],
) -> DbResult<()> {
    let rows: serde_json::Value = payments
        .iter()
        .map(|payment| {
            json!({
                "id": payment.id, "status": payment.status, "lead_id": payment.lead_id, "invoice_id": payment.invoice_id,
                "sale_id": payment.sale_id, "shift_id": payment.shift_id, "tender": payment.tender.word(),
                "amount": payment.amount, "currency": payment.currency, "reference": payment.reference,
                "provider": payment.provider, "provider_ref": payment.provider_ref, "received_at": payment.received_at,
                "created_by": payment.created_by,
            })
        })
        .collect();
    sqlx::query!(
        "insert into payments (tenant_id, id, status, lead_id, invoice_id, sale_id, shift_id, tender, amount, currency, reference,
                               provider, provider_ref, received_at, created_by, created_at, updated_at)
         select $1, p.id, p.status, p.lead_id, p.invoice_id, p.sale_id, p.shift_id, p.tender, p.amount, p.currency, p.reference,
                p.provider, p.provider_ref, p.received_at, p.created_by, $3, $3
           from jsonb_to_recordset($2) as p (id uuid, status text, lead_id uuid, invoice_id uuid, sale_id uuid, shift_id uuid,
                    tender text, amount bigint, currency text, reference text, provider text, provider_ref text,
                    received_at timestamptz, created_by uuid)",
        tx.tenant(),
        rows,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A payment that nobody else can change until the transaction ends.
#[derive(Clone, Debug)]
pub(in crate::finance) struct LockedPayment {
    pub id: Uuid,
    pub kind: String,
    pub status: String,
    pub lead_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub tender: String,
    pub currency: String,
    pub amount: i64,
    pub refunded: i64,
    pub unapplied: i64,
}

/// Locks payments in the order of their ids. Documents are locked before them.
pub(in crate::finance) async fn lock_payments(
    tx: &mut TenantTx,
    ids: &[Uuid],
) -> DbResult<Vec<LockedPayment>> {
    let locked = sqlx::query_as!(
        LockedPayment,
        r#"select id, kind, status, lead_id, invoice_id, tender, currency::text as "currency!", amount,
                  refunded_amount as refunded, unapplied_amount as "unapplied!"
             from payments where tenant_id = $1 and id = any($2) order by id for update"#,
        tx.tenant(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(locked)
}

/// Takes `amount` out of the credit that a customer has, oldest payments first, as refunds into credit. Whoever calls
/// records the same amount as a payment by credit, so the two cancel out in the ledger and in the takings.
///
/// # Errors
/// 409 `insufficient_credit`.
pub(in crate::finance) async fn spend_credit(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Option<Uuid>,
    currency: &str,
    amount: i64,
) -> Result<(), Problem> {
    let mut left = amount;
    let mut parts = Vec::new();
    for payment in credit_of(tx, lead, currency).await? {
        let taken = payment.unapplied.min(left);
        left -= taken;
        if taken > 0 {
            parts.push(RefundPart { payment, from_credit: taken, unapply: Vec::new() });
        }
    }
    if left > 0 {
        let problem = Problem::conflict("insufficient_credit", "The customer has less credit than that.");
        return Err(problem.with("available", amount - left));
    }
    let order =
        RefundOrder { reason: Some("spent as credit".to_owned()), ..RefundOrder::by(Some(Tender::Credit)) };
    carry_out(tx, now, &parts, &order).await?;
    Ok(())
}

async fn credit_of(tx: &mut TenantTx, lead: Option<Uuid>, currency: &str) -> DbResult<Vec<LockedPayment>> {
    let Some(lead) = lead else { return Ok(Vec::new()) };
    let mut found = sqlx::query_as!(
        LockedPayment,
        r#"select id, kind, status, lead_id, invoice_id, tender, currency::text as "currency!", amount,
                  refunded_amount as refunded, unapplied_amount as "unapplied!"
             from payments
            where tenant_id = $1 and lead_id = $2 and kind = 'payment' and status = 'succeeded' and unapplied_amount > 0
              and currency::text = $3
            order by id for update"#,
        tx.tenant(),
        lead,
        currency,
    )
    .fetch_all(tx.conn())
    .await?;
    // Ids grow with time: the order of locking is the order of receipt.
    found.retain(|payment| payment.unapplied > 0);
    Ok(found)
}
