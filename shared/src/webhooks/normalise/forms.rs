//! Website forms: a JSON object, or urlencoded fields.

use serde_json::{Map, Value};

use super::{Canonical, Event, NormaliseError, Normalised, Raw, lead, read};

/// Field names that no honest form uses for anything but a trap.
const USUAL_TRAPS: [&str; 4] = ["_gotcha", "_honeypot", "_honey", "honeypot"];

pub(super) fn read(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let mut answers = answers(raw)?;
    if sprung(&answers, settings) {
        return Ok(Normalised::one(Canonical::ignored(raw.delivery_key, raw.received_at, "honeypot")));
    }
    let traps = traps(settings);
    answers.retain(|name, _| !traps.contains(&name.as_str()));
    let lead = lead::pick(answers, settings, lead::Names::Usual, "form")?;
    let event = Event::LeadCaptured(Box::new(lead));
    Ok(Normalised::one(Canonical::new(raw.delivery_key, raw.received_at, event)))
}

/// Whether a robot filled in the field that people do not see (the setting `honeypot`, or one of the usual names). Such a
/// submission is answered like any other and dropped.
#[must_use]
pub fn is_trapped(raw: &Raw<'_>, settings: &Value) -> bool {
    answers(raw).is_ok_and(|answers| sprung(&answers, settings))
}

fn sprung(answers: &Map<String, Value>, settings: &Value) -> bool {
    let filled = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    };
    traps(settings).iter().any(|trap| answers.get(*trap).is_some_and(filled))
}

fn traps(settings: &Value) -> Vec<&str> {
    let own = settings.get("honeypot").and_then(Value::as_str).filter(|name| !name.is_empty());
    own.into_iter().chain(USUAL_TRAPS).collect()
}

fn answers(raw: &Raw<'_>) -> Result<Map<String, Value>, NormaliseError> {
    let braced = raw.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    match read::media_type(raw).as_str() {
        "application/json" => from_json(raw),
        // Beacons and hand-made requests; the first character tells.
        "" | "text/plain" if braced => from_json(raw),
        "application/x-www-form-urlencoded" | "" | "text/plain" => Ok(from_urlencoded(raw.body)),
        other if other.ends_with("+json") => from_json(raw),
        _ => Err(NormaliseError::new("unsupported_media", "a form is JSON or urlencoded")),
    }
}

fn from_json(raw: &Raw<'_>) -> Result<Map<String, Value>, NormaliseError> {
    match read::json(raw)? {
        Value::Object(answers) => Ok(answers),
        _ => Err(read::bad("the body", "a JSON object")),
    }
}

/// A name that is there several times (check boxes) becomes a list.
fn from_urlencoded(body: &[u8]) -> Map<String, Value> {
    let mut answers = Map::new();
    for (name, value) in read::form(body) {
        match answers.get_mut(&name) {
            None => {
                answers.insert(name, Value::String(value));
            }
            Some(Value::Array(values)) => values.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
        }
    }
    answers
}
