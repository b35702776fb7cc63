//! Sending what is owed: mark, call, settle.
//!
//! 1. **Mark.** One transaction claims the effect by the database's clock, raises its epoch, and looks once more at
//!    everything that may have changed since it was planned: the run's cancellation, the message's own, the list of
//!    addresses to be left alone, the provider's account. An opt-out that was committed before the mark therefore
//!    prevents the send. The mark is what prevents a double send: nobody calls for an effect that is marked.
//! 2. **Call.** Outside any transaction, within ten seconds.
//! 3. **Settle.** A transaction guarded by the epoch writes what came of it: effect, message, event and the step of the
//!    run that waits. A worker that outlived its lease finds another epoch and changes nothing.
//!
//! The lease (45 s) is longer than the function may live (30 s), so a marked effect whose lease has ended belonged to a
//! worker that is dead. What then happens depends on what the provider can promise: a keyed one is called again with
//! the same key, a searchable one is asked, and of an opaque one only a callback or a person can tell.

mod job;
mod mark;
mod outcome;
mod policy;
mod settle;

pub use job::{Job, Work};
pub use mark::mark;
pub use policy::{MAX_TRIES, backoff};
pub use settle::{settle, settle_search};
