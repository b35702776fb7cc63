//! The shapes of a payment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    finance::{amount::PositiveAmount, ledger::Tender},
    http::{Check, FieldErrors},
    values::{Currency, Line},
};

/// Money that came in, or went back. Amounts are positive either way.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The payment.
    pub id: Uuid,
    /// `payment` or `refund`.
    pub kind: String,
    /// `pending`, `succeeded`, `failed`, `canceled`.
    pub status: String,
    /// Whose money it is.
    pub lead_id: Option<Uuid>,
    /// The invoice that it was made for.
    pub invoice_id: Option<Uuid>,
    /// A refund's payment.
    pub refund_of_id: Option<Uuid>,
    /// The sale at the till.
    pub sale_id: Option<Uuid>,
    /// The shift.
    pub shift_id: Option<Uuid>,
    /// `cash`, `card`, `bank`, `voucher`, `credit`, `other`.
    pub tender: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// What settled documents.
    pub applied: i64,
    /// What went back.
    pub refunded: i64,
    /// The customer's credit: the rest.
    pub unapplied: i64,
    /// The payer's or the bank's reference.
    pub reference: Option<String>,
    /// A refund's reason.
    pub reason: Option<String>,
    /// The provider that collected it.
    pub provider: Option<String>,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// When the money moved.
    pub received_at: DateTime<Utc>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// Raised by every change; the `ETag`.
    pub version: i64,
}

/// A payment of one invoice.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvoicePayment {
    /// Minor units. What exceeds the balance is the customer's credit.
    pub amount: PositiveAmount,
    /// ISO 4217; the invoice's when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// How it was paid. `credit` spends what the customer has with the business.
    pub tender: Tender,
    /// When the money came; now when left out.
    #[serde(default)]
    pub received_at: Option<DateTime<Utc>>,
    /// The payer's or the bank's reference.
    #[serde(default)]
    pub reference: Option<Line>,
}

impl Check for InvoicePayment {}

/// A payment that is not (or not only) for one invoice.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPayment {
    /// Whose money it is.
    #[serde(default)]
    pub lead_id: Option<Uuid>,
    /// The invoice that it pays; none: all of it is the customer's credit.
    #[serde(default)]
    pub invoice_id: Option<Uuid>,
    /// Minor units.
    pub amount: PositiveAmount,
    /// ISO 4217; the invoice's, or the business's own, when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// How it was paid.
    pub tender: Tender,
    /// When the money came; now when left out.
    #[serde(default)]
    pub received_at: Option<DateTime<Utc>>,
    /// The payer's or the bank's reference.
    #[serde(default)]
    pub reference: Option<Line>,
}

impl Check for NewPayment {
    fn check(&self, errors: &mut FieldErrors) {
        if self.lead_id.is_none() && self.invoice_id.is_none() {
            errors.add("/leadId", "required", "Say whose money it is, or which invoice it pays.");
        }
        if self.invoice_id.is_none() && self.tender == Tender::Credit {
            errors.add("/tender", "unknown_value", "Credit is spent on an invoice.");
        }
    }
}

/// What is to be given back.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefundRequest {
    /// Minor units; everything that is left when left out.
    #[serde(default)]
    pub amount: Option<PositiveAmount>,
    /// How it goes back; the way it came when left out.
    #[serde(default)]
    pub tender: Option<Tender>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Line>,
}

impl Check for RefundRequest {}

/// A part of a payment for one invoice.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Share {
    /// The invoice.
    pub invoice_id: Uuid,
    /// Minor units.
    pub amount: PositiveAmount,
}

/// Which invoices a payment settles with what it has left.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllocationRequest {
    /// The parts.
    pub allocations: Vec<Share>,
}

impl Check for AllocationRequest {
    fn check(&self, errors: &mut FieldErrors) {
        if self.allocations.is_empty() {
            errors.add("/allocations", "required", "Say at least one invoice.");
        }
        if self.allocations.len() > 100 {
            errors.add("/allocations", "too_many_values", "At most 100 invoices at once.");
        }
        for (at, share) in self.allocations.iter().enumerate() {
            if self.allocations.iter().take(at).any(|other| other.invoice_id == share.invoice_id) {
                errors.add(
                    format!("/allocations/{at}/invoiceId"),
                    "duplicate_value",
                    "Each invoice is named once.",
                );
            }
        }
    }
}
