//! Senders whose events mean nothing special here: GitHub, Slack, anything signed by Standard Webhooks or by a plain HMAC.
//! The event is passed on under the sender's name for it, for automations to react to. If it also tells of a person, a
//! lead is captured beside it: by the map of the source; a generic source without a map is read by the usual field names
//! at the top of its body.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Canonical, Event, NormaliseError, Normalised, Raw, lead, read, resend};

pub(super) fn read_generic(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let body = body(raw)?;
    let own =
        settings.get("typeField").and_then(Value::as_str).map(|path| format!("/{}", path.replace('.', "/")));
    let places = own.iter().map(String::as_str).chain(["/type", "/event", "/eventType"]);
    let name = places.into_iter().find_map(|place| read::text(&body, place));
    let at = ["/occurredAt", "/timestamp", "/created_at", "/createdAt"];
    let at = at.iter().find_map(|place| read::rfc3339(&body, place).ok()).unwrap_or(raw.received_at);
    let names = if lead::map(settings).is_some() { lead::Names::MappedOnly } else { lead::Names::Usual };
    signal(raw, settings, name.unwrap_or_else(|| "webhook.received".to_owned()), at, body, names)
}

pub(super) fn read_standard(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let body = body(raw)?;
    let name = read::text(&body, "/type").or_else(|| read::text(&body, "/event_type"));
    let name = name.unwrap_or_else(|| "webhook.received".to_owned());
    if resend::is_event(&name, &body) {
        return Ok(Normalised { events: resend::read(raw, &name, &body)?, errors: Vec::new() });
    }
    let at = read::rfc3339(&body, "/timestamp").unwrap_or(raw.received_at);
    signal(raw, settings, name, at, body, lead::Names::MappedOnly)
}

pub(super) fn read_github(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let event = raw.headers.get("x-github-event").and_then(|value| value.to_str().ok());
    let event = event.ok_or_else(|| read::missing("X-GitHub-Event"))?;
    let body = body(raw)?;
    // GitHub can be set to send its JSON as one field of a form.
    let body = match read::text(&body, "/payload").filter(|_| read::media_type(raw).ends_with("urlencoded")) {
        Some(inner) => crate::json::parse_without_nul(inner.as_bytes())
            .map_err(|refusal| NormaliseError::new(refusal.code(), refusal.to_string()))?,
        None => body,
    };
    let action = read::text(&body, "/action").map_or_else(String::new, |action| format!(".{action}"));
    let name = format!("github.{event}{action}");
    signal(raw, settings, name, raw.received_at, body, lead::Names::MappedOnly)
}

pub(super) fn read_slack(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let body = body(raw)?;
    if read::text(&body, "/type").as_deref() == Some("url_verification") {
        return Ok(Normalised::one(Canonical::ignored(
            raw.delivery_key,
            raw.received_at,
            "url_verification",
        )));
    }
    let name = match (read::text(&body, "/event/type"), read::text(&body, "/command")) {
        (Some(event), _) => format!("slack.{event}"),
        (None, Some(_)) => "slack.command".to_owned(),
        (None, None) => {
            format!("slack.{}", read::text(&body, "/type").unwrap_or_else(|| "interaction".to_owned()))
        }
    };
    let at = read::unix(&body, "/event_time").unwrap_or(raw.received_at);
    signal(raw, settings, name, at, body, lead::Names::MappedOnly)
}

fn signal(
    raw: &Raw<'_>,
    settings: &Value,
    name: String,
    at: DateTime<Utc>,
    body: Value,
    names: lead::Names,
) -> Result<Normalised, NormaliseError> {
    let mut events = Vec::new();
    let looked_for = names == lead::Names::Usual || lead::map(settings).is_some();
    if let (true, Value::Object(answers)) = (looked_for, &body) {
        match lead::pick(answers.clone(), settings, names, "webhook") {
            Ok(lead) => {
                let key = format!("{}:lead", raw.delivery_key);
                events.push(Canonical::new(key, at, Event::LeadCaptured(Box::new(lead))));
            }
            Err(error) if error.code == "no_identity" => {}
            Err(error) => return Err(error),
        }
    }
    events.push(Canonical::generic(raw.delivery_key, at, name, body));
    Ok(Normalised { events, errors: Vec::new() })
}

/// JSON, or the fields of a form as an object.
fn body(raw: &Raw<'_>) -> Result<Value, NormaliseError> {
    if read::media_type(raw).ends_with("urlencoded") {
        let fields = read::form(raw.body).into_iter().map(|(name, value)| (name, Value::String(value)));
        return Ok(Value::Object(fields.collect()));
    }
    read::json(raw)
}
