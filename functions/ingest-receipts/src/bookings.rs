//! Bookings that calendars tell of.

use serde_json::to_value;
use shared::{
    private::Private,
    webhooks::{
        normalise::{Booking, Cancellation, Canonical},
        receipts::{self, Record},
    },
};

use crate::{
    apply::{Failed, Ingest, joined},
    people::Who,
};

impl Ingest<'_> {
    /// Somebody booked.
    pub(crate) async fn take_booking(
        &mut self,
        canonical: &Canonical,
        booking: &Booking,
    ) -> Result<(), Failed> {
        let who = Who {
            identity: Some(&booking.lead.identity),
            first_name: booking.lead.first_name.as_deref(),
            last_name: booking.lead.last_name.as_deref(),
            name: booking.lead.name.as_deref(),
            source: &booking.lead.source,
            ..Who::default()
        };
        let Some(lead) = self.meet(canonical, who).await? else {
            return Err(Failed::element("unusable_identity", "the address and the number cannot be real"));
        };
        let data = joined(to_value(booking).unwrap_or_default(), self.origin());
        let key = self.booking_key(&booking.provider_ref);
        let record = Record {
            lead_id: lead.id,
            kind: "booking",
            title: booking.title.as_deref().unwrap_or("Booking"),
            body: booking.lead.message.clone().map(Private::new),
            data: Private::new(data.clone()),
            dedupe_key: &key,
            occurred_at: canonical.occurred_at,
            visitor_id: booking.lead.visitor_id.as_deref(),
            consent: None,
        };
        if receipts::record(self.tx, record).await? {
            self.signal(canonical, "booking.made", &data);
        }
        Ok(())
    }

    /// A booking was cancelled. It is found by its name; else the person is.
    pub(crate) async fn cancel_booking(
        &mut self,
        canonical: &Canonical,
        cancellation: &Cancellation,
    ) -> Result<(), Failed> {
        let booked = receipts::lead_of(self.tx, &[self.booking_key(&cancellation.provider_ref)]).await?;
        let lead = match booked {
            Some(lead) => Some(lead),
            None => {
                let who = Who {
                    identity: Some(&cancellation.identity),
                    name: cancellation.name.as_deref(),
                    source: self.receipt.provider.as_str(),
                    ..Who::default()
                };
                self.meet(canonical, who).await?.map(|lead| lead.id)
            }
        };
        let data = joined(to_value(cancellation).unwrap_or_default(), self.origin());
        self.person = lead;
        let key = self.key(canonical, "cancelled");
        if let Some(lead_id) = lead {
            let record = Record {
                lead_id,
                kind: "system",
                title: if cancellation.rescheduled { "Booking moved" } else { "Booking cancelled" },
                body: cancellation.reason.clone().map(Private::new),
                data: Private::new(data.clone()),
                dedupe_key: &key,
                occurred_at: canonical.occurred_at,
                visitor_id: None,
                consent: None,
            };
            if !receipts::record(self.tx, record).await? {
                return Ok(());
            }
        }
        self.signal(canonical, "booking.cancelled", &data);
        Ok(())
    }

    fn booking_key(&self, name: &str) -> String {
        format!("booking:{}:{name}", self.receipt.source_id)
    }
}
