//! Shopify: new customers, paid orders, refunds (shopify.dev, webhook topics). The topic is a header and not signed, so a
//! body is also asked whether it looks like its topic, and told apart by the ids inside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Canonical, Consent, Event, Identity, LeadCaptured, NormaliseError, Normalised, Payment, Raw, Refund, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let topic = raw.headers.get("x-shopify-topic").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = read::json(raw)?;
    match topic {
        "" => Err(read::missing("X-Shopify-Topic")),
        "customers/create" => customer(raw, &body),
        "orders/paid" => order(raw, &body),
        "refunds/create" => refund(raw, &body),
        _ => {
            let name = format!("shopify.{}", topic.replace('/', "."));
            Ok(Normalised::one(Canonical::generic(raw.delivery_key, raw.received_at, name, body)))
        }
    }
}

fn customer(raw: &Raw<'_>, body: &Value) -> Result<Normalised, NormaliseError> {
    let id = read::required(body, "/id")?;
    let at = read::rfc3339(body, "/created_at").unwrap_or(raw.received_at);
    let key = format!("customer:{id}");
    let identity = person(body);
    if identity == Identity::default() {
        return Ok(Normalised::one(Canonical::ignored(key, at, "no_identity")));
    }
    // Only a yes is an answer: "not_subscribed" is also what nobody was asked.
    let state = read::text(body, "/email_marketing_consent/state");
    let consent = (state.as_deref() == Some("subscribed"))
        .then(|| Consent { granted: true, text: Some("email_marketing_consent".to_owned()) });
    let lead = LeadCaptured {
        identity,
        first_name: read::text(body, "/first_name"),
        last_name: read::text(body, "/last_name"),
        name: None,
        message: read::text(body, "/note"),
        fields: Map::from_iter([("shopifyCustomerId".to_owned(), Value::String(id))]),
        source: "shopify".to_owned(),
        consent,
        utm: BTreeMap::new(),
        cta_id: None,
        visitor_id: None,
    };
    Ok(Normalised::one(Canonical::new(key, at, Event::LeadCaptured(Box::new(lead)))))
}

fn order(raw: &Raw<'_>, body: &Value) -> Result<Normalised, NormaliseError> {
    let id = read::required(body, "/id")?;
    let at = ["/processed_at", "/updated_at"].iter().find_map(|place| read::rfc3339(body, place).ok());
    let currency = read::currency(body, "/currency")?;
    let customer = body.get("customer").unwrap_or(&Value::Null);
    let of_order = person(body);
    let of_customer = person(customer);
    let names = [read::text(customer, "/first_name"), read::text(customer, "/last_name")];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let note = |attribute: &&Value| {
        read::text(attribute, "/name")
            .is_some_and(|name| ["invoiceId", "invoice_id"].contains(&name.as_str()))
    };
    let invoice = read::items(body, "/note_attributes").iter().find(note);
    let payment = Payment {
        provider_ref: id.clone(),
        refs: vec![id.clone()],
        payment_intent: None,
        amount_minor: read::minor(body, "/total_price", currency)?,
        currency: currency.code().to_owned(),
        invoice_id: invoice.and_then(|attribute| read::text(attribute, "/value")),
        identity: Identity {
            email: of_order.email.or(of_customer.email),
            phone: of_order.phone.or(of_customer.phone),
        },
        name: (!name.is_empty()).then_some(name),
    };
    let event = Event::PaymentReceived(Box::new(payment));
    Ok(Normalised::one(Canonical::new(format!("order:{id}:paid"), at.unwrap_or(raw.received_at), event)))
}

fn refund(raw: &Raw<'_>, body: &Value) -> Result<Normalised, NormaliseError> {
    let id = read::required(body, "/id")?;
    let order = read::required(body, "/order_id")?;
    let at = read::rfc3339(body, "/created_at").unwrap_or(raw.received_at);
    let mut amount = 0_i64;
    let mut found = None;
    for transaction in read::items(body, "/transactions") {
        let is = |field: &str, word: &str| read::text(transaction, field).as_deref() == Some(word);
        if !is("/kind", "refund") || !is("/status", "success") {
            continue;
        }
        let currency = read::currency(transaction, "/currency")?;
        if found.is_some_and(|other| other != currency) {
            return Err(read::bad("/transactions", "of one currency"));
        }
        found = Some(currency);
        let part = read::minor(transaction, "/amount", currency)?;
        amount = amount.checked_add(part).ok_or_else(|| read::bad("/transactions", "an amount"))?;
    }
    let key = format!("refund:{id}");
    let Some(currency) = found else {
        return Ok(Normalised::one(Canonical::ignored(key, at, "no_money_moved")));
    };
    let refund = Refund {
        provider_ref: order.clone(),
        refs: vec![order],
        refund_ref: Some(id),
        amount_minor: Some(amount),
        currency: currency.code().to_owned(),
        ..Refund::default()
    };
    Ok(Normalised::one(Canonical::new(key, at, Event::PaymentRefunded(Box::new(refund)))))
}

fn person(object: &Value) -> Identity {
    read::identity(read::text(object, "/email"), read::text(object, "/phone"))
}
