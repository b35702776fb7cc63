//! From what a caller wrote to a priced document: tax rates and catalogue items are looked up, then [`calculate`] decides.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

pub use super::priced::{LineTax, Priced, PricedLine, TaxSummary};
use super::{
    amount::{Amount, Discount, Quantity},
    calculate::{CalculateError, LineTerms, LineTotals, Rounding, Tax, Totals, calculate},
    priced::exponent,
};
use crate::{
    db::{DbResult, TenantTx},
    http::{Check, FieldErrors, Problem},
    values::{Currency, Line},
};

/// The most lines that a document may have.
const MAX_LINES: usize = 200;
/// The most taxes that a line may bear.
const MAX_TAXES: usize = 10;

/// A line as a caller writes it. With `itemId` the catalogue fills in what is left out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLine {
    /// What it is; the item's name when left out.
    #[serde(default)]
    pub description: Option<Line>,
    /// An item of the catalogue.
    #[serde(default)]
    pub item_id: Option<Uuid>,
    /// How many, as decimal text.
    pub quantity: Quantity,
    /// Price of one in minor units; the item's when left out.
    #[serde(default)]
    pub unit_price: Option<Amount>,
    /// Off this line.
    #[serde(default)]
    pub discount: Option<Discount>,
    /// Tax rates; the item's when left out.
    #[serde(default)]
    pub tax_rate_ids: Option<Vec<Uuid>>,
}

/// Notes what is wrong with lines by themselves.
pub fn check_lines(lines: &[NewLine], errors: &mut FieldErrors) {
    match lines.len() {
        0 => errors.add("/lines", "required", "A document has at least one line."),
        1..=MAX_LINES => {}
        _ => errors.add("/lines", "too_many_values", "A document has at most 200 lines."),
    }
    for (at, line) in lines.iter().enumerate() {
        if line.item_id.is_none() && line.description.is_none() {
            errors.add(format!("/lines/{at}/description"), "required", "Say what it is, or name an item.");
        }
        if line.item_id.is_none() && line.unit_price.is_none() {
            errors.add(format!("/lines/{at}/unitPrice"), "required", "Say the price, or name an item.");
        }
        let rates = line.tax_rate_ids.as_deref().unwrap_or_default();
        if rates.len() > MAX_TAXES {
            errors.add(
                format!("/lines/{at}/taxRateIds"),
                "too_many_values",
                "A line bears at most ten taxes.",
            );
        }
        if rates.iter().enumerate().any(|(place, id)| rates.iter().take(place).any(|other| other == id)) {
            errors.add(format!("/lines/{at}/taxRateIds"), "duplicate_value", "A line bears a tax once.");
        }
    }
}

/// What is to be calculated without being written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calculation {
    /// ISO 4217; the business's own when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// The lines.
    pub lines: Vec<NewLine>,
    /// Off the subtotal.
    #[serde(default)]
    pub discount: Option<Discount>,
    /// Where taxes are rounded; the business's setting when left out.
    #[serde(default)]
    pub rounding: Option<Rounding>,
}

impl Check for Calculation {
    fn check(&self, errors: &mut FieldErrors) {
        check_lines(&self.lines, errors);
    }
}

/// Prices a document. Archived tax rates may be used only when they are among `kept`: those that it already bears.
///
/// # Errors
/// 422 for unknown items and rates, a currency that is not an item's, and what [`calculate`] refuses.
pub async fn price(tx: &mut TenantTx, asked: &Calculation, kept: &[Uuid]) -> Result<Priced, Problem> {
    let references = find_references(tx, &asked.lines, kept).await?;
    let currency =
        asked.currency.as_ref().map_or(tx.settings().currency.as_str(), Currency::as_str).to_owned();
    let resolved = resolve(&asked.lines, &currency, &references)?;
    let rounding = asked.rounding.unwrap_or(references.rounding);
    let terms: Vec<LineTerms> = resolved.iter().map(|line| line.terms.clone()).collect();
    let totals = calculate(&terms, asked.discount, rounding).map_err(refused)?;
    Ok(priced(currency, rounding, asked.discount, resolved, totals))
}

fn refused(error: CalculateError) -> Problem {
    match error {
        CalculateError::TooLarge { line: Some(line) } => Problem::invalid(
            format!("/lines/{line}"),
            "amount_too_large",
            "The line is larger than any amount may be.",
        ),
        CalculateError::TooLarge { line: None } => {
            Problem::invalid("/lines", "amount_too_large", "The document is larger than any amount may be.")
        }
        CalculateError::DiscountTooLarge { line: Some(line) } => Problem::invalid(
            format!("/lines/{line}/discount"),
            "discount_too_large",
            "It is larger than the line.",
        ),
        CalculateError::DiscountTooLarge { line: None } => {
            Problem::invalid("/discount", "discount_too_large", "It is larger than the subtotal.")
        }
    }
}

struct References {
    rounding: Rounding,
    rates: HashMap<Uuid, Tax>,
    items: HashMap<Uuid, Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    id: Uuid,
    name: String,
    unit_price: i64,
    currency: String,
    tax_rate_ids: Vec<Uuid>,
}

async fn find_references(tx: &mut TenantTx, lines: &[NewLine], kept: &[Uuid]) -> DbResult<References> {
    let rates: Vec<Uuid> =
        lines.iter().flat_map(|line| line.tax_rate_ids.iter().flatten().copied()).collect();
    let items: Vec<Uuid> = lines.iter().filter_map(|line| line.item_id).collect();
    let found = sqlx::query!(
        r#"select coalesce(t.settings ->> 'rounding', 'line') as "rounding!",
                  coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name,
                                                                'rate', trim_scale(r.rate)::text, 'inclusive', r.inclusive))
                              from tax_rates r
                             where r.tenant_id = $1 and (r.archived_at is null or r.id = any($4))
                               and (r.id = any($2) or r.id in (select unnest(i.tax_rate_ids) from catalog_items i
                                                                where i.tenant_id = $1 and i.id = any($3)))),
                           '[]') as "rates!: Json<Vec<Tax>>",
                  coalesce((select jsonb_agg(jsonb_build_object('id', i.id, 'name', i.name, 'unit_price', i.unit_price,
                                                                'currency', i.currency, 'tax_rate_ids', i.tax_rate_ids))
                              from catalog_items i
                             where i.tenant_id = $1 and i.id = any($3) and i.archived_at is null),
                           '[]') as "items!: Json<Vec<Item>>"
             from tenants t where t.id = $1"#,
        tx.tenant(),
        &rates,
        &items,
        kept,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(References {
        rounding: Rounding::from_word(&found.rounding),
        rates: found.rates.0.into_iter().map(|rate| (rate.id, rate)).collect(),
        items: found.items.0.into_iter().map(|item| (item.id, item)).collect(),
    })
}

struct Resolved {
    description: String,
    item_id: Option<Uuid>,
    terms: LineTerms,
}

fn resolve(lines: &[NewLine], currency: &str, references: &References) -> Result<Vec<Resolved>, Problem> {
    let mut errors = FieldErrors::default();
    let mut resolved = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let item = line.item_id.and_then(|id| references.items.get(&id));
        match item {
            None if line.item_id.is_some() => {
                errors.add(
                    format!("/lines/{at}/itemId"),
                    "unknown_item",
                    "There is no such item in the catalogue.",
                );
            }
            Some(item) if item.currency != currency && line.unit_price.is_none() => {
                let detail = format!("The item is priced in {}; say a price in {currency}.", item.currency);
                errors.add(format!("/lines/{at}/itemId"), "currency_mismatch", detail);
            }
            None | Some(_) => {}
        }
        let mut taxes = Vec::new();
        for (place, id) in line.tax_rate_ids.iter().flatten().enumerate() {
            match references.rates.get(id) {
                Some(tax) => taxes.push(tax.clone()),
                None => {
                    let pointer = format!("/lines/{at}/taxRateIds/{place}");
                    errors.add(pointer, "unknown_tax_rate", "There is no such tax rate.");
                }
            }
        }
        if let (None, Some(item)) = (&line.tax_rate_ids, item) {
            // A rate archived since is no reason to refuse the sale of the item.
            taxes.extend(item.tax_rate_ids.iter().filter_map(|id| references.rates.get(id)).cloned());
        }
        let name = line.description.as_ref().map(|name| name.as_str().to_owned());
        resolved.push(Resolved {
            description: name.or_else(|| item.map(|item| item.name.clone())).unwrap_or_default(),
            item_id: line.item_id,
            terms: LineTerms {
                quantity: line.quantity,
                unit_price: line
                    .unit_price
                    .map(Amount::get)
                    .or_else(|| item.map(|item| item.unit_price))
                    .unwrap_or(0),
                discount: line.discount,
                taxes,
            },
        });
    }
    errors.into_result()?;
    Ok(resolved)
}

fn priced(
    currency: String,
    rounding: Rounding,
    terms: Option<Discount>,
    lines: Vec<Resolved>,
    totals: Totals,
) -> Priced {
    let tax_summary = totals.rates.into_iter().map(|rate| TaxSummary {
        rate_id: rate.tax.id,
        name: rate.tax.name,
        rate: rate.tax.rate,
        net: rate.net,
        tax: rate.amount,
    });
    Priced {
        exponent: exponent(&currency),
        currency,
        rounding,
        lines: lines.into_iter().zip(totals.lines).map(|(line, totals)| priced_line(line, &totals)).collect(),
        subtotal: totals.subtotal,
        discount: totals.discount,
        tax: totals.tax,
        total: totals.total,
        tax_summary: tax_summary.collect(),
        terms,
    }
}

fn priced_line(line: Resolved, totals: &LineTotals) -> PricedLine {
    let taxes = line.terms.taxes.into_iter().zip(&totals.taxes).map(|(tax, amount)| LineTax {
        rate_id: tax.id,
        name: tax.name,
        rate: tax.rate,
        inclusive: tax.inclusive,
        amount: *amount,
    });
    PricedLine {
        description: line.description,
        item_id: line.item_id,
        quantity: line.terms.quantity,
        unit_price: line.terms.unit_price,
        discount: line.terms.discount,
        taxes: taxes.collect(),
        net: totals.net,
        tax: totals.tax,
        gross: totals.gross,
        discount_share: totals.discount_share,
    }
}

/// What `part` of `whole` is worth of an amount, as the difference of two rounded shares: parts that are taken one after
/// the other sum to the whole, to the cent.
pub(super) fn next_share(amount: i64, before: Decimal, part: Decimal, whole: Decimal) -> Option<i64> {
    let after = super::calculate::proportion(amount, before.checked_add(part)?, whole)?;
    after.checked_sub(super::calculate::proportion(amount, before, whole)?)
}
