//! Money that providers tell of: on the person's timeline once, and as an event.
//!
//! A payment has one name at its provider, whichever of its events tells of it, and that name is the key here: a checkout
//! session and its payment intent are one payment. Booking it against an invoice is the ledger's work; it joins in where
//! [`Ingest::take_payment`] and [`Ingest::take_refund`] have found the person.

use iso_currency::Currency;
use serde::Serialize;
use serde_json::{Value, json, to_value};
use shared::{
    events::EventKind,
    private::Private,
    webhooks::{
        normalise::{Canonical, FailedPayment, Payment, Refund},
        receipts::{self, Record},
    },
};
use uuid::Uuid;

use crate::{
    apply::{Failed, Ingest, joined},
    people::Who,
};

impl Ingest<'_> {
    /// Money arrived.
    pub(crate) async fn take_payment(
        &mut self,
        canonical: &Canonical,
        payment: &Payment,
    ) -> Result<(), Failed> {
        let lead = self.payer(canonical, payment).await?;
        let title = format!("Payment of {}", amount(payment.amount_minor, &payment.currency));
        let fact = Fact {
            event: EventKind::PaymentReceived,
            kind: "payment",
            title,
            key: self.payment_key(&payment.provider_ref),
        };
        self.note(canonical, lead, fact, payment).await
    }

    /// Money went back. Nobody is named; the payment was somebody's.
    pub(crate) async fn take_refund(&mut self, canonical: &Canonical, refund: &Refund) -> Result<(), Failed> {
        let lead = self.known_payer(&refund.refs).await?;
        let title = match refund.amount_minor.or(refund.refunded_total_minor) {
            Some(minor) => format!("Refund of {}", amount(minor, &refund.currency)),
            None => "Refund".to_owned(),
        };
        let key = match &refund.refund_ref {
            Some(name) => format!("refund:{}:{name}", self.receipt.provider),
            None => self.key(canonical, "refund"),
        };
        self.note(
            canonical,
            lead,
            Fact { event: EventKind::PaymentRefunded, kind: "refund", title, key },
            refund,
        )
        .await
    }

    /// A payment was tried and failed.
    pub(crate) async fn note_failed_payment(
        &mut self,
        canonical: &Canonical,
        payment: &FailedPayment,
    ) -> Result<(), Failed> {
        let who = self.paying(&payment.identity, payment.name.as_deref());
        let lead = self.meet(canonical, who).await?.map(|lead| lead.id);
        let title = format!("Payment of {} failed", amount(payment.amount_minor, &payment.currency));
        let key = self.key(canonical, "failed");
        self.note(
            canonical,
            lead,
            Fact { event: EventKind::PaymentFailed, kind: "payment", title, key },
            payment,
        )
        .await
    }

    /// The person who pays; when the provider names nobody, whoever an earlier event about the same payment named.
    async fn payer(&mut self, canonical: &Canonical, payment: &Payment) -> Result<Option<Uuid>, Failed> {
        let who = self.paying(&payment.identity, payment.name.as_deref());
        match self.meet(canonical, who).await? {
            Some(lead) => Ok(Some(lead.id)),
            None => self.known_payer(&payment.refs).await,
        }
    }

    async fn known_payer(&mut self, refs: &[String]) -> Result<Option<Uuid>, Failed> {
        let keys: Vec<String> = refs.iter().map(|name| self.payment_key(name)).collect();
        Ok(receipts::lead_of(self.tx, &keys).await?)
    }

    fn paying<'w>(
        &self,
        identity: &'w shared::webhooks::normalise::Identity,
        name: Option<&'w str>,
    ) -> Who<'w> {
        Who { identity: Some(identity), name, source: self.receipt.provider.as_str(), ..Who::default() }
    }

    fn payment_key(&self, name: &str) -> String {
        format!("payment:{}:{name}", self.receipt.provider)
    }

    /// Writes the fact on the person's timeline and tells it, once.
    async fn note(
        &mut self,
        canonical: &Canonical,
        lead: Option<Uuid>,
        fact: Fact,
        said: &impl Serialize,
    ) -> Result<(), Failed> {
        let data = joined(to_value(said).unwrap_or_default(), self.origin());
        if let Some(lead_id) = lead {
            let record = Record {
                lead_id,
                kind: fact.kind,
                title: &fact.title,
                body: None,
                data: Private::new(data.clone()),
                dedupe_key: &fact.key,
                occurred_at: canonical.occurred_at,
                visitor_id: None,
                consent: None,
            };
            if !receipts::record(self.tx, record).await? {
                return Ok(());
            }
        }
        let payload = joined(data, api_names(said));
        self.event(fact.event, (self.receipt.id, lead), fact.key, canonical.occurred_at, payload);
        Ok(())
    }
}

/// What is to be noted.
struct Fact {
    event: EventKind,
    kind: &'static str,
    title: String,
    key: String,
}

/// The amount under the name that money has everywhere in the API.
fn api_names(said: &impl Serialize) -> Value {
    let said = to_value(said).unwrap_or_default();
    json!({"amount": said.get("amountMinor")})
}

/// An amount for people: `49.00 EUR`, `1000 JPY`.
fn amount(minor: i64, currency: &str) -> String {
    let exponent = Currency::from_code(currency).and_then(Currency::exponent).unwrap_or(2);
    match 10_i64.checked_pow(u32::from(exponent)) {
        Some(factor) if factor > 1 => {
            let (whole, part) = (minor / factor, (minor % factor).abs());
            format!("{whole}.{part:0width$} {currency}", width = usize::from(exponent))
        }
        _ => format!("{minor} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        assert_eq!(amount(4900, "EUR"), "49.00 EUR");
        assert_eq!(amount(1000, "JPY"), "1000 JPY");
        assert_eq!(amount(1005, "KWD"), "1.005 KWD");
    }
}
