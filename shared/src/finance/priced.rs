//! The shapes of a priced document.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    amount::{Discount, Quantity, Rate},
    calculate::Rounding,
};
use crate::ids::new_id;

/// A tax as a line shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineTax {
    /// The rate.
    pub rate_id: Uuid,
    /// Its name when the document was made.
    pub name: String,
    /// Per cent.
    pub rate: Rate,
    /// Whether the price contains it.
    pub inclusive: bool,
    /// Minor units.
    pub amount: i64,
}

/// One rate's part of a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaxSummary {
    /// The rate.
    pub rate_id: Uuid,
    /// Its name when the document was made.
    pub name: String,
    /// Per cent.
    pub rate: Rate,
    /// What it was computed on, in minor units.
    pub net: i64,
    /// Minor units.
    pub tax: i64,
}

/// A line with its price.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PricedLine {
    /// What it is.
    pub description: String,
    /// The item of the catalogue.
    pub item_id: Option<Uuid>,
    /// How many.
    pub quantity: Quantity,
    /// Price of one, minor units.
    pub unit_price: i64,
    /// Off this line.
    pub discount: Option<Discount>,
    /// Its taxes.
    pub taxes: Vec<LineTax>,
    /// Without taxes, before the document's discount.
    pub net: i64,
    /// Σ taxes.
    pub tax: i64,
    /// `net` + `tax`.
    pub gross: i64,
    /// Its part of the document's discount.
    #[serde(skip)]
    pub discount_share: i64,
}

/// A document with its prices.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Priced {
    /// ISO 4217.
    pub currency: String,
    /// Digits of the currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD.
    pub exponent: u16,
    /// Where taxes were rounded.
    pub rounding: Rounding,
    /// The lines.
    pub lines: Vec<PricedLine>,
    /// Σ net before the document's discount.
    pub subtotal: i64,
    /// The document's discount.
    pub discount: i64,
    /// Σ tax.
    pub tax: i64,
    /// `subtotal` − `discount` + `tax`.
    pub total: i64,
    /// By rate.
    pub tax_summary: Vec<TaxSummary>,
    /// The discount as it was written.
    #[serde(skip)]
    pub terms: Option<Discount>,
}

impl Priced {
    /// The lines as `jsonb_to_recordset` reads them into `invoice_lines`.
    pub(super) fn rows(&self) -> Value {
        let rows = self.lines.iter().zip(1..).map(|(line, position)| {
            json!({
                "id": new_id(), "position": position, "description": line.description, "item_id": line.item_id,
                "quantity": line.quantity, "unit_price": line.unit_price,
                "discount_amount": line.discount.and_then(Discount::amount),
                "discount_percent": line.discount.and_then(Discount::percent),
                "tax_rate_ids": line.taxes.iter().map(|tax| tax.rate_id).collect::<Vec<_>>(),
                "taxes": line.taxes, "net": line.net, "tax": line.tax, "gross": line.gross,
                "discount_share": line.discount_share,
            })
        });
        rows.collect()
    }
}

/// Digits of a currency's minor unit (ISO 4217).
#[must_use]
pub(super) fn exponent(currency: &str) -> u16 {
    iso_currency::Currency::from_code(currency).and_then(iso_currency::Currency::exponent).unwrap_or(0)
}
