//! Finance: what is sold, what is owed, what was paid, and the till.
//!
//! Four rules hold this area together, and [`integrity`] checks them against the rows themselves:
//!
//! * Amounts are whole minor units, and one function computes documents ([`calculate`]).
//! * A finalized document never changes; money and credit notes are allocated to it ([`invoices`]).
//! * Every movement of money stands twice in the ledger, in the transaction of its cause ([`ledger`]).
//! * What two requests could do at once is decided by a row lock or a constraint, never by having looked before.

pub mod amount;
pub mod calculate;
pub mod catalog;
pub mod integrity;
pub mod invoices;
pub mod ledger;
pub mod payments;
pub mod pos;
mod priced;
pub mod pricing;
pub mod reports;
pub mod tax_rates;
pub mod whose;

pub use invoices::mark_overdue;
pub use payments::{PaymentNews, PaymentNewsKind, Reconciled, reconcile};

use chrono::NaiveDate;

use crate::http::{FieldErrors, Params, Patch};

/// Notes an error for a field that a PATCH may change but not clear.
fn refuse_clearing<T>(errors: &mut FieldErrors, pointer: &str, patch: &Patch<T>) {
    if matches!(patch, Patch::Clear) {
        errors.add(pointer, "required", "This field cannot be empty.");
    }
}

/// A plain date in a query string.
fn read_date(params: &mut Params, name: &str) -> Option<NaiveDate> {
    let text = params.text(name)?;
    let date = text.parse().ok();
    if date.is_none() {
        params.refuse(name, "invalid_time", "A date like 2026-03-01 is expected.");
    }
    date
}
