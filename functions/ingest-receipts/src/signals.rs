//! Events without a meaning of their own here: passed on under the sender's name, for automations to react to.

use serde_json::{Value, json};
use shared::{events::EventKind, webhooks::normalise::Canonical};

use crate::apply::{Ingest, joined};

impl Ingest<'_> {
    /// Tells `webhook.received`, about the person whom the same receipt named, if it did.
    pub(crate) fn signal(&mut self, canonical: &Canonical, name: &str, data: &Value) {
        let payload = joined(self.origin(), json!({"type": name, "data": data}));
        let subject = (self.receipt.id, self.person);
        let key = self.key(canonical, "webhook.received");
        self.event(EventKind::WebhookReceived, subject, key, canonical.occurred_at, payload);
    }
}
