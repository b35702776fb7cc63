//! Money that came in, and money that went back.
//!
//! What a payment settled stands in its allocations; what it did not settle is the customer's credit. A refund gives back
//! credit first and takes allocations back for the rest, so a document that was paid is owed again unless a credit note
//! stands beside it. The checks of the table decide how much can go: two refunds at once cannot give back too much.

mod allocate;
mod find;
mod model;
mod receive;
mod reconcile;
mod reconcile_refund;
mod refund;
mod store;

pub use allocate::allocate;
pub use find::{PaymentFilter, find_payment, list_payments};
pub use model::{AllocationRequest, InvoicePayment, NewPayment, Payment, RefundRequest, Share};
pub use receive::{emit_received, pay_invoice, receive, unknown_invoice};
pub use reconcile::{PaymentNews, PaymentNewsKind, Reconciled, reconcile};
pub(super) use refund::{RefundOrder, RefundPart, allocations_of, carry_out};
pub use refund::{emit_refunded, refund};
pub(super) use store::{Incoming, LockedPayment, insert_payments, lock_payments, spend_credit};
