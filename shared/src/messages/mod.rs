//! Messages: what is said to people and what they answer, in conversations.
//!
//! [`plan`] is the only way to a provider. It judges, threads and writes the message together with the effect that will
//! send it, in the transaction of whoever asks; the `send-messages` worker does the rest. Whether the
//! request came from a colleague, an automation or a reply, the same rules decide and the same key sends once.

mod facts;
pub mod judge;
pub mod keywords;
mod model;
mod plan;
mod receive;
mod report;
pub mod segments;
pub mod suppress;
mod words;

pub use judge::{Case, ConnectionState, QuietHours, Verdict};
pub use model::{Message, find};
pub use plan::{Planned, PlannedMessage, RunStep, plan};
pub use receive::{Inbound, Received, receive};
pub use report::{StatusUpdate, apply_status};
pub use suppress::{opt_out, record_consent};
pub use words::{Channel, Purpose, Status};
