//! How long the server waits for us, and we for it.
//!
//! An environment of Lambda is killed without a word when its time is up. What it had open then stays open on the server: its
//! statement runs on, and its transaction keeps every lock until somebody notices that the connection is dead. So each transaction says
//! how long a statement may take and how long it may be silent. It says so within itself, in the round trip that begins it: a setting
//! of the connection would be refused or given to the wrong client by the poolers in between.

/// The limits of a process's transactions, each longer than its functions may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Somebody waits for an answer: thirty seconds, as the gateway does.
    Request,
    /// Nobody waits: statements may take as long as the nightly function lives, pauses two minutes.
    Work,
}

impl Patience {
    /// Begins a transaction.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Request => {
                "begin; set local statement_timeout = 30000; set local idle_in_transaction_session_timeout = 30000"
            }
            Self::Work => {
                "begin; set local statement_timeout = 900000; set local idle_in_transaction_session_timeout = 120000"
            }
        }
    }
}
