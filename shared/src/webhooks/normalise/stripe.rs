//! Stripe events (docs.stripe.com/api/events): money in, money back, money that did not come.
//!
//! One payment is told several times: by its checkout session, its payment intent, and for subscriptions its invoice. Each
//! telling is an event of its own, with every id it knows in `refs`; whoever records payments joins them by these.

use iso_currency::Currency;
use serde_json::Value;

use super::{Canonical, Event, FailedPayment, NormaliseError, Normalised, Payment, Raw, Refund, read};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let id = read::required(&body, "/id")?;
    if read::text(&body, "/object").is_some_and(|object| object.starts_with("v2.")) {
        return Ok(Normalised::one(Canonical::ignored(id, raw.received_at, "thin_event")));
    }
    let at = read::unix(&body, "/created")?;
    let name = read::required(&body, "/type")?;
    let object = body.pointer("/data/object").ok_or_else(|| read::missing("/data/object"))?;
    let event = match name.as_str() {
        "checkout.session.completed"
            if read::text(object, "/payment_status").as_deref() == Some("unpaid") =>
        {
            return Ok(Normalised::one(Canonical::ignored(id, at, "not_paid_yet")));
        }
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => session(object)?,
        "payment_intent.succeeded" => intent(object)?,
        "payment_intent.payment_failed" => failure(object)?,
        "charge.refunded" => refund(&body, object)?,
        "invoice.paid" => invoice(object)?,
        _ => return Ok(Normalised::one(Canonical::ignored(id, at, "not_used"))),
    };
    Ok(Normalised::one(Canonical::new(id, at, event)))
}

fn session(object: &Value) -> Result<Event, NormaliseError> {
    let intent = reference(object, "/payment_intent");
    let refs = [intent.clone(), reference(object, "/invoice"), Some(read::required(object, "/id")?)];
    let (amount_minor, currency) = money(object, "/amount_total")?;
    Ok(payment(Payment {
        payment_intent: intent,
        amount_minor,
        currency,
        invoice_id: our_invoice(object).or_else(|| read::text(object, "/client_reference_id")),
        identity: read::identity(
            read::text(object, "/customer_details/email").or_else(|| read::text(object, "/customer_email")),
            read::text(object, "/customer_details/phone"),
        ),
        name: read::text(object, "/customer_details/name"),
        ..refs_of(refs)
    }))
}

fn intent(object: &Value) -> Result<Event, NormaliseError> {
    let id = read::required(object, "/id")?;
    let refs = [Some(id.clone()), reference(object, "/latest_charge"), reference(object, "/invoice")];
    let (amount_minor, currency) = money(object, "/amount_received")?;
    let payer = payer(object);
    Ok(payment(Payment {
        payment_intent: Some(id),
        amount_minor,
        currency,
        invoice_id: our_invoice(object),
        identity: payer.0,
        name: payer.1,
        ..refs_of(refs)
    }))
}

fn invoice(object: &Value) -> Result<Event, NormaliseError> {
    let intent = reference(object, "/payment_intent")
        .or_else(|| reference(object, "/payments/data/0/payment/payment_intent"));
    let refs = [intent.clone(), Some(read::required(object, "/id")?), reference(object, "/charge")];
    let (amount_minor, currency) = money(object, "/amount_paid")?;
    let subscription = ["/subscription_details", "/parent/subscription_details"];
    let of_subscription = || subscription.iter().find_map(|path| our_invoice(object.pointer(path)?));
    Ok(payment(Payment {
        payment_intent: intent,
        amount_minor,
        currency,
        invoice_id: our_invoice(object).or_else(of_subscription),
        identity: read::identity(
            read::text(object, "/customer_email"),
            read::text(object, "/customer_phone"),
        ),
        name: read::text(object, "/customer_name"),
        ..refs_of(refs)
    }))
}

fn failure(object: &Value) -> Result<Event, NormaliseError> {
    let id = read::required(object, "/id")?;
    let (amount_minor, currency) = money(object, "/amount")?;
    let (identity, name) = payer(object);
    let error_code = read::text(object, "/last_payment_error/decline_code")
        .or_else(|| read::text(object, "/last_payment_error/code"));
    Ok(Event::PaymentFailed(Box::new(FailedPayment {
        provider_ref: id.clone(),
        payment_intent: Some(id),
        amount_minor,
        currency,
        invoice_id: our_invoice(object),
        identity,
        name,
        error_code,
    })))
}

/// A charge tells the total that was refunded so far; what this refund added is the difference to the total before.
fn refund(body: &Value, object: &Value) -> Result<Event, NormaliseError> {
    let (total, currency) = money(object, "/amount_refunded")?;
    let before = match body.pointer("/data/previous_attributes/amount_refunded") {
        Some(_) => Some(iso_amount(body, "/data/previous_attributes/amount_refunded", &currency)?),
        None => None,
    };
    let intent = reference(object, "/payment_intent");
    let known =
        refs_of([intent.clone(), Some(read::required(object, "/id")?), reference(object, "/invoice")]);
    Ok(Event::PaymentRefunded(Box::new(Refund {
        provider_ref: known.provider_ref,
        refs: known.refs,
        refund_ref: reference(object, "/refunds/data/0"),
        payment_intent: intent,
        amount_minor: before.and_then(|before| total.checked_sub(before)),
        refunded_total_minor: Some(total),
        currency,
        invoice_id: our_invoice(object),
    })))
}

fn payment(payment: Payment) -> Event {
    Event::PaymentReceived(Box::new(payment))
}

/// A payment that is only named yet: by the first of the ids that are there.
fn refs_of(refs: [Option<String>; 3]) -> Payment {
    let refs: Vec<String> = refs.into_iter().flatten().collect();
    Payment { provider_ref: refs.first().cloned().unwrap_or_default(), refs, ..Payment::default() }
}

/// An id, or the id of an expanded object.
fn reference(object: &Value, pointer: &str) -> Option<String> {
    read::text(object, pointer).or_else(|| read::text(object, &format!("{pointer}/id")))
}

fn our_invoice(object: &Value) -> Option<String> {
    read::text(object, "/metadata/invoiceId").or_else(|| read::text(object, "/metadata/invoice_id"))
}

/// Who is behind a payment intent: its receipt address, or the billing details of its charge or its last try.
fn payer(object: &Value) -> (super::Identity, Option<String>) {
    let places = ["/latest_charge", "/charges/data/0", "/last_payment_error/payment_method"];
    let billing = |field: &str| {
        places.iter().find_map(|place| read::text(object, &format!("{place}/billing_details/{field}")))
    };
    let email = read::text(object, "/receipt_email").or_else(|| billing("email"));
    let phone = read::text(object, "/shipping/phone").or_else(|| billing("phone"));
    (read::identity(email, phone), read::text(object, "/shipping/name").or_else(|| billing("name")))
}

fn money(object: &Value, pointer: &str) -> Result<(i64, String), NormaliseError> {
    let currency = read::currency(object, "/currency")?.code().to_owned();
    Ok((iso_amount(object, pointer, &currency)?, currency))
}

/// Stripe's smallest units are ISO 4217's but for three currencies (docs.stripe.com/currencies, special cases): ISK and
/// UGX have no minor unit and are still counted in hundredths, MGA is counted whole.
fn iso_amount(object: &Value, pointer: &str, code: &str) -> Result<i64, NormaliseError> {
    let amount = read::integer(object, pointer)?;
    let wrong = || read::bad(pointer, "an amount of its currency");
    if amount < 0 {
        return Err(wrong());
    }
    match Currency::from_code(code) {
        Some(Currency::ISK | Currency::UGX) if amount % 100 == 0 => Ok(amount / 100),
        Some(Currency::ISK | Currency::UGX) => Err(wrong()),
        Some(Currency::MGA) => amount.checked_mul(100).ok_or_else(wrong),
        _ => Ok(amount),
    }
}
