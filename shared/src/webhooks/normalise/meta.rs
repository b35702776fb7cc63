//! Meta: WhatsApp messages and statuses (developers.facebook.com, WhatsApp Cloud API webhooks), and Lead Ads, which only
//! name a lead that has to be fetched.

use serde_json::Value;

use super::{
    Canonical, Channel, DeliveryStatus, Event, Media, MessageReceived, MessageStatus, NormaliseError,
    Normalised, Raw, read,
};

pub(super) fn read(raw: &Raw<'_>) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let object = read::required(&body, "/object")?;
    let entries = read::items(&body, "/entry");
    if entries.is_empty() {
        return Err(read::missing("/entry"));
    }
    let mut elements = Vec::new();
    for entry in entries {
        let changes = read::items(entry, "/changes");
        elements.extend(changes.iter().flat_map(|change| of_change(raw, &object, change)));
        let messaging = read::items(entry, "/messaging").iter();
        elements.extend(messaging.map(|message| Ok(vec![of_messenger(raw, &object, message)])));
    }
    let mut all = Normalised::collect(elements.into_iter())?;
    if all.events.is_empty() {
        all.events.push(Canonical::ignored(raw.delivery_key, raw.received_at, "nothing_in_it"));
    }
    Ok(all)
}

type Element = Result<Vec<Canonical>, NormaliseError>;

fn of_change(raw: &Raw<'_>, object: &str, change: &Value) -> Vec<Element> {
    let value = change.get("value").unwrap_or(&Value::Null);
    let field = read::text(change, "/field").unwrap_or_default();
    if object == "whatsapp_business_account" && field == "messages" {
        let messages = read::items(value, "/messages").iter().map(|message| of_message(value, message));
        let statuses = read::items(value, "/statuses").iter().map(of_status);
        return messages.chain(statuses).collect();
    }
    if field == "leadgen" {
        return vec![of_lead(raw, value)];
    }
    let name = format!("meta.{}", if field.is_empty() { "change" } else { &field });
    let key = format!("{}:{name}", raw.delivery_key);
    vec![Ok(vec![Canonical::generic(key, raw.received_at, name, change.clone())])]
}

fn of_message(value: &Value, message: &Value) -> Element {
    let id = read::required(message, "/id")?;
    let at = read::unix(message, "/timestamp")?;
    let sender = read::required(message, "/from")?;
    let kind = read::required(message, "/type")?;
    let file = message.get(&kind).unwrap_or(&Value::Null);
    let (body, media) = match kind.as_str() {
        "text" => (read::text(message, "/text/body"), Vec::new()),
        "button" => (read::text(message, "/button/text"), Vec::new()),
        "interactive" => {
            let answer = ["/interactive/button_reply/title", "/interactive/list_reply/title"];
            (answer.iter().find_map(|place| read::text(message, place)), Vec::new())
        }
        "image" | "video" | "audio" | "voice" | "document" | "sticker" => {
            (read::text(file, "/caption"), vec![media(file)?])
        }
        _ => {
            let name = format!("whatsapp.{kind}");
            return Ok(vec![Canonical::generic(id, at, name, message.clone())]);
        }
    };
    let contacts = read::items(value, "/contacts");
    let contact = contacts.iter().find(|contact| read::text(contact, "/wa_id").as_deref() == Some(&sender));
    let received = MessageReceived {
        channel: Channel::Whatsapp,
        from: e164(&sender),
        to: e164(&read::required(value, "/metadata/display_phone_number")?),
        name: contact.and_then(|contact| read::text(contact, "/profile/name")),
        subject: None,
        body: body.unwrap_or_default(),
        provider_ref: id.clone(),
        in_reply_to: read::text(message, "/context/id"),
        media,
    };
    Ok(vec![Canonical::new(id, at, Event::MessageReceived(Box::new(received)))])
}

fn of_status(update: &Value) -> Element {
    let id = read::required(update, "/id")?;
    let at = read::unix(update, "/timestamp")?;
    let word = read::required(update, "/status")?;
    let key = format!("{id}:{word}");
    let status = match word.as_str() {
        "sent" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" | "played" => DeliveryStatus::Read,
        "failed" => DeliveryStatus::Failed,
        "deleted" | "warning" => return Ok(vec![Canonical::ignored(key, at, "not_used")]),
        _ => return Err(read::bad("/status", "a status we know")),
    };
    let update = MessageStatus {
        channel: Channel::Whatsapp,
        provider_ref: id,
        status,
        rank: status.rank(),
        effect_id: read::text(update, "/biz_opaque_callback_data"),
        to: read::text(update, "/recipient_id").map(|number| e164(&number)),
        error_code: read::text(update, "/errors/0/code"),
        reason: read::text(update, "/errors/0/title"),
        permanent: false,
    };
    Ok(vec![Canonical::new(key, at, Event::MessageStatus(Box::new(update)))])
}

/// The lead itself has to be fetched with the page's token; the event carries what is needed for that.
fn of_lead(raw: &Raw<'_>, value: &Value) -> Element {
    let id = read::required(value, "/leadgen_id")?;
    let at = read::unix(value, "/created_time").unwrap_or(raw.received_at);
    Ok(vec![Canonical::generic(format!("leadgen:{id}"), at, "meta.leadgen".to_owned(), value.clone())])
}

fn of_messenger(raw: &Raw<'_>, object: &str, message: &Value) -> Canonical {
    let key = match read::text(message, "/message/mid") {
        Some(id) => id,
        None => format!("{}:{}", raw.delivery_key, read::text(message, "/timestamp").unwrap_or_default()),
    };
    Canonical::generic(key, raw.received_at, format!("meta.{object}.messaging"), message.clone())
}

fn media(file: &Value) -> Result<Media, NormaliseError> {
    Ok(Media {
        id: Some(read::required(file, "/id")?),
        url: None,
        content_type: read::text(file, "/mime_type"),
        filename: read::text(file, "/filename"),
    })
}

/// Meta writes numbers in full but without the plus, and its own display numbers with spaces.
fn e164(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit);
    std::iter::once('+').chain(digits).collect()
}
