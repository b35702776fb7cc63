//! Whether the two secrets are there and hold what the functions read from them. Values are never shown.

use std::process::Command;

use serde_json::{Map, Value};

use crate::settings::Settings;

/// Parameter with the secret, and the keys that must be in it.
const SECRETS: [(&str, &[&str]); 2] = [
    ("SecretsArn", &["DATABASE_URL", "JWT_SIGNING_KEYS", "SECRET_BOX_KEYS"]),
    ("MigrateSecretsArn", &["DATABASE_URL"]),
];

/// What the first of them holds besides, when mails of the product have an account.
const PLATFORM_MAIL: &[&str] = &["PLATFORM_MAIL_API_KEY"];

/// The command that reads a secret.
pub(crate) fn command(arn: &str) -> Vec<String> {
    [
        "aws",
        "secretsmanager",
        "get-secret-value",
        "--secret-id",
        arn,
        "--query",
        "SecretString",
        "--output",
        "text",
    ]
    .map(str::to_owned)
    .into()
}

pub(crate) fn problems(settings: &Settings) -> Vec<String> {
    let mail = settings.get("PlatformMailProvider").map(|_| ("SecretsArn", PLATFORM_MAIL));
    let wanted = SECRETS.into_iter().map(|(parameter, keys)| {
        let mail = mail.filter(|(of, _)| *of == parameter).map_or(&[][..], |(_, keys)| keys);
        (parameter, [keys, mail].concat())
    });
    let named = wanted.filter_map(|(parameter, keys)| Some((settings.get(parameter)?, keys)));
    named.flat_map(|(arn, keys)| of_secret(arn, &keys)).collect()
}

fn of_secret(arn: &str, keys: &[&str]) -> Vec<String> {
    let secret = match read(arn) {
        Ok(secret) => secret,
        Err(problem) => return vec![problem],
    };
    let is_there =
        |key: &&&str| secret.get(**key).and_then(Value::as_str).is_some_and(|value| !value.trim().is_empty());
    let missing = keys.iter().filter(|key| !is_there(key));
    missing
        .map(|key| format!("the secret {arn} has no {key}; docs/deploy.md says what belongs there"))
        .collect()
}

fn read(arn: &str) -> Result<Map<String, Value>, String> {
    let words = command(arn);
    let Some((program, arguments)) = words.split_first() else { return Ok(Map::new()) };
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return Err(format!("the secret {arn} cannot be read: there is no AWS CLI"));
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the secret {arn} cannot be read: {}", said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|_| format!("the secret {arn} is not a JSON object"))
}
