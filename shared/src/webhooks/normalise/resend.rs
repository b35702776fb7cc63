//! Resend's e-mail events, which come by Standard Webhooks (resend.com/docs, event types). Our own id travels in the tag
//! `effect_id`.

use serde_json::Value;

use super::{Canonical, Channel, DeliveryStatus, Event, MessageStatus, NormaliseError, OptOut, Raw, read};

/// Whether a Standard Webhooks body is one of these.
pub(super) fn is_event(name: &str, body: &Value) -> bool {
    name.starts_with("email.") && read::text(body, "/data/email_id").is_some()
}

pub(super) fn read(raw: &Raw<'_>, name: &str, body: &Value) -> Result<Vec<Canonical>, NormaliseError> {
    let at = read::rfc3339(body, "/created_at").unwrap_or(raw.received_at);
    let key = raw.delivery_key;
    let status = match name {
        "email.scheduled" => DeliveryStatus::Queued,
        "email.sent" => DeliveryStatus::Sent,
        "email.delivery_delayed" => DeliveryStatus::Sending,
        "email.delivered" => DeliveryStatus::Delivered,
        "email.opened" | "email.clicked" => DeliveryStatus::Read,
        "email.bounced" => DeliveryStatus::Undelivered,
        "email.failed" | "email.suppressed" => DeliveryStatus::Failed,
        "email.complained" => return Ok(vec![Canonical::new(key, at, complaint(body)?)]),
        _ => return Ok(vec![Canonical::generic(key, at, name.to_owned(), body.clone())]),
    };
    let failed = matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed);
    let kind = read::text(body, "/data/bounce/type");
    let reason = read::text(body, "/data/bounce/message").or_else(|| read::text(body, "/data/failed/reason"));
    let update = MessageStatus {
        channel: Channel::Email,
        provider_ref: read::required(body, "/data/email_id")?,
        status,
        rank: status.rank(),
        effect_id: effect_id(body),
        to: recipient(body),
        error_code: read::text(body, "/data/bounce/subType").filter(|_| failed),
        reason: reason.filter(|_| failed),
        permanent: kind.as_deref() == Some("Permanent"),
    };
    Ok(vec![Canonical::new(key, at, Event::MessageStatus(Box::new(update)))])
}

fn complaint(body: &Value) -> Result<Event, NormaliseError> {
    Ok(Event::OptOut(Box::new(OptOut {
        channel: Channel::Email,
        address: recipient(body).ok_or_else(|| read::bad("/data/to", "an e-mail address"))?,
        reason: "complained".to_owned(),
        provider_ref: read::text(body, "/data/email_id"),
        effect_id: effect_id(body),
    })))
}

fn recipient(body: &Value) -> Option<String> {
    let to = read::text(body, "/data/to/0").or_else(|| read::text(body, "/data/to"))?;
    read::mailbox(&to).map(|(address, _)| address)
}

/// Tags are told as an object, in some versions as a list of names and values.
fn effect_id(body: &Value) -> Option<String> {
    let listed = || {
        let named = |tag: &&Value| read::text(tag, "/name").as_deref() == Some("effect_id");
        read::text(read::items(body, "/data/tags").iter().find(named)?, "/value")
    };
    read::text(body, "/data/tags/effect_id").or_else(listed)
}
