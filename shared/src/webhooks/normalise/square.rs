//! Square: payments and refunds (developer.squareup.com, webhook events). Square repeats `payment.updated` for every later
//! change, so a payment is told apart by its id and not by the event's.

use serde_json::Value;

use super::{
    Canonical, Event, FailedPayment, Identity, NormaliseError, Normalised, Payment, Raw, Refund, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let event_id = read::required(&body, "/event_id")?;
    let at = read::rfc3339(&body, "/created_at")?;
    let name = read::required(&body, "/type")?;
    let event = match name.as_str() {
        "payment.created" | "payment.updated" => payment(inner(&body, "payment")?)?,
        "refund.created" | "refund.updated" => refund(inner(&body, "refund")?)?,
        _ => None,
    };
    Ok(Normalised::one(match event {
        Some((key, event)) => Canonical::new(key, at, event),
        None => Canonical::ignored(event_id, at, "not_used"),
    }))
}

fn inner<'b>(body: &'b Value, name: &str) -> Result<&'b Value, NormaliseError> {
    let pointer = format!("/data/object/{name}");
    body.pointer(&pointer).ok_or_else(|| read::missing(&pointer))
}

fn payment(object: &Value) -> Result<Option<(String, Event)>, NormaliseError> {
    let id = read::required(object, "/id")?;
    let status = read::required(object, "/status")?;
    if !["COMPLETED", "FAILED"].contains(&status.as_str()) {
        return Ok(None);
    }
    // The total has the tip in it.
    let field = if object.get("total_money").is_some() { "/total_money" } else { "/amount_money" };
    let (amount_minor, currency) = money(object, field)?;
    let email = read::text(object, "/buyer_email_address");
    let identity: Identity = read::identity(email, read::text(object, "/buyer_phone_number"));
    let invoice_id = read::text(object, "/reference_id");
    let key = format!("{id}:{}", status.to_ascii_lowercase());
    if status == "FAILED" {
        let failed = FailedPayment {
            provider_ref: id,
            amount_minor,
            currency,
            invoice_id,
            identity,
            error_code: read::text(object, "/card_details/errors/0/code"),
            ..FailedPayment::default()
        };
        return Ok(Some((key, Event::PaymentFailed(Box::new(failed)))));
    }
    // Not the order's id: several payments can share one order.
    let payment = Payment {
        provider_ref: id.clone(),
        refs: vec![id],
        amount_minor,
        currency,
        invoice_id,
        identity,
        ..Payment::default()
    };
    Ok(Some((key, Event::PaymentReceived(Box::new(payment)))))
}

fn refund(object: &Value) -> Result<Option<(String, Event)>, NormaliseError> {
    let id = read::required(object, "/id")?;
    if read::required(object, "/status")? != "COMPLETED" {
        return Ok(None);
    }
    let (amount, currency) = money(object, "/amount_money")?;
    let payment = read::required(object, "/payment_id")?;
    let refund = Refund {
        provider_ref: payment.clone(),
        refs: vec![payment],
        refund_ref: Some(id.clone()),
        amount_minor: Some(amount),
        currency,
        ..Refund::default()
    };
    Ok(Some((format!("{id}:completed"), Event::PaymentRefunded(Box::new(refund)))))
}

fn money(object: &Value, pointer: &str) -> Result<(i64, String), NormaliseError> {
    let currency = read::currency(object, &format!("{pointer}/currency"))?.code().to_owned();
    let amount = read::integer(object, &format!("{pointer}/amount"))?;
    if amount < 0 {
        return Err(read::bad(pointer, "an amount"));
    }
    Ok((amount, currency))
}
