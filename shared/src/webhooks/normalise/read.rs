//! Taking values out of bodies, by JSON pointer; an error names the pointer.

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::Value;

use super::{Identity, NormaliseError, Raw};

/// The body as JSON.
pub(super) fn json(raw: &Raw<'_>) -> Result<Value, NormaliseError> {
    crate::json::parse_without_nul(raw.body)
        .map_err(|refusal| NormaliseError::new(refusal.code(), refusal.to_string()))
}

/// The MIME type of the body, lower-cased and without parameters.
pub(super) fn media_type(raw: &Raw<'_>) -> String {
    let value = raw.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The fields of an urlencoded text, in order, without NUL characters.
pub(super) fn form(text: &[u8]) -> Vec<(String, String)> {
    let clean = |text: std::borrow::Cow<'_, str>| text.replace('\0', "");
    form_urlencoded::parse(text).map(|(name, value)| (clean(name), clean(value))).collect()
}

/// The first non-empty field of a form.
pub(super) fn field(form: &[(String, String)], name: &str) -> Option<String> {
    form.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone())
}

/// A field that a form must have.
pub(super) fn required_field(form: &[(String, String)], name: &str) -> Result<String, NormaliseError> {
    field(form, name).ok_or_else(|| missing(name))
}

pub(super) fn missing(place: &str) -> NormaliseError {
    NormaliseError::new("missing_field", format!("{place} is missing or empty"))
}

pub(super) fn bad(place: &str, what: &str) -> NormaliseError {
    NormaliseError::new("bad_field", format!("{place} is not {what}"))
}

/// A text without its outer spaces, if any is left; a number stands for its digits (ids come either way).
pub(super) fn text(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn required(value: &Value, pointer: &str) -> Result<String, NormaliseError> {
    text(value, pointer).ok_or_else(|| missing(pointer))
}

/// Whether a flag is there and true.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn integer(value: &Value, pointer: &str) -> Result<i64, NormaliseError> {
    let found = value.pointer(pointer).ok_or_else(|| missing(pointer))?;
    found.as_i64().ok_or_else(|| bad(pointer, "a whole number"))
}

/// Unix seconds, as a number (perhaps with a fraction) or as digits.
pub(super) fn unix(value: &Value, pointer: &str) -> Result<DateTime<Utc>, NormaliseError> {
    let wrong = || bad(pointer, "a time in Unix seconds");
    let found = value.pointer(pointer).ok_or_else(|| missing(pointer))?;
    let text = match found {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(wrong()),
    };
    let seconds: Decimal = text.parse().map_err(|_| wrong())?;
    let micros = seconds.checked_mul(Decimal::from(1_000_000)).and_then(|micros| micros.to_i64());
    micros.and_then(DateTime::from_timestamp_micros).and_then(storable).ok_or_else(wrong)
}

/// A time as in RFC 3339.
pub(super) fn rfc3339(value: &Value, pointer: &str) -> Result<DateTime<Utc>, NormaliseError> {
    let text = required(value, pointer)?;
    let time = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc));
    time.and_then(storable).ok_or_else(|| bad(pointer, "a time as in RFC 3339"))
}

/// A time between the years 1970 and 9999: anything else is no event of ours.
fn storable(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (0..253_402_300_800).contains(&time.timestamp()).then_some(time)
}

/// An ISO 4217 code in upper case.
pub(super) fn currency(value: &Value, pointer: &str) -> Result<Currency, NormaliseError> {
    let code = required(value, pointer)?.to_ascii_uppercase();
    Currency::from_code(&code).ok_or_else(|| bad(pointer, "a currency of ISO 4217"))
}

/// Minor units of an amount that is written as a decimal of major units.
pub(super) fn minor(value: &Value, pointer: &str, currency: Currency) -> Result<i64, NormaliseError> {
    let wrong = || bad(pointer, "an amount of its currency");
    let amount: Decimal = required(value, pointer)?.parse().map_err(|_| wrong())?;
    let exponent = u32::from(currency.exponent().unwrap_or_default());
    let scaled = 10_i64.checked_pow(exponent).and_then(|factor| amount.checked_mul(Decimal::from(factor)));
    let scaled = scaled.filter(|scaled| scaled.fract().is_zero() && !scaled.is_sign_negative());
    scaled.and_then(|scaled| scaled.to_i64()).ok_or_else(wrong)
}

/// An e-mail address, lower-cased, if the text has the form of one. Not more than the form: only mail can tell.
pub(super) fn email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let clean =
        text.chars().all(|char| !char.is_whitespace() && !char.is_control() && !"<>,;:\"\\".contains(char));
    let dotted = domain.split('.').count() > 1 && domain.split('.').all(|label| !label.is_empty());
    (clean && dotted && !local.is_empty() && !domain.contains('@') && text.len() <= 254).then_some(text)
}

/// A phone number as written, if the text can be one.
pub(super) fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let clean = text.chars().all(|char| char.is_ascii_digit() || "+-()./ \u{a0}".contains(char));
    (clean && (5..=20).contains(&digits) && text.len() <= 40).then(|| text.to_owned())
}

/// Who someone is, from an e-mail and a phone that may be absent or nonsense.
pub(super) fn identity(email_text: Option<String>, phone_text: Option<String>) -> Identity {
    Identity {
        email: email_text.and_then(|text| email(&text)),
        phone: phone_text.and_then(|text| phone(&text)),
    }
}

/// The address in a header such as `Ann <ann@example.com>`, and the name before it.
pub(super) fn mailbox(text: &str) -> Option<(String, Option<String>)> {
    match text.rsplit_once('<') {
        Some((name, address)) => {
            let name = name.trim().trim_matches('"').trim();
            Some((email(address.trim().trim_end_matches('>'))?, (!name.is_empty()).then(|| name.to_owned())))
        }
        None => Some((email(text)?, None)),
    }
}

/// The bare id in a `Message-Id` header.
pub(super) fn message_id(text: &str) -> Option<String> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    (!id.is_empty() && id.len() <= 998).then(|| id.to_owned())
}
