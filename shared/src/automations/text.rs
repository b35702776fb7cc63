//! Texts with variables in steps.

use serde_json::Value;

use crate::templates;

/// Whether a text can be rendered at all.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(source: &str) -> Result<(), String> {
    if !has_variables(source) {
        return Ok(());
    }
    templates::check(source).map(drop).map_err(|error| format!("The text cannot be read: {error}."))
}

/// Fills in the variables.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn render(source: &str, roots: &Value) -> Result<String, String> {
    if !has_variables(source) {
        return Ok(source.to_owned());
    }
    let rendered =
        templates::render(source, roots).map_err(|error| format!("The text cannot be rendered: {error}."))?;
    Ok(rendered.text)
}

/// Fills in the variables of all texts within a value.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn render_value(value: &Value, roots: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(source) => Value::String(render(source, roots)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render_value(item, roots)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, item)| Ok((key.clone(), render_value(item, roots)?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn has_variables(source: &str) -> bool {
    source.contains("{{") || source.contains("{%") || source.contains("{#")
}
