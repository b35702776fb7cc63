//! The laptop's transport: one channel per queue, delays kept by whoever reads it.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Hint, QueueName};

/// The sending ends of all five channels.
#[derive(Clone)]
pub struct InProcess {
    receipts: UnboundedSender<Hint>,
    runs: UnboundedSender<Hint>,
    messages: UnboundedSender<Hint>,
    deliveries: UnboundedSender<Hint>,
    jobs: UnboundedSender<Hint>,
}

/// One queue's receiving end.
pub type Inbox = UnboundedReceiver<Hint>;

impl InProcess {
    /// Five channels; the inboxes come with the queue that each serves.
    #[must_use]
    pub fn open() -> (Self, [(QueueName, Inbox); 5]) {
        let (receipts, receipts_inbox) = unbounded_channel();
        let (runs, runs_inbox) = unbounded_channel();
        let (messages, messages_inbox) = unbounded_channel();
        let (deliveries, deliveries_inbox) = unbounded_channel();
        let (jobs, jobs_inbox) = unbounded_channel();
        let inboxes = [
            (QueueName::Receipts, receipts_inbox),
            (QueueName::Runs, runs_inbox),
            (QueueName::Messages, messages_inbox),
            (QueueName::Deliveries, deliveries_inbox),
            (QueueName::Jobs, jobs_inbox),
        ];
        (Self { receipts, runs, messages, deliveries, jobs }, inboxes)
    }

    /// A closed channel means that the process is stopping; the row stays and the next start sweeps it.
    pub(super) fn send(&self, hints: Vec<Hint>) {
        for hint in hints {
            let channel = match hint.kind.queue() {
                QueueName::Receipts => &self.receipts,
                QueueName::Runs => &self.runs,
                QueueName::Messages => &self.messages,
                QueueName::Deliveries => &self.deliveries,
                QueueName::Jobs => &self.jobs,
            };
            drop(channel.send(hint));
        }
    }
}
