//! Values of custom fields: each fits its type or is refused with a word.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::CustomField;
use crate::values::{Email, Phone};

/// Why a value is refused: a word and a sentence.
pub(super) type Refusal = (&'static str, &'static str);

/// The value as it is stored.
pub(super) fn read(field: &CustomField, value: &Value, country: &str) -> Result<Value, Refusal> {
    match (field.kind.as_str(), value) {
        ("text", Value::String(text)) if text.chars().count() <= 2_000 => Ok(value.clone()),
        ("text", Value::String(_)) => Err(("too_long", "At most 2,000 characters are taken.")),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => Ok(value.clone()),
        ("date", Value::String(text)) => day(text).map(Value::from),
        ("datetime", Value::String(text)) => instant(text).map(Value::from),
        ("select", Value::String(choice)) => chosen(field, choice).map(Value::from),
        ("multiSelect", Value::Array(choices)) => all_chosen(field, choices),
        ("url", Value::String(text)) => web_address(text).map(Value::from),
        ("email", Value::String(text)) => {
            Email::try_from(text.clone()).map(|email| json!(email)).map_err(refusal)
        }
        ("phone", Value::String(text)) => {
            Phone::parse(text, country).map(|phone| phone.as_str().into()).map_err(refusal)
        }
        (kind, _) => Err(("wrong_type", expected(kind))),
    }
}

fn expected(kind: &str) -> &'static str {
    match kind {
        "number" => "A number is expected.",
        "boolean" => "true or false is expected.",
        "date" => "A date like 2026-03-01 is expected.",
        "datetime" => "RFC 3339 like 2026-03-01T09:00:00Z is expected.",
        "multiSelect" => "A list of options is expected.",
        _ => "A text is expected.",
    }
}

/// A refusal of the form `word: Sentence.`
fn refusal(text: &'static str) -> Refusal {
    text.split_once(": ").unwrap_or(("invalid_value", text))
}

pub(super) fn day(text: &str) -> Result<String, Refusal> {
    match text.parse::<NaiveDate>() {
        Ok(date) if text.len() == 10 => Ok(date.to_string()),
        Ok(_) | Err(_) => Err(("invalid_date", expected("date"))),
    }
}

fn instant(text: &str) -> Result<String, Refusal> {
    let instant = DateTime::parse_from_rfc3339(text).map_err(|_| ("invalid_time", expected("datetime")))?;
    Ok(instant.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

pub(super) fn chosen(field: &CustomField, choice: &str) -> Result<String, Refusal> {
    if field.options.iter().any(|option| option == choice) {
        Ok(choice.to_owned())
    } else {
        Err(("unknown_value", "This is none of the field's options."))
    }
}

fn all_chosen(field: &CustomField, choices: &[Value]) -> Result<Value, Refusal> {
    let mut taken: Vec<String> = Vec::new();
    for choice in choices {
        let choice = chosen(field, choice.as_str().ok_or(("wrong_type", expected("multiSelect")))?)?;
        if !taken.contains(&choice) {
            taken.push(choice);
        }
    }
    Ok(json!(taken))
}

fn web_address(text: &str) -> Result<String, Refusal> {
    let parsed =
        url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match parsed {
        Some(_) if text.len() <= 2_000 => Ok(text.to_owned()),
        Some(_) | None => Err(("invalid_url", "An address like https://example.com is expected.")),
    }
}
