//! Texts with variables in steps, and the check of URLs that are known before a run.

use std::net::IpAddr;

use minijinja::Environment;
use serde_json::Value;

use crate::net;

/// The steps that rendering one text may take; a text that loops ends here.
const FUEL: u64 = 50_000;

/// Whether a text can be rendered at all.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(source: &str) -> Result<(), String> {
    if !has_variables(source) {
        return Ok(());
    }
    let mut environment = Environment::new();
    environment.add_template_owned("text", source.to_owned()).map_err(|error| format!("The text cannot be read: {error}."))
}

/// Fills in the variables.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn render(source: &str, roots: &Value) -> Result<String, String> {
    if !has_variables(source) {
        return Ok(source.to_owned());
    }
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.render_str(source, minijinja::Value::from_serialize(roots)).map_err(|error| format!("The text cannot be rendered: {:?}.", error.kind()))
}

/// Fills in the variables of all texts within a value.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn render_value(value: &Value, roots: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(source) => Value::String(render(source, roots)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| render_value(item, roots)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, item)| Ok((key.clone(), render_value(item, roots)?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// Why a URL that names its host by number can never be called. Names are resolved, and their addresses judged, with each call.
pub(super) fn refused_target(url: &str) -> Option<&'static str> {
    const REFUSED: &str = "Addresses inside our own network cannot be called.";
    let parsed = url::Url::parse(url).ok()?;
    let address: IpAddr = match parsed.host()? {
        url::Host::Ipv4(address) => address.into(),
        url::Host::Ipv6(address) => address.into(),
        url::Host::Domain(_) => return None,
    };
    (!net::is_public(address) && !address.is_loopback()).then_some(REFUSED)
}

fn has_variables(source: &str) -> bool {
    source.contains("{{") || source.contains("{%") || source.contains("{#")
}
