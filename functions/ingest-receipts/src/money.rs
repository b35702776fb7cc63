//! Money that providers tell of: booked by the ledger, and on the person's timeline once.
//!
//! A payment has one name at its provider, whichever of its events tells of it: a checkout session and its payment intent
//! are one payment. The ledger joins the news by that name, settles the invoice and tells the events; here the person
//! is found and the fact is written on their timeline, under the same name.

use iso_currency::Currency;
use serde::Serialize;
use serde_json::to_value;
use shared::{
    finance::{self, PaymentNews, PaymentNewsKind},
    private::Private,
    webhooks::{
        normalise::{Canonical, FailedPayment, Identity, Payment, Refund},
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
        let lead_id = self.payer(canonical, payment).await?;
        let news = PaymentNews {
            refs: payment.refs.clone(),
            payment_intent: payment.payment_intent.clone(),
            amount: payment.amount_minor,
            currency: payment.currency.clone(),
            invoice_id: own_id(payment.invoice_id.as_deref()),
            lead_id,
            ..self.news(canonical, &payment.provider_ref, PaymentNewsKind::Received)
        };
        let title = format!("Payment of {}", amount(payment.amount_minor, &payment.currency));
        let fact = Fact { kind: "payment", title, key: self.payment_key(&payment.provider_ref) };
        self.book(canonical, news, fact, payment).await
    }

    /// Money went back. Nobody is named; the payment was somebody's.
    pub(crate) async fn take_refund(&mut self, canonical: &Canonical, refund: &Refund) -> Result<(), Failed> {
        let kind = PaymentNewsKind::Refunded {
            refund_ref: refund.refund_ref.clone(),
            total: refund.refunded_total_minor,
        };
        let news = PaymentNews {
            refs: refund.refs.clone(),
            payment_intent: refund.payment_intent.clone(),
            amount: refund.amount_minor.unwrap_or_default(),
            currency: refund.currency.clone(),
            invoice_id: own_id(refund.invoice_id.as_deref()),
            lead_id: self.known_payer(&refund.refs).await?,
            ..self.news(canonical, &refund.provider_ref, kind)
        };
        let title = match refund.amount_minor.or(refund.refunded_total_minor) {
            Some(minor) => format!("Refund of {}", amount(minor, &refund.currency)),
            None => "Refund".to_owned(),
        };
        let key = match &refund.refund_ref {
            Some(name) => format!("refund:{}:{name}", self.receipt.provider),
            None => self.key(canonical, "refund"),
        };
        self.book(canonical, news, Fact { kind: "refund", title, key }, refund).await
    }

    /// A payment was tried and failed.
    pub(crate) async fn note_failed_payment(
        &mut self,
        canonical: &Canonical,
        payment: &FailedPayment,
    ) -> Result<(), Failed> {
        let who = self.paying(&payment.identity, payment.name.as_deref());
        let lead_id = self.meet(canonical, who).await?.map(|lead| lead.id);
        let kind = PaymentNewsKind::Failed { code: payment.error_code.clone() };
        let news = PaymentNews {
            refs: vec![payment.provider_ref.clone()],
            payment_intent: payment.payment_intent.clone(),
            amount: payment.amount_minor,
            currency: payment.currency.clone(),
            invoice_id: own_id(payment.invoice_id.as_deref()),
            lead_id,
            ..self.news(canonical, &payment.provider_ref, kind)
        };
        let title = format!("Payment of {} failed", amount(payment.amount_minor, &payment.currency));
        let key = self.key(canonical, "failed");
        self.book(canonical, news, Fact { kind: "payment", title, key }, payment).await
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

    fn paying<'w>(&self, identity: &'w Identity, name: Option<&'w str>) -> Who<'w> {
        Who { identity: Some(identity), name, source: self.receipt.provider.as_str(), ..Who::default() }
    }

    fn payment_key(&self, name: &str) -> String {
        format!("payment:{}:{name}", self.receipt.provider)
    }

    fn news(&self, canonical: &Canonical, provider_ref: &str, kind: PaymentNewsKind) -> PaymentNews {
        PaymentNews {
            provider: self.receipt.provider.as_str(),
            provider_ref: provider_ref.to_owned(),
            refs: Vec::new(),
            payment_intent: None,
            amount: 0,
            currency: String::new(),
            invoice_id: None,
            lead_id: None,
            occurred_at: canonical.occurred_at,
            kind,
        }
    }

    /// Hands the news to the ledger and writes the fact on the timeline of whoever the payment turns out to be of.
    async fn book(
        &mut self,
        canonical: &Canonical,
        news: PaymentNews,
        fact: Fact,
        said: &impl Serialize,
    ) -> Result<(), Failed> {
        // First things first: a new person is told of before what they paid.
        self.tell().await?;
        let booked = finance::reconcile(self.tx, self.now, &news).await?;
        let Some(lead_id) = self.whose(&news, booked.payment_id).await? else { return Ok(()) };
        let booked = serde_json::json!({"paymentId": booked.payment_id, "invoiceId": booked.invoice_id});
        let data = joined(joined(to_value(said).unwrap_or_default(), self.origin()), booked);
        let record = Record {
            lead_id,
            kind: fact.kind,
            title: &fact.title,
            body: None,
            data: Private::new(data),
            dedupe_key: &fact.key,
            occurred_at: canonical.occurred_at,
            visitor_id: None,
            consent: None,
        };
        receipts::record(self.tx, record).await?;
        Ok(())
    }

    /// The person whom the provider named, else the one whose invoice was paid.
    async fn whose(&mut self, news: &PaymentNews, payment: Option<Uuid>) -> Result<Option<Uuid>, Failed> {
        match (news.lead_id, payment) {
            (None, Some(payment)) => Ok(finance::payments::find_payment(self.tx, payment)
                .await?
                .and_then(|payment| payment.lead_id)),
            (lead, _) => Ok(lead),
        }
    }
}

/// What is written on the timeline.
struct Fact {
    kind: &'static str,
    title: String,
    key: String,
}

/// An id of ours that a provider gives back; anything else in its place names nothing here.
fn own_id(text: Option<&str>) -> Option<Uuid> {
    text.and_then(|text| text.parse().ok())
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
