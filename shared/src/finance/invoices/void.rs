//! Voiding: the number stays, the claim goes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Invoice, find_invoice, lock_one};
use crate::{
    db::TenantTx,
    finance::ledger::{About, Account, Posting, post},
    http::Problem,
};

/// Voids a finalized invoice that nobody has paid anything for.
///
/// # Errors
/// 404; 409 `not_finalized` for a draft (delete it), `has_payments`, `void`, `not_payable` for other documents.
pub async fn void(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid) -> Result<Invoice, Problem> {
    let locked = lock_one(tx, id).await?.ok_or_else(Problem::not_found)?;
    locked.require_payable()?;
    if locked.balance != locked.total {
        return Err(Problem::conflict(
            "has_payments",
            "Something was paid or credited; refund it or write a credit note.",
        ));
    }
    sqlx::query!(
        "update invoices set status = 'void', voided_at = $3, next_dunning_at = null where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
        now,
    )
    .execute(tx.conn())
    .await
    .map_err(crate::db::DbError::from)?;
    let about = About { lead_id: locked.lead_id, invoice_id: Some(id), ..About::default() };
    let reversal = Posting::new(&locked.currency, "invoice voided", about)
        .credit(Account::Receivable, locked.total)
        .debit(Account::Revenue, locked.total - locked.tax)
        .debit(Account::Tax, locked.tax);
    post(tx, now, &[reversal]).await?;
    find_invoice(tx, id).await?.ok_or_else(Problem::internal)
}
