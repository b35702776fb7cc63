//! Taking things back.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{NewReturn, Sale, find_sale, shift::LockedShift, shift::join_shift};
use crate::{
    db::{DbResult, TenantTx},
    finance::{
        invoices::{CreditOrder, Settle, credit, lock_one},
        ledger::Tender,
        payments::{RefundOrder, emit_refunded, find_payment},
    },
    http::Problem,
    ids::new_id,
    values::Line,
};

/// Takes lines of a sale back: a credit note for its receipt, money back in the open shift, things back into the stock.
/// A till that takes no cash can give back by card all the same; its drawer is then not touched.
///
/// # Errors
/// 404; 409 `no_open_shift`, `not_returnable`; 422 `unknown_line`, `exceeds_quantity`, `exceeds_creditable`, `lead_required`.
pub async fn return_sale(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    sale: Uuid,
    new: NewReturn,
    sold_by: Option<Uuid>,
) -> Result<Sale, Problem> {
    let sale = find_sale(tx, Some(sale), None).await?.ok_or_else(Problem::not_found)?;
    if sale.kind != "sale" {
        return Err(Problem::conflict("not_returnable", "A return cannot be returned."));
    }
    if new.tender == Some(Tender::Credit) && sale.lead_id.is_none() {
        return Err(Problem::invalid("/tender", "lead_required", "Only a known customer has credit."));
    }
    let register = register_of(tx, sale.shift_id).await?;
    let shift =
        join_shift(tx, new.shift_id, Some(register.as_str()).filter(|_| new.shift_id.is_none())).await?;
    let receipt = lock_one(tx, sale.invoice_id).await?.ok_or_else(Problem::internal)?;
    let id = new_id();
    let to_credit = new.tender == Some(Tender::Credit);
    let order = CreditOrder {
        amount: None,
        lines: &new.lines,
        settle: if to_credit { Settle::Credit } else { Settle::Refund },
        refund: RefundOrder {
            reason: Some(new.reason.map_or_else(|| "returned".to_owned(), Line::into_string)),
            // The row of the return comes later; its payments are found through the shift and the credit note.
            sale_id: Some(sale.id),
            shift_id: Some(shift.id),
            created_by: sold_by,
            ..RefundOrder::by(new.tender.filter(|_| !to_credit))
        },
    };
    let credited = credit(tx, now, &receipt, order).await?;
    let mut tenders = Vec::new();
    // One per payment of the sale.
    for refund in &credited.refunds {
        if let Some(refund) = find_payment(tx, *refund).await? {
            tenders.push(json!({"tender": refund.tender, "amount": refund.amount}));
            emit_refunded(tx, now, &refund).await?;
        }
    }
    if to_credit {
        tenders.push(json!({"tender": "credit", "amount": credited.total}));
    }
    insert(tx, now, id, &sale, &shift, (credited.id, credited.total), json!(tenders), sold_by).await?;
    find_sale(tx, Some(id), None).await?.ok_or_else(Problem::internal)
}

async fn register_of(tx: &mut TenantTx, shift: Uuid) -> DbResult<String> {
    let register = sqlx::query_scalar!(
        "select register_key from pos_shifts where tenant_id = $1 and id = $2",
        tx.tenant(),
        shift,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(register)
}

#[expect(clippy::too_many_arguments, reason = "the columns of one row")]
async fn insert(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    sale: &Sale,
    shift: &LockedShift,
    (note, total): (Uuid, i64),
    tenders: serde_json::Value,
    sold_by: Option<Uuid>,
) -> DbResult<()> {
    sqlx::query!(
        "with sale as (
             update pos_sales s
                set status = case when exists (select from invoice_lines l
                                                where l.tenant_id = $1 and l.invoice_id = s.invoice_id
                                                  and l.returned_quantity < l.quantity)
                                  then 'partiallyReturned' else 'returned' end
              where s.tenant_id = $1 and s.id = $4
         )
         insert into pos_sales (tenant_id, id, kind, shift_id, return_of_id, invoice_id, lead_id, currency, total, tenders,
                                sold_by, sold_at, created_at, updated_at)
         values ($1, $2, 'return', $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $11)",
        tx.tenant(),
        id,
        shift.id,
        sale.id,
        note,
        sale.lead_id,
        sale.currency,
        total,
        tenders,
        sold_by,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
