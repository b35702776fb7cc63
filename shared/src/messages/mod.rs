//! Messages: what is said to people and what they answer, in conversations.
//!
//! [`plan`] is the only way to a provider. It judges, threads and writes the message together with the effect that will
//! send it, in the transaction of whoever asks; the `send-messages` worker does the rest. Whether the
//! request came from a colleague, an automation or a reply, the same rules decide and the same key sends once.

mod facts;
pub mod judge;
mod plan;
pub mod segments;
mod words;

pub use judge::{Case, ConnectionState, QuietHours, Verdict};
pub use plan::{Planned, PlannedMessage, RunStep, plan};
pub use words::{Channel, Purpose, Status};
