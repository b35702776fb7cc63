//! SendGrid's event webhook: a list of events (twilio.com/docs/sendgrid, event webhook reference). Each is told apart by
//! `sg_event_id`. Custom arguments stand beside the other fields; ours is `effect_id`.

use serde_json::Value;

use super::{
    Canonical, Channel, DeliveryStatus, Event, MessageStatus, NormaliseError, Normalised, OptOut, Raw, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let Value::Array(elements) = read::json(raw)? else {
        return Err(read::bad("the body", "a list of events"));
    };
    Normalised::collect(elements.iter().map(|element| of(element).map(|event| vec![event])))
}

fn of(element: &Value) -> Result<Canonical, NormaliseError> {
    let key = read::required(element, "/sg_event_id")?;
    let at = read::unix(element, "/timestamp")?;
    let word = read::required(element, "/event")?;
    let event = match word.as_str() {
        "processed" => status(element, DeliveryStatus::Sent)?,
        "deferred" => status(element, DeliveryStatus::Sending)?,
        "delivered" => status(element, DeliveryStatus::Delivered)?,
        "bounce" => status(element, DeliveryStatus::Undelivered)?,
        "dropped" => status(element, DeliveryStatus::Failed)?,
        // A mail program that fetches every picture has not read anything.
        "open" if read::flag(element, "/sg_machine_open") => {
            return Ok(Canonical::ignored(key, at, "machine_open"));
        }
        "open" | "click" => status(element, DeliveryStatus::Read)?,
        "spamreport" => opt_out(element, "complained")?,
        "unsubscribe" | "group_unsubscribe" => opt_out(element, "unsubscribed")?,
        "group_resubscribe" => {
            return Ok(Canonical::generic(key, at, format!("sendgrid.{word}"), element.clone()));
        }
        _ => return Err(read::bad("/event", "an event we know")),
    };
    Ok(Canonical::new(key, at, event))
}

fn status(element: &Value, status: DeliveryStatus) -> Result<Event, NormaliseError> {
    let failed = matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed);
    let blocked = read::text(element, "/type").as_deref() == Some("blocked");
    Ok(Event::MessageStatus(Box::new(MessageStatus {
        channel: Channel::Email,
        provider_ref: provider_ref(element).ok_or_else(|| read::missing("/sg_message_id"))?,
        status,
        rank: status.rank(),
        effect_id: read::text(element, "/effect_id"),
        to: read::text(element, "/email").as_deref().and_then(read::email),
        error_code: read::text(element, "/status").filter(|_| failed),
        reason: read::text(element, "/reason").filter(|_| failed),
        permanent: status == DeliveryStatus::Undelivered && !blocked,
    })))
}

fn opt_out(element: &Value, reason: &str) -> Result<Event, NormaliseError> {
    let address = read::required(element, "/email")?;
    Ok(Event::OptOut(Box::new(OptOut {
        channel: Channel::Email,
        address: read::email(&address).ok_or_else(|| read::bad("/email", "an e-mail address"))?,
        reason: reason.to_owned(),
        provider_ref: provider_ref(element),
        effect_id: read::text(element, "/effect_id"),
    })))
}

/// `sg_message_id` is the id that sending answered (`X-Message-Id`), a full stop, and the machine that handled it.
fn provider_ref(element: &Value) -> Option<String> {
    let id = read::text(element, "/sg_message_id")?;
    id.split('.').next().filter(|id| !id.is_empty()).map(str::to_owned)
}
