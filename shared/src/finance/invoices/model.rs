//! The shapes of a document.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    finance::{
        amount::Discount,
        pricing::{NewLine, check_lines},
        refuse_clearing,
    },
    http::{Check, FieldErrors, Patch},
    mask::{self, Masked},
    private::Private,
    values::{Currency, Prose},
};

/// A document about money owed.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// The document.
    pub id: Uuid,
    /// `invoice`, `creditNote` (amounts positive, meaning reversed), `receipt` (of the till).
    pub kind: String,
    /// Its number; null while it is a draft.
    pub number: Option<String>,
    /// `draft`, `finalized`, `partiallyPaid`, `paid`, `overdue`, `void`.
    pub status: String,
    /// Who owes.
    pub lead_id: Option<Uuid>,
    /// A credit note's document.
    pub credit_of_id: Option<Uuid>,
    /// ISO 4217.
    pub currency: String,
    /// `line` or `document`: where its taxes were rounded.
    pub rounding: String,
    /// The lines: `{id,description,itemId,quantity,unitPrice,discount,taxRateIds,taxes,net,tax,gross,returnedQuantity}`.
    #[schema(value_type = Vec<Object>)]
    pub lines: Private<Value>,
    /// Σ net of the lines, before the document's discount.
    pub subtotal: i64,
    /// The document's discount, minor units.
    pub discount: i64,
    /// The same as it was written: `{amount}` or `{percent}`.
    #[schema(value_type = Option<Discount>)]
    pub document_discount: Option<Value>,
    /// Σ tax.
    pub tax: i64,
    /// Till: what was given on top.
    pub tip: i64,
    /// `subtotal` − `discount` + `tax` + `tip`.
    pub total: i64,
    /// What payments and credit notes settled.
    pub paid: i64,
    /// `total` − `paid`.
    pub balance: i64,
    /// By rate: `{rateId,name,rate,net,tax}`.
    #[schema(value_type = Vec<super::super::pricing::TaxSummary>)]
    pub tax_summary: Value,
    /// Seller and buyer as they were when it was finalized.
    #[schema(value_type = Object)]
    pub billing: Private<Value>,
    /// A word to the buyer.
    pub memo: Option<Private<String>>,
    /// Its date; the day it is finalized when left out.
    pub issue_date: Option<NaiveDate>,
    /// Until when it is to be paid.
    pub due_date: Option<NaiveDate>,
    /// When it got its number.
    pub finalized_at: Option<DateTime<Utc>>,
    /// When it was fully paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was noticed to be overdue.
    pub overdue_at: Option<DateTime<Utc>>,
    /// When it was voided.
    pub voided_at: Option<DateTime<Utc>>,
    /// When the draft was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Raised by every change; the `ETag`.
    pub version: i64,
}

impl Masked for Invoice {
    fn masked(self) -> Self {
        let billing = self.billing.map(|mut billing| {
            for field in ["email", "phone"] {
                if let Some(shown) = billing.pointer_mut(&format!("/buyer/{field}"))
                    && let Some(text) = shown.as_str()
                {
                    *shown = mask::address(Private::new(text.to_owned())).into_inner().into();
                }
            }
            if let Some(name) = billing.pointer_mut("/buyer/name") {
                *name = name.take().masked();
            }
            billing
        });
        // Only the words of a line: its quantities are digits as well.
        let lines = self.lines.map(|mut lines| {
            for line in lines.as_array_mut().into_iter().flatten() {
                if let Some(description) = line.get_mut("description") {
                    *description = description.take().masked();
                }
            }
            lines
        });
        Self { billing, lines, memo: self.memo.masked(), ..self }
    }
}

/// A draft that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvoice {
    /// Who owes.
    #[serde(default)]
    pub lead_id: Option<Uuid>,
    /// ISO 4217; the business's own when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// The lines.
    pub lines: Vec<NewLine>,
    /// Off the subtotal.
    #[serde(default)]
    pub discount: Option<Discount>,
    /// A word to the buyer.
    #[serde(default)]
    pub memo: Option<Prose>,
    /// Its date; the day it is finalized when left out.
    #[serde(default)]
    pub issue_date: Option<NaiveDate>,
    /// Until when it is to be paid; the business's term when left out.
    #[serde(default)]
    pub due_date: Option<NaiveDate>,
}

impl Check for NewInvoice {
    fn check(&self, errors: &mut FieldErrors) {
        check_lines(&self.lines, errors);
        check_dates(errors, self.issue_date, self.due_date);
    }
}

/// What changes on a draft.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvoicePatch {
    /// Who owes.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub lead_id: Patch<Uuid>,
    /// ISO 4217.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Patch<Currency>,
    /// All lines anew.
    #[serde(default)]
    #[schema(value_type = Option<Vec<NewLine>>)]
    pub lines: Patch<Vec<NewLine>>,
    /// Off the subtotal.
    #[serde(default)]
    #[schema(value_type = Option<Discount>)]
    pub discount: Patch<Discount>,
    /// A word to the buyer.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub memo: Patch<Prose>,
    /// Its date.
    #[serde(default)]
    #[schema(value_type = Option<NaiveDate>)]
    pub issue_date: Patch<NaiveDate>,
    /// Until when it is to be paid.
    #[serde(default)]
    #[schema(value_type = Option<NaiveDate>)]
    pub due_date: Patch<NaiveDate>,
}

impl Check for InvoicePatch {
    fn check(&self, errors: &mut FieldErrors) {
        refuse_clearing(errors, "/currency", &self.currency);
        refuse_clearing(errors, "/lines", &self.lines);
        if let Patch::Set(lines) = &self.lines {
            check_lines(lines, errors);
        }
        check_dates(errors, self.issue_date.as_set().copied(), self.due_date.as_set().copied());
    }
}

fn check_dates(errors: &mut FieldErrors, issue: Option<NaiveDate>, due: Option<NaiveDate>) {
    if let (Some(issue), Some(due)) = (issue, due)
        && due < issue
    {
        errors.add("/dueDate", "due_before_issue", "It would be due before it is issued.");
    }
    for (pointer, date) in [("/issueDate", issue), ("/dueDate", due)] {
        // Years that every calendar in the way can print.
        if date.is_some_and(|date| !(1970..=9999).contains(&chrono::Datelike::year(&date))) {
            errors.add(pointer, "out_of_range", "A date between 1970 and 9999 is expected.");
        }
    }
}
