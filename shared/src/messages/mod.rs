//! Messages: what is said to people and what they answer, in conversations.
//!
//! [`plan`] is the only way to a provider. It judges, threads and writes the message together with the effect that will
//! send it, in the transaction of whoever asks; the `send-messages` worker does the rest. Whether the
//! request came from a colleague, an automation or a reply, the same rules decide and the same key sends once.

mod change;
mod connections;
mod conversations;
pub mod dispatch;
mod facts;
pub mod judge;
pub mod keywords;
mod list;
mod model;
mod plan;
mod receive;
mod report;
pub mod segments;
pub mod suppress;
pub mod unsubscribe;
mod words;

pub use change::{cancel, reschedule, resolve_unknown};
pub use connections::{
    CONNECTION_IS_DEFAULT, Connection, ConnectionFilter, ConnectionPatch, NewConnection, delete_connection,
    find_connection, insert_connection, list_connections, open_account, update_connection,
};
pub use conversations::{
    Conversation, ConversationFilter, ConversationPatch, find_conversation, insert_note, list_conversations,
    mark_read, reopen_snoozed, update_conversation,
};
pub use judge::{Case, ConnectionState, Ruling, Verdict};
pub use list::{MessageFilter, SandboxDelivery, SandboxFilter, list, list_sandbox};
pub use model::{Message, find};
pub use plan::{Planned, PlannedMessage, RunStep, plan, preflight};
pub use receive::{Inbound, Received, receive};
pub use report::{StatusUpdate, apply_status};
pub use suppress::{opt_out, record_consent};
pub use words::{Channel, Purpose, Status};
