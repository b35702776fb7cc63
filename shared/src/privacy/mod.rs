//! One person's data: handed over (Article 15 GDPR) and forgotten (Article 17).
//!
//! Both walk the same map of the schema, so what can be handed over is what can be forgotten, and a new table is in neither by
//! accident: a test fails until it has been decided. Erasing leaves a shell: an anonymous lead (`erased_at`) on which money
//! rows, message statuses and visits can still be counted, with nothing in them that says who it was. What the law wants on
//! a finalized document (§ 14 UStG) stays; the buyer's name and address are sealed, so that no dump shows them, and are
//! opened for an auditor only. Suppressions are keyed hashes and outlive the person; what the ledger knew of refusals becomes
//! one first.
//!
//! A request that was under way may write behind the erasure. The night looks again at whoever was erased lately.

mod archive;
mod check;
mod erase;
mod map;
mod night;
mod others;
mod retained;
mod subject;
mod trace;

pub use archive::{Chunk, Position, read_chunk};
pub use check::violations;
pub use erase::{Erased, erase, tell};
pub use night::{Forgotten, forget_due};
pub use retained::{Buyer, find_buyer};
pub use subject::{Subject, find_subject, lock_subject};
pub use trace::traces;
