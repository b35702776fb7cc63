//! Domain events: what happened, told once, in the transaction in which it happened.
//!
//! [`emit`] is the heart of the product. One statement writes the events, starts a run of every active automation that
//! they trigger, wakes the runs that waited for them and owes a delivery to every subscribed webhook endpoint. All of
//! it commits together with the change that is being told, or not at all, so there is no outbox to be relayed: the
//! rows *are* the owed work, and the hints that the commit sends only make it quick.
//!
//! Telling the same fact twice is one event: (`source`, `dedupe_key`) is unique within the tenant, and what was not
//! inserted triggers nothing.

mod emit;
pub mod journal;
mod kind;

pub use emit::{NewEvent, SILENT, emit, emit_newcomers};
pub use kind::{Cause, EventKind, MAX_DEPTH};
