//! Selling.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{NewSale, Sale, TenderedAmount, find_sale, shift::LockedShift, shift::join_shift};
use crate::{
    db::{DbError, DbResult, TenantTx},
    events::{EventKind, NewEvent, emit},
    finance::{
        amount::Amount,
        catalog::move_stock,
        invoices::{Allocation, Document, insert_document, settle, tax_summary},
        ledger::{About, Account, Posting, Tender, post},
        payments::{Incoming, insert_payments, spend_credit},
        pricing::{Calculation, Priced, price},
    },
    http::Problem,
    ids::new_id,
    values::{Currency, Line},
};

/// The constraint that says: the till has sent this sale before.
const SENT_BEFORE: &str = "pos_sales_tenant_id_client_sale_id_key";

/// What came of a sale.
#[derive(Clone, Debug)]
pub enum Sold {
    /// It was made now.
    Now(Sale),
    /// The till had sent it before.
    Before(Sale),
}

/// Sells: a receipt with its number, payments that settle it, stock and ledger moved, `sale.completed` told. A sale that
/// the till sends again is answered as it was made.
///
/// # Errors
/// 409 `no_open_shift`, `insufficient_credit`; 422 `underpaid`, `overpaid`, `unknown_lead`, and what pricing refuses.
pub async fn sell(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewSale,
    sold_by: Option<Uuid>,
) -> Result<Sold, Problem> {
    let client_id = new.client_sale_id.as_ref().map(Line::as_str).map(str::to_owned);
    if let Some(client_id) = &client_id
        && let Some(sale) = find_sale(tx, None, Some(client_id)).await?
    {
        return Ok(Sold::Before(sale));
    }
    match write(tx, now, new, sold_by).await {
        Err(problem) if problem.constraint() == Some(SENT_BEFORE) => {
            // Its twin won: nothing of this one stays, and the answer is the twin's.
            tx.restart().await?;
            let sale = find_sale(tx, None, client_id.as_deref()).await?;
            sale.map(Sold::Before).ok_or_else(Problem::internal)
        }
        Err(problem) if problem.constraint() == Some("invoices_lead_id_fkey") => {
            Err(Problem::invalid("/leadId", "unknown_lead", "There is no such lead."))
        }
        written => written.map(Sold::Now),
    }
}

async fn write(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewSale,
    sold_by: Option<Uuid>,
) -> Result<Sale, Problem> {
    let shift = join_shift(tx, new.shift_id, None).await?;
    let currency = Currency::try_from(shift.currency.clone()).map_err(|_| Problem::internal())?;
    let asked = Calculation {
        currency: Some(currency),
        lines: new.lines.clone(),
        discount: new.discount,
        rounding: None,
    };
    let priced = price(tx, &asked, &[]).await?;
    let tip = new.tip.map_or(0, Amount::get);
    let total = priced.total + tip;
    let change = change(&new.tenders, total)?;
    let sale =
        Writing { id: new_id(), document: new_id(), shift: &shift, new: &new, tip, total, change, sold_by };
    insert_document(tx, now, &sale.receipt(&priced)).await?;
    sale.insert(tx, now).await?;
    sale.take_money(tx, now).await?;
    sale.post(tx, now, &priced).await?;
    let sold =
        priced.lines.iter().filter_map(|line| line.item_id.map(|item| (item, format!("-{}", line.quantity))));
    move_stock(tx, &sold.collect::<Vec<_>>()).await?;
    let sale = find_sale(tx, Some(sale.id), None).await?.ok_or_else(Problem::internal)?;
    let payload = serde_json::to_value(&sale).unwrap_or_default();
    emit(tx, &[NewEvent::by_api(EventKind::SaleCompleted, now, sale.id, sale.lead_id, payload)]).await?;
    Ok(sale)
}

/// What is given back in cash. Only cash can be more than needed.
fn change(tenders: &[TenderedAmount], total: i64) -> Result<i64, Problem> {
    let sum = |wanted: fn(&&TenderedAmount) -> bool| -> i64 {
        tenders.iter().filter(wanted).map(|one| one.amount.get()).sum()
    };
    let (all, cash) = (sum(|_| true), sum(|one| one.tender == Tender::Cash));
    if all < total {
        let detail = format!("{} is missing.", total - all);
        return Err(Problem::invalid("/tenders", "underpaid", detail).with("due", total));
    }
    if all - total > cash {
        let detail = "Only cash can be more than needed; the rest is exact.";
        return Err(Problem::invalid("/tenders", "overpaid", detail).with("due", total));
    }
    Ok(all - total)
}

/// A sale on its way into the tables.
struct Writing<'a> {
    id: Uuid,
    document: Uuid,
    shift: &'a LockedShift,
    new: &'a NewSale,
    tip: i64,
    total: i64,
    change: i64,
    sold_by: Option<Uuid>,
}

impl Writing<'_> {
    fn receipt(&self, priced: &Priced) -> Document {
        Document {
            id: self.document,
            kind: "receipt",
            lead_id: self.new.lead_id,
            credit_of_id: None,
            currency: priced.currency.clone(),
            rounding: priced.rounding,
            terms: priced.terms,
            subtotal: priced.subtotal,
            discount: priced.discount,
            tax: priced.tax,
            tip: self.tip,
            total: self.total,
            settled: false,
            tax_summary: tax_summary(priced),
            memo: None,
            created_by: self.sold_by,
            lines: priced.rows(),
        }
    }

    async fn insert(&self, tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<()> {
        sqlx::query!(
            "insert into pos_sales (tenant_id, id, shift_id, client_sale_id, invoice_id, lead_id, currency, total, tip,
                                    change_given, tenders, sold_by, sold_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)",
            tx.tenant(),
            self.id,
            self.shift.id,
            self.new.client_sale_id.as_ref().map(Line::as_str),
            self.document,
            self.new.lead_id,
            self.shift.currency,
            self.total,
            self.tip,
            self.change,
            json!(self.new.tenders),
            self.sold_by,
            self.new.sold_at.unwrap_or(now),
            now,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    /// What each tender pays: cash without the change.
    fn kept(&self) -> Vec<(Tender, i64)> {
        let mut change = self.change;
        let mut kept = Vec::new();
        for one in self.new.tenders.iter().rev() {
            let back = if one.tender == Tender::Cash { change.min(one.amount.get()) } else { 0 };
            change -= back;
            if one.amount.get() > back {
                kept.push((one.tender, one.amount.get() - back));
            }
        }
        kept.reverse();
        kept
    }

    async fn take_money(&self, tx: &mut TenantTx, now: DateTime<Utc>) -> Result<(), Problem> {
        let kept = self.kept();
        let credit: i64 =
            kept.iter().filter(|(tender, _)| *tender == Tender::Credit).map(|(_, amount)| amount).sum();
        if credit > 0 {
            spend_credit(tx, now, self.new.lead_id, &self.shift.currency, credit).await?;
        }
        let payments: Vec<Incoming> = kept
            .into_iter()
            .map(|(tender, amount)| Incoming {
                lead_id: self.new.lead_id,
                invoice_id: Some(self.document),
                sale_id: Some(self.id),
                shift_id: Some(self.shift.id),
                created_by: self.sold_by,
                ..Incoming::new(tender, amount, &self.shift.currency, self.new.sold_at.unwrap_or(now))
            })
            .collect();
        insert_payments(tx, now, &payments).await?;
        let allocations: Vec<Allocation> = payments
            .iter()
            .map(|payment| Allocation::of_payment(payment.id, self.document, payment.amount))
            .collect();
        settle(tx, now, &allocations).await?;
        Ok(())
    }

    async fn post(&self, tx: &mut TenantTx, now: DateTime<Utc>, priced: &Priced) -> Result<(), DbError> {
        let about = About {
            lead_id: self.new.lead_id,
            invoice_id: Some(self.document),
            sale_id: Some(self.id),
            shift_id: Some(self.shift.id),
            ..About::default()
        };
        let posting = Posting::new(&self.shift.currency, "sale", about)
            .credit(Account::Revenue, priced.total - priced.tax)
            .credit(Account::Tax, priced.tax)
            .credit(Account::Tips, self.tip);
        let posting = self
            .kept()
            .into_iter()
            .fold(posting, |posting, (tender, amount)| posting.debit(tender.account(), amount));
        post(tx, now, &[posting]).await
    }
}
