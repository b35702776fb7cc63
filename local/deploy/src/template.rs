//! What a deployment must know of `template.yaml`: its parameters and its functions.

use regex_lite::Regex;
use serde_json::Value;

use crate::yaml::{self, YamlError};

/// Parameters and functions, in the order of their names.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) parameters: Vec<Parameter>,
    /// Names of the functions, as under `target/lambda`.
    pub(crate) functions: Vec<String>,
}

/// One parameter of the stack.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// As in the template: `SecretsArn`.
    pub(crate) name: String,
    /// As in the environment: `SECRETS_ARN`.
    pub(crate) variable: String,
    pub(crate) description: String,
    pub(crate) default: Option<String>,
    allowed: Vec<String>,
    pattern: Option<String>,
    is_number: bool,
}

impl Template {
    pub(crate) fn read(text: &str) -> Result<Self, YamlError> {
        let document = yaml::read(text)?;
        let entries = |key: &str| document.get(key).and_then(Value::as_object).into_iter().flatten();
        let code = |resource: &Value| {
            let uri = resource.pointer("/Properties/CodeUri")?.as_str()?;
            Some(uri.trim_end_matches('/').rsplit('/').next()?.to_owned())
        };
        Ok(Self {
            parameters: entries("Parameters").map(|(name, body)| Parameter::read(name, body)).collect(),
            functions: entries("Resources").filter_map(|(_, resource)| code(resource)).collect(),
        })
    }
}

impl Parameter {
    fn read(name: &str, body: &Value) -> Self {
        let text = |key: &str| body.get(key).map(plain);
        let allowed = body.get("AllowedValues").and_then(Value::as_array);
        Self {
            name: name.to_owned(),
            variable: variable(name),
            description: text("Description").unwrap_or_default(),
            default: text("Default"),
            allowed: allowed.into_iter().flatten().map(plain).collect(),
            pattern: text("AllowedPattern"),
            is_number: body.get("Type").is_some_and(|kind| kind == "Number"),
        }
    }

    /// What CloudFormation would say of a value, minutes later.
    pub(crate) fn problem(&self, value: &str) -> Option<String> {
        let fits = |pattern: &String| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(value));
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == value) {
            return Some(format!("{}={value}: must be one of {}", self.variable, self.allowed.join(", ")));
        }
        if self.is_number && value.parse::<u32>().is_err() {
            return Some(format!("{}={value}: must be a whole number", self.variable));
        }
        match &self.pattern {
            Some(pattern) if !fits(pattern) => {
                Some(format!("{}={value}: must match {pattern}", self.variable))
            }
            Some(_) | None => None,
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `MigrateSecretsArn` becomes `MIGRATE_SECRETS_ARN`.
fn variable(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_uppercase());
    }
    out
}
