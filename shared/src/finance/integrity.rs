//! Whether the money adds up: what the ledger says against what documents and payments say.
//!
//! Constraints hold most of this row by row; these checks hold it across tables, where no constraint reaches. Each names
//! the first row that breaks it.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::db::{DbResult, TenantTx};

/// One check.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrityCheck {
    /// What is checked.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// The row (or currency, or series) that breaks it.
    pub first_violation: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Integrity {
    /// Whether all hold.
    pub ok: bool,
    /// Each of them.
    pub checks: Vec<IntegrityCheck>,
}

/// Checks all of it.
///
/// # Errors
/// When the database refuses.
pub async fn check(tx: &mut TenantTx) -> DbResult<Integrity> {
    let checks = sqlx::query_as!(
        IntegrityCheck,
        r#"
        with violations (name, first_violation) as (
            select 'ledgerBalanced', (
                select e.txn_id::text from ledger_entries e where e.tenant_id = $1
                 group by e.txn_id having sum(e.debit) <> sum(e.credit) or count(distinct e.currency) <> 1 limit 1)
            union all select 'documentsAddUp', (
                select i.id::text from invoices i
                  join (select l.invoice_id, sum(l.net) as net, sum(l.tax) as tax, sum(l.discount_share) as share
                          from invoice_lines l where l.tenant_id = $1 group by 1) l on l.invoice_id = i.id
                 where i.tenant_id = $1
                   and (i.subtotal, i.tax_total, i.discount_total) is distinct from (l.net, l.tax, l.share) limit 1)
            union all select 'documentsPaidByAllocations', (
                select i.id::text from invoices i
                  left join (select a.invoice_id, sum(a.amount) as amount from payment_allocations a
                              where a.tenant_id = $1 group by 1) a on a.invoice_id = i.id
                 where i.tenant_id = $1
                   and i.paid_total <> case i.kind when 'creditNote' then i.total else coalesce(a.amount, 0) end limit 1)
            union all select 'paymentsAllocated', (
                select p.id::text from payments p
                  left join (select a.payment_id, sum(a.amount) as amount from payment_allocations a
                              where a.tenant_id = $1 group by 1) a on a.payment_id = p.id
                 where p.tenant_id = $1 and p.applied_amount <> coalesce(a.amount, 0) limit 1)
            union all select 'refundsRecorded', (
                select p.id::text from payments p
                  left join (select r.refund_of_id, sum(r.amount) as amount from payments r
                              where r.tenant_id = $1 and r.kind = 'refund' and r.status = 'succeeded' group by 1) r
                    on r.refund_of_id = p.id
                 where p.tenant_id = $1 and p.refunded_amount <> coalesce(r.amount, 0) limit 1)
            union all select 'receivableMatchesBalances', (
                select coalesce(l.currency, d.currency) from
                    (select e.currency::text as currency, sum(e.debit - e.credit) as amount from ledger_entries e
                      where e.tenant_id = $1 and e.account = 'receivable' group by 1) l
                    full join (select i.currency::text as currency, sum(i.balance) as amount from invoices i
                                where i.tenant_id = $1 and i.status not in ('draft', 'void') group by 1) d
                      on d.currency = l.currency
                 where coalesce(l.amount, 0) <> coalesce(d.amount, 0) limit 1)
            union all select 'creditMatchesUnapplied', (
                select coalesce(l.currency, p.currency) from
                    (select e.currency::text as currency, sum(e.credit - e.debit) as amount from ledger_entries e
                      where e.tenant_id = $1 and e.account = 'customerCredit' group by 1) l
                    full join (select p.currency::text as currency, sum(p.unapplied_amount) as amount from payments p
                                where p.tenant_id = $1 and p.kind = 'payment' and p.status = 'succeeded' group by 1) p
                      on p.currency = l.currency
                 where coalesce(l.amount, 0) <> coalesce(p.amount, 0) limit 1)
            union all select 'numbersWithoutGaps', (
                select coalesce(s.series, d.kind) from
                    (select n.series, sum(n.next_value - 1) as given from number_sequences n
                      where n.tenant_id = $1 and n.series in ('invoice', 'creditNote', 'receipt') group by 1) s
                    full join (select i.kind, count(*) as held from invoices i
                                where i.tenant_id = $1 and i.number is not null group by 1) d on d.kind = s.series
                 where coalesce(s.given, 0) <> coalesce(d.held, 0) limit 1)
        )
        select v.name as "name!", v.first_violation is null as "ok!", v.first_violation from violations v
        "#,
        tx.tenant(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Integrity { ok: checks.iter().all(|check| check.ok), checks })
}
