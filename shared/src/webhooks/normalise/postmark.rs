//! Postmark: records of outgoing mail, and inbound mail (postmarkapp.com/developer/webhooks). Our own id travels in the
//! metadata `effect_id`.

use serde_json::Value;

use super::{
    Canonical, Channel, DeliveryStatus, Event, Media, MessageReceived, MessageStatus, NormaliseError,
    Normalised, OptOut, Raw, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let key = raw.delivery_key;
    // Inbound mail is the one record that may come without a type.
    let kind = read::text(&body, "/RecordType").unwrap_or_else(|| "Inbound".to_owned());
    let at = |pointer: &str| read::rfc3339(&body, pointer).unwrap_or(raw.received_at);
    let (at, event) = match kind.as_str() {
        "Delivery" => (at("/DeliveredAt"), status(&body, DeliveryStatus::Delivered, "/Recipient")?),
        "Bounce" if transient(&body) => (at("/BouncedAt"), status(&body, DeliveryStatus::Sending, "/Email")?),
        "Bounce" => (at("/BouncedAt"), status(&body, DeliveryStatus::Undelivered, "/Email")?),
        "Open" | "Click" => (at("/ReceivedAt"), status(&body, DeliveryStatus::Read, "/Recipient")?),
        "SpamComplaint" => (at("/BouncedAt"), opt_out(&body, "complained", "/Email")?),
        "SubscriptionChange" if read::flag(&body, "/SuppressSending") => {
            let complaint = read::text(&body, "/SuppressionReason").as_deref() == Some("SpamComplaint");
            let reason = if complaint { "complained" } else { "unsubscribed" };
            (at("/ChangedAt"), opt_out(&body, reason, "/Recipient")?)
        }
        "SubscriptionChange" => {
            return Ok(Normalised::one(Canonical::generic(
                key,
                at("/ChangedAt"),
                "postmark.resubscribed".to_owned(),
                body.clone(),
            )));
        }
        "Inbound" => (raw.received_at, inbound(&body)?),
        _ => return Err(read::bad("/RecordType", "a record we know")),
    };
    Ok(Normalised::one(Canonical::new(key, at, event)))
}

fn transient(body: &Value) -> bool {
    let kind = read::text(body, "/Type").unwrap_or_default();
    ["Transient", "SoftBounce", "DnsError", "AutoResponder"].contains(&kind.as_str())
}

fn status(body: &Value, status: DeliveryStatus, address: &str) -> Result<Event, NormaliseError> {
    let failed = status == DeliveryStatus::Undelivered;
    Ok(Event::MessageStatus(Box::new(MessageStatus {
        channel: Channel::Email,
        provider_ref: read::required(body, "/MessageID")?,
        status,
        rank: status.rank(),
        effect_id: read::text(body, "/Metadata/effect_id"),
        to: read::text(body, address).as_deref().and_then(read::email),
        error_code: read::text(body, "/Type").filter(|_| failed),
        reason: read::text(body, "/Description").filter(|_| failed),
        permanent: failed && read::flag(body, "/Inactive"),
    })))
}

fn opt_out(body: &Value, reason: &str, address: &str) -> Result<Event, NormaliseError> {
    let written = read::required(body, address)?;
    Ok(Event::OptOut(Box::new(OptOut {
        channel: Channel::Email,
        address: read::email(&written).ok_or_else(|| read::bad(address, "an e-mail address"))?,
        reason: reason.to_owned(),
        provider_ref: read::text(body, "/MessageID"),
        effect_id: read::text(body, "/Metadata/effect_id"),
    })))
}

fn inbound(body: &Value) -> Result<Event, NormaliseError> {
    let from = read::text(body, "/FromFull/Email").or_else(|| read::text(body, "/From"));
    let (from, name) =
        from.as_deref().and_then(read::mailbox).ok_or_else(|| read::bad("/From", "an e-mail address"))?;
    let header = |wanted: &str| {
        let named = |header: &&Value| {
            read::text(header, "/Name").is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        };
        let header = read::items(body, "/Headers").iter().find(named)?;
        read::text(header, "/Value").as_deref().and_then(read::message_id)
    };
    let attachment = |file: &Value| Media {
        filename: read::text(file, "/Name"),
        content_type: read::text(file, "/ContentType"),
        ..Media::default()
    };
    let reply = read::text(body, "/StrippedTextReply");
    Ok(Event::MessageReceived(Box::new(MessageReceived {
        channel: Channel::Email,
        from,
        to: read::text(body, "/OriginalRecipient").or_else(|| read::text(body, "/To")).unwrap_or_default(),
        name: read::text(body, "/FromFull/Name").or(name),
        subject: read::text(body, "/Subject"),
        body: reply.or_else(|| read::text(body, "/TextBody")).unwrap_or_default(),
        provider_ref: match header("Message-ID") {
            Some(id) => id,
            None => read::required(body, "/MessageID")?,
        },
        in_reply_to: header("In-Reply-To"),
        media: read::items(body, "/Attachments").iter().map(attachment).collect(),
    })))
}
