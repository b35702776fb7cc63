//! The same within JSON values.

use serde_json::{Map, Value};

use super::{
    number,
    text::{count_digits, page, prose, with},
};

/// Replaces the addresses in every text of a value.
pub(super) fn within(value: Value) -> Value {
    texts(value, &|text| Value::String(with(text, prose)), &Value::Number)
}

/// Replaces the addresses in every address of a page in a value.
#[must_use]
pub fn pages(value: Value) -> Value {
    texts(value, &|text| Value::String(with(text, page)), &Value::Number)
}

/// Replaces the addresses in the answers of a form. People fill in numbers as they like, and forms send them as numbers: whatever
/// has seven or more digits and is no date counts as one.
#[must_use]
pub fn answers(value: Value) -> Value {
    let text = |text: String| {
        let masked = with(text, prose);
        Value::String(if count_digits(&masked) >= 7 { number(&masked) } else { masked })
    };
    texts(value, &text, &|given| {
        let digits = given.to_string();
        if count_digits(&digits) >= 7 { number(&digits).into() } else { Value::Number(given) }
    })
}

fn texts(
    value: Value,
    text: &impl Fn(String) -> Value,
    number: &impl Fn(serde_json::Number) -> Value,
) -> Value {
    match value {
        Value::String(given) => text(given),
        Value::Number(given) => number(given),
        Value::Array(items) => items.into_iter().map(|item| texts(item, text, number)).collect(),
        Value::Object(members) => {
            let member = |(name, value)| (with(name, prose), texts(value, text, number));
            Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
        }
        other => other,
    }
}
