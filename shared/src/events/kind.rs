//! The kinds of events, and the chain of causes.

use uuid::Uuid;

/// At this many automations between an event and a person's act nothing more is started: two automations that trigger
/// each other end here, visibly.
pub const MAX_DEPTH: i16 = 8;

/// Which run caused an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The run; none when a person or a provider did it.
    pub run_id: Option<Uuid>,
    /// Automations between the event and a person's act.
    pub depth: i16,
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal on $subject:literal;)*) => {
        /// What happened. The word is what automations and webhook endpoints subscribe to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind { $($(#[$doc])* $name,)* }

        impl EventKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The kind of thing that it happened to.
            #[must_use]
            pub const fn subject(self) -> &'static str {
                match self { $(Self::$name => $subject,)* }
            }
        }
    };
}

event_kinds! {
    /// A lead came into being.
    LeadCreated = "lead.created" on "lead";
    /// Fields of a lead changed.
    LeadUpdated = "lead.updated" on "lead";
    /// A lead was moved to the bin.
    LeadDeleted = "lead.deleted" on "lead";
    /// A person was erased. The event names the id and nothing else.
    LeadErased = "lead.erased" on "lead";
    /// A lead moved along a pipeline.
    LeadStageChanged = "lead.stageChanged" on "lead";
    /// A lead got a tag.
    LeadTagAdded = "lead.tagAdded" on "lead";
    /// A lead lost a tag.
    LeadTagRemoved = "lead.tagRemoved" on "lead";
    /// A website form was filled in.
    FormSubmitted = "form.submitted" on "receipt";
    /// A webhook of another kind arrived.
    WebhookReceived = "webhook.received" on "receipt";
    /// A person wrote.
    MessageReceived = "message.received" on "message";
    /// A provider took a message.
    MessageSent = "message.sent" on "message";
    /// A message arrived.
    MessageDelivered = "message.delivered" on "message";
    /// A message could not be sent or delivered.
    MessageFailed = "message.failed" on "message";
    /// An invoice got its number.
    InvoiceFinalized = "invoice.finalized" on "invoice";
    /// An invoice is fully paid.
    InvoicePaid = "invoice.paid" on "invoice";
    /// An invoice's due date has passed.
    InvoiceOverdue = "invoice.overdue" on "invoice";
    /// Money came in.
    PaymentReceived = "payment.received" on "payment";
    /// A payment did not succeed.
    PaymentFailed = "payment.failed" on "payment";
    /// Money went back.
    PaymentRefunded = "payment.refunded" on "payment";
    /// A sale was completed at the till.
    SaleCompleted = "sale.completed" on "sale";
    /// A health metric was recorded.
    MetricRecorded = "metric.recorded" on "metric";
    /// A goal was reached.
    GoalReached = "goal.reached" on "goal";
    /// A goal was missed.
    GoalMissed = "goal.missed" on "goal";
    /// A lead belongs to a segment now.
    SegmentEntered = "segment.entered" on "segment";
    /// A lead belongs to a segment no more.
    SegmentExited = "segment.exited" on "segment";
    /// A call to action was seen, clicked or submitted.
    CtaRecorded = "cta.recorded" on "cta";
}
