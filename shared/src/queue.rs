//! Queues carry hints, never data.
//!
//! A message names a row: tenant, kind, id. The row itself is the work and its state the truth, so a lost message
//! makes work late (the sweep finds it), a duplicate is a no-op (the claim refuses it) and erasing a person needs no
//! queue to be searched. Two transports: SQS in the cloud, channels within one process on the laptop.

mod in_process;
mod sqs;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use in_process::{InProcess, Inbox};
pub use sqs::{QueueUrls, Sqs};

use crate::ids::TenantId;

/// The longest delay that SQS grants a message; longer waits are left to the sweep.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// The five work queues, one worker function each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueName {
    /// Inbound webhook receipts → `ingest-receipts`.
    Receipts,
    /// Automation runs → `run-automations`.
    Runs,
    /// Owed messages → `send-messages`.
    Messages,
    /// Owed outbound webhook deliveries → `deliver-webhooks`.
    Deliveries,
    /// Imports, exports, bulk changes and the end of a large business → `run-jobs`.
    Jobs,
}

/// What kind of row a hint names. Each kind has exactly one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HintKind {
    /// A row of `webhook_receipts`.
    Receipt,
    /// A row of `automation_runs`.
    Run,
    /// A row of `effects`.
    Effect,
    /// A row of `webhook_deliveries`.
    Delivery,
    /// A row of `automation_schedules`.
    Schedule,
    /// A row of `jobs`.
    Job,
    /// A business that is being deleted: a row of `tenants`.
    Tenant,
}

impl HintKind {
    /// The queue whose worker handles such rows.
    #[must_use]
    pub const fn queue(self) -> QueueName {
        match self {
            Self::Receipt => QueueName::Receipts,
            Self::Run | Self::Schedule => QueueName::Runs,
            Self::Effect => QueueName::Messages,
            Self::Delivery => QueueName::Deliveries,
            Self::Job | Self::Tenant => QueueName::Jobs,
        }
    }
}

/// "Look at this row": the whole content of a queue message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// Whose row it is.
    pub tenant: TenantId,
    /// What kind of row.
    pub kind: HintKind,
    /// Which row.
    pub id: Uuid,
    /// How long the message stays invisible. Not part of the body: the row's own due time is the truth.
    #[serde(skip)]
    pub delay: Duration,
}

impl Hint {
    /// A hint to look now.
    #[must_use]
    pub const fn now(tenant: TenantId, kind: HintKind, id: Uuid) -> Self {
        Self { tenant, kind, id, delay: Duration::ZERO }
    }

    /// A hint to look after `delay`, or `None` when that is too far ahead for a queue.
    #[must_use]
    pub fn after(self, delay: Duration) -> Option<Self> {
        (delay <= MAX_DELAY).then_some(Self { delay, ..self })
    }
}

/// A queue's sending end.
#[derive(Clone)]
pub enum Queue {
    /// Amazon SQS, or an emulator at `AWS_ENDPOINT_URL`.
    Sqs(Sqs),
    /// Channels within this process.
    InProcess(InProcess),
}

impl Queue {
    /// Sends hints, best effort: what cannot be sent is logged and left to the sweep.
    pub async fn nudge(&self, hints: Vec<Hint>) {
        if hints.is_empty() {
            return;
        }
        match self {
            Self::Sqs(sqs) => sqs.send(hints).await,
            Self::InProcess(channels) => channels.send(hints),
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqs(_) => "Queue::Sqs",
            Self::InProcess(_) => "Queue::InProcess",
        })
    }
}
