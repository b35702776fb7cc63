//! Documents about money owed: drafts that anybody may change, and finalized ones that nobody may.
//!
//! Finalizing gives the number. It is taken from `number_sequences` by an update inside the transaction that finalizes,
//! so two documents never share one, and a transaction that fails leaves no gap. From then on a document changes only by
//! what happens to it: payments, credit notes, its due date passing, voiding.
//!
//! Whoever changes what is owed locks in one order: documents by id, then payments by id, then the sequence. Two
//! requests about the same document therefore wait for each other and never deadlock.

mod credit;
mod credit_lines;
mod credit_note;
mod document;
mod draft;
mod finalize;
mod find;
mod list;
mod model;
mod number;
mod overdue;
mod settle;
mod void;

pub(super) use credit::{CreditOrder, credit};
pub use credit::{NewCreditNote, Settle};
pub use credit_lines::{ReturnedLine, check_returned};
pub use credit_note::credit_invoice;
pub(super) use document::{Document, insert_document};
pub(super) use draft::tax_summary;
pub use draft::{delete_draft, insert_draft, update_draft};
pub use finalize::{emit_finalized, finalize};
pub use find::find_invoice;
pub use list::{InvoiceFilter, list_invoices};
pub use model::{Invoice, InvoicePatch, NewInvoice};
pub(super) use number::{Numbering, numbering};
pub use overdue::mark_overdue;
pub(super) use settle::{Allocation, Locked, emit_paid, lock, lock_one, settle};
pub use void::void;
