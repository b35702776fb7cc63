//! The engine that moves runs.
//!
//! A look at a tenant claims a batch of due runs with one statement ([`claim`]), and commits. Then, in one transaction ([`progress`]), the runs
//! that are still held are locked, each is walked as far as the database alone allows, and everything that all of them want
//! written is written with one statement per kind. What must leave the house is never done in there: messages are planned for their
//! own worker, and requests are handed back as [`Call`]s, already marked as begun, to be made and then settled.
//!
//! A walk that panics fails its own run. When the batch cannot be written, its runs are taken one at a time, and the one that is to blame fails.

mod act;
mod assign;
mod calls;
mod claim;
mod flush;
mod load;
mod model;
mod progress;
mod rehearse;
#[cfg(test)]
mod tests;
mod times;
mod walk;

pub use calls::{Call, CallOutcome, settle_call};
pub use claim::{BATCH, claim};
pub use model::{Claimed, HttpRequest};
pub use progress::{Progress, progress};
pub use rehearse::{Rehearsal, RehearsedStep, rehearse};
