//! Noticing that a due date has passed, once.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{Invoice, list::COLUMNS};
use crate::{
    db::{DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
};

/// How many are told in one statement.
const BATCH: usize = 200;

/// Marks the invoices whose due date has passed in the tenant's zone, tells `invoice.overdue` of each, and returns how
/// many there were.
///
/// # Errors
/// When the database refuses.
pub async fn mark_overdue(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<usize> {
    let today = now.with_timezone(&tx.zone()).date_naive();
    let marked = sqlx::query_scalar!(
        "update invoices set status = 'overdue', overdue_at = $3
          where tenant_id = $1 and kind = 'invoice' and status in ('finalized', 'partiallyPaid') and due_date < $2
         returning id",
        tx.tenant(),
        today,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    for batch in marked.chunks(BATCH) {
        let mut select = QueryBuilder::new(format!("select {COLUMNS} from invoices i where i.tenant_id = "));
        select.push_bind(tx.tenant()).push(" and i.id = any(").push_bind(batch.to_vec()).push(")");
        let invoices = select.build_query_as::<Invoice>().fetch_all(tx.conn()).await?;
        let events: Vec<NewEvent> = invoices.iter().map(|invoice| overdue(now, invoice)).collect();
        emit(tx, &events).await?;
    }
    Ok(marked.len())
}

/// Keyed by the invoice: whatever happens to it later, it becomes overdue once.
fn overdue(now: DateTime<Utc>, invoice: &Invoice) -> NewEvent {
    NewEvent {
        kind: EventKind::InvoiceOverdue,
        subject_id: invoice.id,
        lead_id: invoice.lead_id,
        payload: serde_json::to_value(invoice).unwrap_or_default(),
        previous: None,
        source: "nightly",
        dedupe_key: format!("overdue:{}", invoice.id),
        cause: Cause::default(),
        occurred_at: now,
    }
}
