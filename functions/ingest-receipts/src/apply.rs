//! One canonical event at a time, within the transaction of the whole receipt.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json, to_value};
use shared::{
    app::App,
    db::{DbError, DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
    webhooks::{
        normalise::{Canonical, Event},
        receipts::{Claimed, Trouble},
    },
};
use uuid::Uuid;

/// Why an event could not be applied.
pub(crate) enum Failed {
    /// The event itself is to blame; the others of the receipt go on.
    Element(Trouble),
    /// It is about a message whose sending has not been settled yet, or that was never ours.
    TooEarly,
    /// The transaction is lost.
    Database(DbError),
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl Failed {
    pub(crate) fn element(code: &str, detail: &str) -> Self {
        Self::Element(Trouble { code: code.to_owned(), detail: detail.to_owned() })
    }
}

/// The work on one receipt.
pub(crate) struct Ingest<'a> {
    pub(crate) app: &'a App,
    pub(crate) tx: &'a mut TenantTx,
    pub(crate) receipt: &'a Claimed,
    pub(crate) now: DateTime<Utc>,
    /// The person that the receipt is about, once one was found.
    pub(crate) person: Option<Uuid>,
    /// Everybody whom it told about.
    pub(crate) people: BTreeSet<Uuid>,
    events: Vec<NewEvent>,
}

impl<'a> Ingest<'a> {
    pub(crate) const fn new(
        app: &'a App,
        tx: &'a mut TenantTx,
        receipt: &'a Claimed,
        now: DateTime<Utc>,
    ) -> Self {
        Self { app, tx, receipt, now, person: None, people: BTreeSet::new(), events: Vec::new() }
    }

    /// Applies one event.
    pub(crate) async fn apply(&mut self, canonical: &Canonical) -> Result<(), Failed> {
        match &canonical.event {
            Event::LeadCaptured(lead) => self.capture(canonical, lead).await,
            Event::PaymentReceived(payment) => self.take_payment(canonical, payment).await,
            Event::PaymentRefunded(refund) => self.take_refund(canonical, refund).await,
            Event::PaymentFailed(payment) => self.note_failed_payment(canonical, payment).await,
            Event::BookingMade(booking) => self.take_booking(canonical, booking).await,
            Event::BookingCancelled(cancellation) => self.cancel_booking(canonical, cancellation).await,
            Event::Generic(generic) => {
                self.signal(canonical, &generic.name, &generic.data);
                Ok(())
            }
            Event::MessageReceived(message) => self.take_message(canonical, message).await,
            Event::MessageStatus(report) => self.take_report(canonical, report).await,
            Event::OptOut(opt_out) => self.take_opt_out(opt_out).await,
            Event::Ignored { .. } => Ok(()),
        }
    }

    /// Tells what happened since it last told. Facts that were told before tell nothing.
    pub(crate) async fn tell(&mut self) -> DbResult<()> {
        let events = std::mem::take(&mut self.events);
        emit(self.tx, &events).await
    }

    /// The key of one effect of one event: the same for every delivery of it.
    pub(crate) fn key(&self, canonical: &Canonical, effect: &str) -> String {
        format!("{}:{}:{effect}", self.receipt.source_id, canonical.dedupe_key)
    }

    /// Notes an event to be told.
    pub(crate) fn event(
        &mut self,
        kind: EventKind,
        (subject_id, lead_id): (Uuid, Option<Uuid>),
        dedupe_key: String,
        occurred_at: DateTime<Utc>,
        payload: Value,
    ) {
        self.people.extend(lead_id);
        self.events.push(NewEvent {
            kind,
            subject_id,
            lead_id,
            payload,
            previous: None,
            source: self.receipt.provider.as_str(),
            dedupe_key,
            cause: Cause::default(),
            occurred_at,
        });
    }

    /// Notes that fields of a lead changed.
    pub(crate) fn changed(&mut self, lead: &shared::leads::Lead, dedupe_key: String, previous: Value) {
        let payload = to_value(lead).unwrap_or_default();
        self.event(EventKind::LeadUpdated, (lead.id, Some(lead.id)), dedupe_key, self.now, payload);
        if let Some(event) = self.events.last_mut() {
            event.previous = Some(previous);
        }
    }

    /// Where a fact came from, for payloads and activities.
    pub(crate) fn origin(&self) -> Value {
        json!({
            "provider": self.receipt.provider,
            "sourceId": self.receipt.source_id,
            "receiptId": self.receipt.id,
        })
    }
}

/// Adds the members of one object to another.
pub(crate) fn joined(base: Value, more: Value) -> Value {
    match (base, more) {
        (Value::Object(mut base), Value::Object(more)) => {
            base.extend(more);
            Value::Object(base)
        }
        (base, _) => base,
    }
}
