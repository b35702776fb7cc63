//! Twilio: incoming messages, status callbacks and calls as forms (twilio.com/docs/messaging/guides/webhook-request), and
//! event streams as JSON lists of CloudEvents.

use serde_json::{Map, Value};

use super::{
    Canonical, Channel, DeliveryStatus, Event, Media, MessageReceived, MessageStatus, NormaliseError,
    Normalised, OptOut, Raw, read,
};

const MAX_MEDIA: usize = 10;

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    if read::media_type(raw).ends_with("json") {
        return read_stream(raw);
    }
    let form = read::form(raw.body);
    let status = read::field(&form, "MessageStatus").or_else(|| read::field(&form, "SmsStatus"));
    match (read::field(&form, "MessageSid").or_else(|| read::field(&form, "SmsSid")), status.as_deref()) {
        (Some(sid), None | Some("received" | "receiving")) => incoming(raw, &form, sid),
        (Some(sid), Some(status)) => Ok(Normalised::one(progress(raw, &form, sid, status)?)),
        (None, _) => other(raw, &form),
    }
}

fn incoming(raw: &Raw<'_>, form: &[(String, String)], sid: String) -> Result<Normalised, NormaliseError> {
    let from = read::required_field(form, "From")?;
    let Some((channel, from)) = address(&from) else {
        return Ok(Normalised::one(generic(raw, form, "twilio.message", sid)));
    };
    let to = read::required_field(form, "To")?;
    let to = address(&to).map_or(to.clone(), |(_, to)| to);
    let mut events = Vec::new();
    // Twilio itself already refuses to write to this number.
    if read::field(form, "OptOutType").as_deref() == Some("STOP") {
        let reason = "unsubscribed".to_owned();
        let out = OptOut { channel, address: from.clone(), reason, provider_ref: None, effect_id: None };
        events.push(Canonical::new(format!("{sid}:optOut"), raw.received_at, Event::OptOut(Box::new(out))));
    }
    let message = MessageReceived {
        channel,
        from,
        to,
        name: read::field(form, "ProfileName"),
        subject: None,
        body: read::field(form, "Body").unwrap_or_default(),
        provider_ref: sid.clone(),
        in_reply_to: read::field(form, "OriginalRepliedMessageSid"),
        media: media(form),
    };
    events.push(Canonical::new(sid, raw.received_at, Event::MessageReceived(Box::new(message))));
    Ok(Normalised { events, errors: Vec::new() })
}

fn progress(
    raw: &Raw<'_>,
    form: &[(String, String)],
    sid: String,
    word: &str,
) -> Result<Canonical, NormaliseError> {
    let status = match word {
        "accepted" | "scheduled" | "queued" => DeliveryStatus::Queued,
        "sending" => DeliveryStatus::Sending,
        "sent" | "partially_delivered" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" => DeliveryStatus::Read,
        "undelivered" => DeliveryStatus::Undelivered,
        "failed" => DeliveryStatus::Failed,
        "canceled" => DeliveryStatus::Canceled,
        _ => return Err(read::bad("MessageStatus", "a status we know")),
    };
    let to = read::field(form, "To");
    let channel = to.as_deref().and_then(address).map_or(Channel::Sms, |(channel, _)| channel);
    let key = format!("{sid}:{word}");
    let error_code = read::field(form, "ErrorCode").filter(|code| code != "0");
    let update = MessageStatus {
        channel,
        provider_ref: sid,
        status,
        rank: status.rank(),
        effect_id: read::field(&read::form(raw.query.as_bytes()), "effect"),
        to: to.as_deref().and_then(address).map(|(_, to)| to),
        error_code,
        reason: read::field(form, "ErrorMessage"),
        permanent: false,
    };
    Ok(Canonical::new(key, raw.received_at, Event::MessageStatus(Box::new(update))))
}

/// Calls, conversations and whatever else Twilio posts as a form.
fn other(raw: &Raw<'_>, form: &[(String, String)]) -> Result<Normalised, NormaliseError> {
    if let Some(sid) = read::field(form, "CallSid") {
        let status = read::field(form, "CallStatus").unwrap_or_else(|| "event".to_owned());
        let name = format!("twilio.call.{status}");
        return Ok(Normalised::one(generic(raw, form, &name, format!("{sid}:{status}"))));
    }
    if let Some(kind) = read::field(form, "EventType") {
        let name = format!("twilio.{kind}");
        return Ok(Normalised::one(generic(raw, form, &name, raw.delivery_key.to_owned())));
    }
    Err(read::missing("MessageSid or CallSid"))
}

fn generic(raw: &Raw<'_>, form: &[(String, String)], name: &str, key: String) -> Canonical {
    let data: Map<String, Value> =
        form.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    Canonical::generic(key, raw.received_at, name.to_owned(), Value::Object(data))
}

fn read_stream(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let elements = match read::json(raw)? {
        Value::Array(elements) => elements,
        object @ Value::Object(_) => vec![object],
        _ => return Err(read::bad("the body", "a list of events")),
    };
    Normalised::collect(elements.into_iter().map(|element| {
        let name = read::required(&element, "/type")?;
        let id = read::required(&element, "/id")?;
        let at = read::rfc3339(&element, "/time").unwrap_or(raw.received_at);
        Ok(vec![Canonical::generic(id, at, name, element)])
    }))
}

/// A number, bare or behind the name of its channel. Other channels (Messenger, RCS) have no number.
fn address(text: &str) -> Option<(Channel, String)> {
    match text.split_once(':') {
        Some(("whatsapp", number)) => Some((Channel::Whatsapp, number.trim().to_owned())),
        Some(_) => None,
        None => Some((Channel::Sms, text.trim().to_owned())),
    }
}

fn media(form: &[(String, String)]) -> Vec<Media> {
    let one = |index: usize| {
        Some(Media {
            url: Some(read::field(form, &format!("MediaUrl{index}"))?),
            content_type: read::field(form, &format!("MediaContentType{index}")),
            ..Media::default()
        })
    };
    (0..MAX_MEDIA).map_while(one).collect()
}
