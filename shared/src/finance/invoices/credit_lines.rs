//! What a credit note takes back of a document: whole lines or parts of them, or an amount.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::settle::Locked;
use crate::{
    db::{DbResult, TenantTx},
    finance::{
        amount::Quantity,
        calculate::proportion,
        pricing::{LineTax, TaxSummary, next_share},
    },
    http::{FieldErrors, Problem},
    ids::new_id,
};

/// A part of a line that is taken back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReturnedLine {
    /// The line of the document.
    pub line_id: Uuid,
    /// How many of it.
    pub quantity: Quantity,
    /// Whether the thing goes back into the stock.
    #[serde(default)]
    pub restock: bool,
}

/// Notes what is wrong with returned lines by themselves.
pub fn check_returned(lines: &[ReturnedLine], errors: &mut FieldErrors) {
    if lines.is_empty() {
        errors.add("/lines", "required", "Say at least one line.");
    }
    if lines.len() > 200 {
        errors.add("/lines", "too_many_values", "At most 200 lines at once.");
    }
    for (at, line) in lines.iter().enumerate() {
        if lines.iter().take(at).any(|other| other.line_id == line.line_id) {
            errors.add(format!("/lines/{at}/lineId"), "duplicate_value", "Each line is named once.");
        }
    }
}

/// What is taken back, computed.
#[derive(Clone, Debug, Default)]
pub(super) struct Reversal {
    pub net: i64,
    pub tax: i64,
    /// Rows of the credit note's lines.
    pub rows: Vec<Value>,
    pub summary: Vec<TaxSummary>,
    /// Stock that comes back.
    pub restock: Vec<(Uuid, String)>,
}

impl Reversal {
    pub(super) const fn total(&self) -> i64 {
        self.net + self.tax
    }

    fn add(&mut self, row: Value, net: i64, taxes: &[LineTax]) {
        self.net += net;
        for tax in taxes {
            self.tax += tax.amount;
            match self.summary.iter_mut().find(|rate| rate.rate_id == tax.rate_id) {
                Some(rate) => {
                    rate.net += net;
                    rate.tax += tax.amount;
                }
                None => self.summary.push(TaxSummary {
                    rate_id: tax.rate_id,
                    name: tax.name.clone(),
                    rate: tax.rate,
                    net,
                    tax: tax.amount,
                }),
            }
        }
        self.rows.push(row);
    }
}

struct Line {
    id: Uuid,
    description: String,
    item_id: Option<Uuid>,
    quantity: String,
    returned: String,
    unit_price: i64,
    net: i64,
    taxes: Json<Vec<LineTax>>,
}

/// Takes parts of lines back and notes on the lines how much of them is gone. The document is locked.
///
/// # Errors
/// 422 `unknown_line`, `exceeds_quantity`.
pub(super) async fn reverse_lines(
    tx: &mut TenantTx,
    invoice: Uuid,
    returned: &[ReturnedLine],
) -> Result<Reversal, Problem> {
    let lines = find_lines(tx, invoice, returned).await?;
    let mut errors = FieldErrors::default();
    let mut reversal = Reversal::default();
    for (at, part) in returned.iter().enumerate() {
        let Some(line) = lines.iter().find(|line| line.id == part.line_id) else {
            errors.add(format!("/lines/{at}/lineId"), "unknown_line", "The document has no such line.");
            continue;
        };
        match part_of_line(line, part.quantity.get(), reversal.rows.len() + 1) {
            Some((row, net, taxes)) => reversal.add(row, net, &taxes),
            None => {
                errors.add(
                    format!("/lines/{at}/quantity"),
                    "exceeds_quantity",
                    "That is more than is left of the line.",
                );
            }
        }
        if let (true, Some(item)) = (part.restock, line.item_id) {
            reversal.restock.push((item, part.quantity.to_string()));
        }
    }
    errors.into_result()?;
    mark_returned(tx, returned).await?;
    Ok(reversal)
}

fn part_of_line(line: &Line, part: Decimal, position: usize) -> Option<(Value, i64, Vec<LineTax>)> {
    let (whole, before): (Decimal, Decimal) = (line.quantity.parse().ok()?, line.returned.parse().ok()?);
    if before.checked_add(part)? > whole {
        return None;
    }
    let net = next_share(line.net, before, part, whole)?;
    let mut taxes = line.taxes.0.clone();
    for tax in &mut taxes {
        tax.amount = next_share(tax.amount, before, part, whole)?;
    }
    let tax: i64 = taxes.iter().map(|tax| tax.amount).sum();
    let row = json!({
        "id": new_id(), "position": position, "description": line.description, "item_id": line.item_id,
        "quantity": part.to_string(), "unit_price": line.unit_price, "taxes": taxes,
        "tax_rate_ids": taxes.iter().map(|tax| tax.rate_id).collect::<Vec<_>>(),
        "net": net, "tax": tax, "gross": net + tax, "discount_share": 0,
    });
    Some((row, net, taxes))
}

async fn find_lines(tx: &mut TenantTx, invoice: Uuid, returned: &[ReturnedLine]) -> DbResult<Vec<Line>> {
    let ids: Vec<Uuid> = returned.iter().map(|line| line.line_id).collect();
    let lines = sqlx::query_as!(
        Line,
        r#"select id, description, item_id, quantity::text as "quantity!", returned_quantity::text as "returned!",
                  unit_price, net - discount_share as "net!", taxes as "taxes: Json<Vec<LineTax>>"
             from invoice_lines where tenant_id = $1 and invoice_id = $2 and id = any($3)"#,
        tx.tenant(),
        invoice,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(lines)
}

async fn mark_returned(tx: &mut TenantTx, returned: &[ReturnedLine]) -> DbResult<()> {
    let ids: Vec<Uuid> = returned.iter().map(|line| line.line_id).collect();
    let quantities: Vec<String> = returned.iter().map(|line| line.quantity.to_string()).collect();
    sqlx::query!(
        "update invoice_lines l set returned_quantity = l.returned_quantity + g.quantity::numeric
           from unnest($2::uuid[], $3::text[]) as g (id, quantity) where l.tenant_id = $1 and l.id = g.id",
        tx.tenant(),
        &ids,
        &quantities,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes an amount back, in each rate's proportion of what is left of the document: crediting the rest brings every
/// rate to nothing, to the cent.
pub(super) fn reverse_amount(invoice: &Locked, amount: i64, left: &Left) -> Option<Reversal> {
    let mut taxes = Vec::new();
    let mut summary = Vec::new();
    let (part, whole) = (Decimal::from(amount), Decimal::from(left.total));
    for rate in &left.rates {
        let tax = proportion(rate.tax, part, whole)?;
        summary.push(TaxSummary { net: proportion(rate.net, part, whole)?, tax, ..rate.clone() });
        taxes.push(LineTax {
            rate_id: rate.rate_id,
            name: rate.name.clone(),
            rate: rate.rate,
            inclusive: false,
            amount: tax,
        });
    }
    let tax: i64 = taxes.iter().map(|tax| tax.amount).sum();
    let net = amount - tax;
    let row = json!({
        "id": new_id(), "position": 1, "description": "Credit", "item_id": null, "quantity": "1", "unit_price": net.max(0),
        "taxes": taxes, "tax_rate_ids": taxes.iter().map(|tax| tax.rate_id).collect::<Vec<_>>(),
        "net": net, "tax": tax, "gross": amount, "discount_share": 0,
    });
    (net >= 0 && invoice.total >= amount).then(|| Reversal {
        net,
        tax,
        rows: vec![row],
        summary,
        restock: Vec::new(),
    })
}

/// What earlier credit notes left of a document.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub total: i64,
    pub rates: Vec<TaxSummary>,
}

/// What earlier credit notes left of a document, which is locked.
pub(super) async fn find_left(tx: &mut TenantTx, invoice: Uuid) -> DbResult<Left> {
    let rows = sqlx::query!(
        r#"select i.id, i.total - i.tip as "total!", i.tax_summary as "tax_summary: Json<Vec<TaxSummary>>"
             from invoices i where i.tenant_id = $1 and (i.id = $2 or i.credit_of_id = $2)"#,
        tx.tenant(),
        invoice,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut left = Left { total: 0, rates: Vec::new() };
    if let Some(document) = rows.iter().find(|row| row.id == invoice) {
        left = Left { total: document.total, rates: document.tax_summary.0.clone() };
    }
    for note in rows.iter().filter(|row| row.id != invoice) {
        left.total -= note.total;
        for credited in &note.tax_summary.0 {
            if let Some(rate) = left.rates.iter_mut().find(|rate| rate.rate_id == credited.rate_id) {
                rate.net = (rate.net - credited.net).max(0);
                rate.tax = (rate.tax - credited.tax).max(0);
            }
        }
    }
    Ok(left)
}
