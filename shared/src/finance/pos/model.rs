//! The shapes of the till.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    finance::{
        amount::{Amount, Discount, PositiveAmount},
        invoices::{ReturnedLine, check_returned},
        ledger::Tender,
        pricing::{NewLine, check_lines},
    },
    http::{Check, FieldErrors},
    private::Private,
    values::{Currency, Line},
};

/// A till from opening to closing.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// The shift.
    pub id: Uuid,
    /// Which till.
    pub register_key: String,
    /// `open`; `ended`: no more sales, not yet counted; `closed`: for good.
    pub status: String,
    /// ISO 4217.
    pub currency: String,
    /// What was in the drawer at first, minor units.
    pub open_float: i64,
    /// What should be in the drawer. Null in lists until it is closed.
    pub expected_cash: Option<i64>,
    /// What was counted.
    pub counted_cash: Option<i64>,
    /// `countedCash` − `expectedCash`.
    pub over_short: Option<i64>,
    /// The day's totals. Null in lists until it is closed.
    #[schema(value_type = Option<Object>)]
    pub z_report: Option<Value>,
    /// Who opened it.
    pub opened_by: Option<Uuid>,
    /// Who closed it.
    pub closed_by: Option<Uuid>,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When sales ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it was counted and closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// Raised by every change.
    pub version: i64,
}

/// A shift with its movements; an open one shows what should be in the drawer now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShiftDetail {
    /// The shift.
    #[serde(flatten)]
    pub shift: Shift,
    /// Cash put in and taken out, in order.
    pub movements: Vec<Movement>,
}

/// Cash put in or taken out, or the drawer opened without a sale.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// The movement.
    pub id: Uuid,
    /// The shift.
    pub shift_id: Uuid,
    /// `paidIn`, `paidOut`, `noSale`.
    pub kind: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A shift that is about to begin.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewShift {
    /// Which till.
    pub register_key: Line,
    /// What is in the drawer, minor units.
    pub open_float: Amount,
    /// ISO 4217; the business's own when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
}

impl Check for NewShift {}

/// What happens with a drawer's cash outside sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MovementKind {
    /// Put in.
    PaidIn,
    /// Taken out.
    PaidOut,
    /// Opened without a sale.
    NoSale,
}

impl MovementKind {
    /// The word in the database and on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PaidIn => "paidIn",
            Self::PaidOut => "paidOut",
            Self::NoSale => "noSale",
        }
    }
}

/// A movement that is about to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMovement {
    /// What happened.
    pub kind: MovementKind,
    /// Minor units; nothing for `noSale`.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Line>,
}

impl Check for NewMovement {
    fn check(&self, errors: &mut FieldErrors) {
        let amount = self.amount.map_or(0, Amount::get);
        match self.kind {
            MovementKind::NoSale if amount != 0 => {
                errors.add("/amount", "invalid_amount", "Opening the drawer moves no money.");
            }
            MovementKind::PaidIn | MovementKind::PaidOut if amount == 0 => {
                errors.add("/amount", "invalid_amount", "Say how much.");
            }
            MovementKind::NoSale | MovementKind::PaidIn | MovementKind::PaidOut => {}
        }
    }
}

/// What was counted at the end.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloseShift {
    /// Minor units in the drawer.
    pub counted_cash: Amount,
}

impl Check for CloseShift {}

/// Money handed over in one way.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenderedAmount {
    /// How.
    pub tender: Tender,
    /// Minor units.
    pub amount: PositiveAmount,
}

/// A sale that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSale {
    /// The shift; the only open one when left out.
    #[serde(default)]
    pub shift_id: Option<Uuid>,
    /// What is sold.
    pub lines: Vec<NewLine>,
    /// Off the subtotal.
    #[serde(default)]
    pub discount: Option<Discount>,
    /// Given on top, minor units.
    #[serde(default)]
    pub tip: Option<Amount>,
    /// What was handed over. More cash than needed is change.
    pub tenders: Vec<TenderedAmount>,
    /// Who buys.
    #[serde(default)]
    pub lead_id: Option<Uuid>,
    /// Chosen by the till, also offline: the same sale sent twice is one sale.
    #[serde(default)]
    pub client_sale_id: Option<Line>,
    /// When it happened, for sales made offline; now when left out.
    #[serde(default)]
    pub sold_at: Option<DateTime<Utc>>,
}

impl Check for NewSale {
    fn check(&self, errors: &mut FieldErrors) {
        check_lines(&self.lines, errors);
        if self.tenders.len() > 20 {
            errors.add("/tenders", "too_many_values", "At most 20 tenders.");
        }
        if self.lead_id.is_none() {
            for (at, _) in self.tenders.iter().enumerate().filter(|(_, one)| one.tender == Tender::Credit) {
                errors.add(
                    format!("/tenders/{at}/tender"),
                    "lead_required",
                    "Only a known customer has credit.",
                );
            }
        }
    }
}

/// What comes back of a sale.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewReturn {
    /// Which lines of the receipt, and how many of each.
    pub lines: Vec<ReturnedLine>,
    /// How the money goes back; the way it came when left out. `credit`: it stays as the customer's credit.
    #[serde(default)]
    pub tender: Option<Tender>,
    /// The shift that gives it back; the open one of the same till when left out.
    #[serde(default)]
    pub shift_id: Option<Uuid>,
    /// Why.
    #[serde(default)]
    pub reason: Option<Line>,
}

impl Check for NewReturn {
    fn check(&self, errors: &mut FieldErrors) {
        check_returned(&self.lines, errors);
    }
}

/// A sale or a return.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sale {
    /// The sale.
    pub id: Uuid,
    /// `sale` or `return`.
    pub kind: String,
    /// `completed`, `partiallyReturned`, `returned`.
    pub status: String,
    /// The shift.
    pub shift_id: Uuid,
    /// The till's own name for it.
    pub client_sale_id: Option<String>,
    /// A return's sale.
    pub return_of_id: Option<Uuid>,
    /// The receipt document.
    pub invoice_id: Uuid,
    /// Who bought.
    pub lead_id: Option<Uuid>,
    /// ISO 4217.
    pub currency: String,
    /// With tip, minor units.
    pub total: i64,
    /// Given on top.
    pub tip: i64,
    /// Cash given back.
    pub change: i64,
    /// What was handed over, or for a return what was given back: `{tender,amount}`.
    #[schema(value_type = Vec<TenderedAmount>)]
    pub tenders: Value,
    /// Who sold.
    pub sold_by: Option<Uuid>,
    /// When.
    pub sold_at: DateTime<Utc>,
    /// What is printed: `{number,kind,issuedAt,seller,buyer,currency,lines,subtotal,discount,tax,taxSummary,tip,total,tenders,change}`.
    #[schema(value_type = Object)]
    pub receipt: Private<Value>,
}
