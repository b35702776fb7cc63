//! Mailgun: events (documentation.mailgun.com, webhooks), and mail received by a route, as a form. Our own id travels in
//! the user variable `effect_id`.

use serde_json::Value;

use super::{
    Canonical, Channel, DeliveryStatus, Event, MessageReceived, MessageStatus, NormaliseError, Normalised,
    OptOut, Raw, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    match read::media_type(raw).as_str() {
        "application/x-www-form-urlencoded" => read_mail(raw),
        "multipart/form-data" => Err(NormaliseError::new(
            "unsupported_media",
            "mail with attachments: store it in the route and notify",
        )),
        _ => read_event(raw),
    }
}

fn read_event(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let data = body.get("event-data").ok_or_else(|| read::missing("/event-data"))?;
    let key = read::required(data, "/id")?;
    let at = read::unix(data, "/timestamp")?;
    let word = read::required(data, "/event")?;
    let temporary = read::text(data, "/severity").as_deref() == Some("temporary");
    let event = match word.as_str() {
        "accepted" => status(data, DeliveryStatus::Queued)?,
        "delivered" => status(data, DeliveryStatus::Delivered)?,
        "failed" if temporary => status(data, DeliveryStatus::Sending)?,
        "failed" => status(data, DeliveryStatus::Undelivered)?,
        "rejected" => status(data, DeliveryStatus::Failed)?,
        "opened" | "clicked" => status(data, DeliveryStatus::Read)?,
        "unsubscribed" => opt_out(data, "unsubscribed")?,
        "complained" => opt_out(data, "complained")?,
        _ => return Ok(Normalised::one(Canonical::ignored(key, at, "not_used"))),
    };
    Ok(Normalised::one(Canonical::new(key, at, event)))
}

fn status(data: &Value, status: DeliveryStatus) -> Result<Event, NormaliseError> {
    let failed = matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed);
    let description = read::text(data, "/delivery-status/description");
    let reason = description.or_else(|| read::text(data, "/delivery-status/message"));
    Ok(Event::MessageStatus(Box::new(MessageStatus {
        channel: Channel::Email,
        provider_ref: provider_ref(data).ok_or_else(|| read::missing("/message/headers/message-id"))?,
        status,
        rank: status.rank(),
        effect_id: read::text(data, "/user-variables/effect_id"),
        to: read::text(data, "/recipient").as_deref().and_then(read::email),
        error_code: read::text(data, "/delivery-status/code").filter(|_| failed),
        reason: reason.or_else(|| read::text(data, "/reason")).filter(|_| failed),
        permanent: status == DeliveryStatus::Undelivered,
    })))
}

fn opt_out(data: &Value, reason: &str) -> Result<Event, NormaliseError> {
    let address = read::required(data, "/recipient")?;
    Ok(Event::OptOut(Box::new(OptOut {
        channel: Channel::Email,
        address: read::email(&address).ok_or_else(|| read::bad("/recipient", "an e-mail address"))?,
        reason: reason.to_owned(),
        provider_ref: provider_ref(data),
        effect_id: read::text(data, "/user-variables/effect_id"),
    })))
}

fn provider_ref(data: &Value) -> Option<String> {
    read::text(data, "/message/headers/message-id").as_deref().and_then(read::message_id)
}

fn read_mail(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let form = read::form(raw.body);
    let id = read::field(&form, "Message-Id").as_deref().and_then(read::message_id);
    let id = id.ok_or_else(|| read::missing("Message-Id"))?;
    let sender = read::field(&form, "from").as_deref().and_then(read::mailbox);
    let sender = match sender {
        Some(sender) => Some(sender),
        None => read::mailbox(&read::required_field(&form, "sender")?),
    };
    let (from, name) = sender.ok_or_else(|| read::bad("sender", "an e-mail address"))?;
    let message = MessageReceived {
        channel: Channel::Email,
        from,
        to: read::required_field(&form, "recipient")?,
        name,
        subject: read::field(&form, "subject"),
        body: read::field(&form, "stripped-text")
            .or_else(|| read::field(&form, "body-plain"))
            .unwrap_or_default(),
        provider_ref: id.clone(),
        in_reply_to: read::field(&form, "In-Reply-To").as_deref().and_then(read::message_id),
        media: Vec::new(),
    };
    Ok(Normalised::one(Canonical::new(id, raw.received_at, Event::MessageReceived(Box::new(message)))))
}
