//! Finalizing: the number, the date, the names, and the claim in the ledger.

use chrono::{DateTime, Datelike, Utc};
use uuid::Uuid;

use super::{Invoice, Numbering, find_invoice, lock_one, numbering};
use crate::{
    db::{DbResult, TenantTx},
    events::{EventKind, NewEvent, emit},
    finance::ledger::{About, Account, Posting, post},
    http::Problem,
};

/// Gives the draft its number and makes it a claim. A document over nothing is paid at once.
///
/// # Errors
/// 404; 409 `immutable` when it is finalized already.
pub async fn finalize(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid) -> Result<Invoice, Problem> {
    let locked = lock_one(tx, id).await?.ok_or_else(Problem::not_found)?;
    if locked.status != "draft" {
        return Err(Problem::conflict("immutable", "The document is finalized already."));
    }
    let today = now.with_timezone(&tx.zone()).date_naive();
    let numbering = numbering(tx, "invoice", today.year()).await?;
    write(tx, now, id, &numbering).await?;
    let about = About { lead_id: locked.lead_id, invoice_id: Some(id), ..About::default() };
    let claim = Posting::new(&locked.currency, "invoice finalized", about)
        .debit(Account::Receivable, locked.total)
        .credit(Account::Revenue, locked.total - locked.tax)
        .credit(Account::Tax, locked.tax);
    post(tx, now, &[claim]).await?;
    find_invoice(tx, id).await?.ok_or_else(Problem::internal)
}

/// The sequence's row is locked from here to the commit: whoever finalizes next waits, and gets the next number.
async fn write(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid, numbering: &Numbering) -> DbResult<()> {
    sqlx::query!(
        "with taken as (
             insert into number_sequences (tenant_id, series, period, next_value) values ($1, $5, $6, 2)
             on conflict (tenant_id, series, period) do update set next_value = number_sequences.next_value + 1
             returning next_value - 1 as value
         )
         update invoices i
            set number = $7 || lpad(taken.value::text, greatest($8::int, length(taken.value::text)), '0') || $9,
                status = case when i.total = 0 then 'paid' else 'finalized' end,
                paid_at = case when i.total = 0 then $3::timestamptz end,
                finalized_at = $3,
                issue_date = coalesce(i.issue_date, $4::date),
                due_date = coalesce(i.due_date, coalesce(i.issue_date, $4::date)
                    + case when t.settings ->> 'paymentTermDays' ~ '^[0-9]{1,3}$'
                           then (t.settings ->> 'paymentTermDays')::int else 14 end),
                billing = jsonb_build_object(
                    'seller', jsonb_build_object('name', t.name, 'country', t.country),
                    'buyer', (select jsonb_build_object('name', nullif(concat_ws(' ', l.first_name, l.last_name), ''),
                                                        'email', l.email, 'phone', l.phone)
                                from leads l where l.tenant_id = $1 and l.id = i.lead_id))
           from taken, tenants t
          where i.tenant_id = $1 and i.id = $2 and t.id = $1",
        tx.tenant(),
        id,
        now,
        now.with_timezone(&tx.zone()).date_naive(),
        numbering.series,
        numbering.period,
        numbering.prefix,
        numbering.width,
        numbering.suffix,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Tells `invoice.finalized`, and `invoice.paid` of a document over nothing.
///
/// # Errors
/// When the database refuses.
pub async fn emit_finalized(tx: &mut TenantTx, now: DateTime<Utc>, invoice: &Invoice) -> DbResult<()> {
    let payload = serde_json::to_value(invoice).unwrap_or_default();
    let event = |kind| NewEvent::by_api(kind, now, invoice.id, invoice.lead_id, payload.clone());
    let mut events = vec![event(EventKind::InvoiceFinalized)];
    if invoice.status == "paid" {
        events.push(event(EventKind::InvoicePaid));
    }
    emit(tx, &events).await
}
