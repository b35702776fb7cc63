//! What a document costs: the one place where amounts are multiplied, divided and rounded.
//!
//! Everything that shows totals (the preview, drafts, invoices, the till, credit notes) takes them from [`calculate`],
//! so two of them can never differ by a cent. The rules:
//!
//! * Amounts are whole minor units of the currency; nothing here knows or needs the currency's exponent.
//! * A line's price is quantity × unit price, rounded, less the line's discount. Halves are rounded away from zero.
//! * An inclusive tax is contained in that price, all of a line's inclusive rates together; an exclusive one comes on
//!   top of the net that remains. `net` + inclusive taxes is exactly the price.
//! * With rounding by *line* each line's tax is rounded by itself. With rounding by *document* the exact taxes of a rate
//!   are summed first and rounded once, and the lines share the sum by largest remainder.
//! * `subtotal` is the sum of the lines' nets. The document's discount is taken off the subtotal, each line bearing its
//!   share, and all taxes are then those of the nets that remain.
//!
//! Hence, always: `subtotal` = Σ net, `tax` = Σ line tax = Σ tax by rate, `total` = `subtotal` − `discount` + `tax`,
//! `gross` = `net` + `tax`, and nothing is negative.

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::amount::{Discount, MAX_AMOUNT, Quantity, Rate};

/// Where amounts of tax are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rounding {
    /// On each line; the document adds rounded amounts.
    #[default]
    Line,
    /// Once, on the document's sum per rate.
    Document,
}

impl Rounding {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Document => "document",
        }
    }

    /// Reads the word; anything but `document` is `line`, the default.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        if word == "document" { Self::Document } else { Self::Line }
    }
}

/// A tax that a line bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// The rate's id.
    pub id: Uuid,
    /// Its name, kept on the document.
    pub name: String,
    /// Per cent.
    pub rate: Rate,
    /// Whether prices contain it.
    pub inclusive: bool,
}

/// A line as it goes into the calculation.
#[derive(Clone, Debug)]
pub struct LineTerms {
    /// How many.
    pub quantity: Quantity,
    /// Price of one, in minor units, from 0 to [`MAX_AMOUNT`].
    pub unit_price: i64,
    /// Off this line.
    pub discount: Option<Discount>,
    /// The taxes it bears, each once.
    pub taxes: Vec<Tax>,
}

/// A line as it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTotals {
    /// Without taxes, before the document's discount.
    pub net: i64,
    /// The line's part of the document's discount.
    pub discount_share: i64,
    /// The amount of each tax, in the order of [`LineTerms::taxes`].
    pub taxes: Vec<i64>,
    /// Their sum.
    pub tax: i64,
    /// `net` + `tax`.
    pub gross: i64,
}

/// One rate's part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateTotals {
    /// The tax.
    pub tax: Tax,
    /// What it was computed on, after the document's discount.
    pub net: i64,
    /// Its amount.
    pub amount: i64,
}

/// A document as it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The lines, in order.
    pub lines: Vec<LineTotals>,
    /// Σ net.
    pub subtotal: i64,
    /// The document's discount.
    pub discount: i64,
    /// Σ tax.
    pub tax: i64,
    /// `subtotal` − `discount` + `tax`.
    pub total: i64,
    /// By rate, in order of appearance.
    pub rates: Vec<RateTotals>,
}

/// Why there are no totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalculateError {
    /// A line or the document is larger than any amount may be.
    #[error("the amount is too large")]
    TooLarge {
        /// The line, or none for the document.
        line: Option<usize>,
    },
    /// A discount is larger than what it is taken off.
    #[error("the discount is larger than the amount it is taken off")]
    DiscountTooLarge {
        /// The line, or none for the document's discount.
        line: Option<usize>,
    },
}

/// A tax of a line, not rounded yet.
struct Cell<'a> {
    line: usize,
    /// Place among the line's taxes.
    place: usize,
    tax: &'a Tax,
    exact: Decimal,
}

/// Computes a document.
///
/// # Errors
/// When an amount leaves the range of [`MAX_AMOUNT`] or a discount exceeds what it is taken off.
pub fn calculate(
    lines: &[LineTerms],
    discount: Option<Discount>,
    rounding: Rounding,
) -> Result<Totals, CalculateError> {
    let too_large = CalculateError::TooLarge { line: None };
    let prices = lines.iter().enumerate().map(|(at, line)| price(at, line)).collect::<Result<Vec<_>, _>>()?;
    bounded(prices.iter().copied()).ok_or(too_large)?;

    let mut taxes: Vec<Vec<i64>> = lines.iter().map(|line| vec![0; line.taxes.len()]).collect();
    let mut nets = prices.clone();
    // Inclusive taxes take their part out of the price, so the price is the room that they have.
    settle(&inclusive_cells(lines, &prices).ok_or(too_large)?, rounding, &mut nets, &mut taxes)
        .ok_or(too_large)?;
    let subtotal = bounded(nets.iter().copied()).ok_or(too_large)?;
    let off = document_discount(discount, subtotal)?;
    let shares = share_out(off, &nets, subtotal).ok_or(too_large)?;
    let bases: Vec<i64> = nets.iter().zip(&shares).map(|(net, share)| net - share).collect();
    let mut no_limit = vec![i64::MAX; lines.len()];
    let cells = exclusive_cells(lines, &bases, off > 0).ok_or(too_large)?;
    settle(&cells, rounding, &mut no_limit, &mut taxes).ok_or(too_large)?;
    drop(cells);

    let tax = bounded(taxes.iter().flatten().copied()).ok_or(too_large)?;
    let total = bounded([subtotal - off, tax].into_iter()).ok_or(too_large)?;
    let rates = by_rate(lines, &bases, &taxes);
    let lines = nets
        .into_iter()
        .zip(shares)
        .zip(taxes)
        .map(|((net, discount_share), taxes)| {
            let tax = taxes.iter().sum();
            LineTotals { net, discount_share, tax, gross: net + tax, taxes }
        })
        .collect();
    Ok(Totals { lines, subtotal, discount: off, tax, total, rates })
}

/// Rounds half away from zero to whole minor units.
fn round(exact: Decimal) -> Option<i64> {
    exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero).to_i64()
}

/// `amount` × `part` ÷ `whole`, rounded half away from zero; `None` when it fits no amount.
#[must_use]
pub fn proportion(amount: i64, part: Decimal, whole: Decimal) -> Option<i64> {
    round(Decimal::from(amount).checked_mul(part)?.checked_div(whole)?)
}

fn bounded(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0_i64, |sum, amount| sum.checked_add(amount).filter(|sum| *sum <= MAX_AMOUNT))
}

fn price(at: usize, line: &LineTerms) -> Result<i64, CalculateError> {
    let too_large = CalculateError::TooLarge { line: Some(at) };
    let exact = line.quantity.get().checked_mul(Decimal::from(line.unit_price)).ok_or(too_large)?;
    let full = round(exact).filter(|full| (0..=MAX_AMOUNT).contains(full)).ok_or(too_large)?;
    let off = discount_of(line.discount, full).ok_or(too_large)?;
    if off > full { Err(CalculateError::DiscountTooLarge { line: Some(at) }) } else { Ok(full - off) }
}

fn discount_of(discount: Option<Discount>, full: i64) -> Option<i64> {
    match discount {
        None => Some(0),
        Some(discount) => match discount.percent() {
            Some(percent) => proportion(full, percent.get(), Decimal::ONE_HUNDRED),
            None => discount.amount(),
        },
    }
}

fn document_discount(discount: Option<Discount>, subtotal: i64) -> Result<i64, CalculateError> {
    let off = discount_of(discount, subtotal).ok_or(CalculateError::TooLarge { line: None })?;
    if off > subtotal { Err(CalculateError::DiscountTooLarge { line: None }) } else { Ok(off) }
}

fn inclusive_cells<'a>(lines: &'a [LineTerms], prices: &[i64]) -> Option<Vec<Cell<'a>>> {
    let mut cells = Vec::new();
    for (line, (terms, price)) in lines.iter().zip(prices).enumerate() {
        let contained: Decimal =
            terms.taxes.iter().filter(|tax| tax.inclusive).map(|tax| tax.rate.get()).sum();
        for (place, tax) in terms.taxes.iter().enumerate().filter(|(_, tax)| tax.inclusive) {
            let of_price = Decimal::from(*price).checked_mul(tax.rate.get())?;
            let exact = of_price.checked_div(Decimal::ONE_HUNDRED.checked_add(contained)?)?;
            cells.push(Cell { line, place, tax, exact });
        }
    }
    Some(cells)
}

/// The taxes on top of `bases`. After a document's discount that is every tax: it is no longer the price that counts.
fn exclusive_cells<'a>(lines: &'a [LineTerms], bases: &[i64], discounted: bool) -> Option<Vec<Cell<'a>>> {
    let mut cells = Vec::new();
    for (line, (terms, base)) in lines.iter().zip(bases).enumerate() {
        for (place, tax) in terms.taxes.iter().enumerate().filter(|(_, tax)| discounted || !tax.inclusive) {
            let exact =
                Decimal::from(*base).checked_mul(tax.rate.get())?.checked_div(Decimal::ONE_HUNDRED)?;
            cells.push(Cell { line, place, tax, exact });
        }
    }
    Some(cells)
}

/// Rounds the cells into `taxes`, taking each from its line's `room`, which no tax may exceed.
fn settle(cells: &[Cell<'_>], rounding: Rounding, room: &mut [i64], taxes: &mut [Vec<i64>]) -> Option<()> {
    let groups: Vec<Vec<&Cell<'_>>> = match rounding {
        Rounding::Line => cells.iter().map(|cell| vec![cell]).collect(),
        Rounding::Document => grouped(cells),
    };
    for group in groups {
        let mut sum = Decimal::ZERO;
        for cell in &group {
            sum = sum.checked_add(cell.exact)?;
        }
        let exacts: Vec<Decimal> = group.iter().map(|cell| cell.exact).collect();
        let rooms: Vec<i64> = group.iter().map(|cell| room.get(cell.line).copied().unwrap_or(0)).collect();
        for (cell, amount) in group.iter().zip(allot(round(sum)?, &exacts, &rooms)?) {
            *room.get_mut(cell.line)? -= amount;
            *taxes.get_mut(cell.line)?.get_mut(cell.place)? = amount;
        }
    }
    Some(())
}

fn grouped<'c, 'a>(cells: &'c [Cell<'a>]) -> Vec<Vec<&'c Cell<'a>>> {
    let mut groups: Vec<Vec<&Cell<'_>>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| first.tax.id == cell.tax.id)) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

fn share_out(off: i64, nets: &[i64], subtotal: i64) -> Option<Vec<i64>> {
    if off == 0 {
        return Some(vec![0; nets.len()]);
    }
    let mut exacts = Vec::with_capacity(nets.len());
    for net in nets {
        exacts
            .push(Decimal::from(off).checked_mul(Decimal::from(*net))?.checked_div(Decimal::from(subtotal))?);
    }
    allot(off, &exacts, nets)
}

/// Shares `target` out by largest remainder: each its exact part rounded down, then one more to those who lost most,
/// the earlier first. None gets more than its room.
fn allot(target: i64, exacts: &[Decimal], rooms: &[i64]) -> Option<Vec<i64>> {
    let mut given = Vec::with_capacity(exacts.len());
    for (exact, room) in exacts.iter().zip(rooms) {
        given.push(exact.floor().to_i64()?.min(*room));
    }
    let mut left = target - given.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..exacts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(exacts.get(*at).map(Decimal::fract)));
    for at in order {
        if let (Some(amount), Some(room)) = (given.get_mut(at), rooms.get(at))
            && left > 0
            && *amount < *room
        {
            *amount += 1;
            left -= 1;
        }
    }
    Some(given)
}

fn by_rate(lines: &[LineTerms], bases: &[i64], taxes: &[Vec<i64>]) -> Vec<RateTotals> {
    let mut rates: Vec<RateTotals> = Vec::new();
    for ((line, base), amounts) in lines.iter().zip(bases).zip(taxes) {
        for (tax, amount) in line.taxes.iter().zip(amounts) {
            match rates.iter_mut().find(|rate| rate.tax.id == tax.id) {
                Some(rate) => {
                    rate.net += base;
                    rate.amount += amount;
                }
                None => rates.push(RateTotals { tax: tax.clone(), net: *base, amount: *amount }),
            }
        }
    }
    rates
}

#[cfg(test)]
mod tests;
