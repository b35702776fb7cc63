//! The values of the stack's parameters, from the caller's variables and from `.env.<environment>`.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use crate::template::Template;

/// Pairs of parameters of which the first is of no use without the second.
const NEEDS: [(&str, &str); 4] = [
    ("DomainName", "CertificateArn"),
    ("HostedZoneId", "DomainName"),
    ("PlatformMailProvider", "PlatformMailFrom"),
    ("SubnetIds", "SecurityGroupIds"),
];

/// The parameters that are set, by the template's name.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) environment: String,
    values: BTreeMap<String, String>,
    architecture: String,
}

impl Settings {
    pub(crate) fn read(
        root: &Path,
        environment: &str,
        given: &HashMap<String, String>,
        template: &Template,
    ) -> io::Result<Self> {
        let mut variables = match fs::read_to_string(root.join(format!(".env.{environment}"))) {
            Ok(text) => lines(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        variables.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut values: BTreeMap<String, String> = template
            .parameters
            .iter()
            .filter_map(|one| Some((one.name.clone(), variables.get(&one.variable)?.trim().to_owned())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        values.insert("Environment".to_owned(), environment.to_owned());
        let default = template.parameters.iter().find(|one| one.name == "Architecture");
        let architecture =
            values.get("Architecture").cloned().or_else(|| default.and_then(|one| one.default.clone()));
        Ok(Self {
            environment: environment.to_owned(),
            values,
            architecture: architecture.unwrap_or_default(),
        })
    }

    /// A parameter that is set.
    pub(crate) fn get(&self, parameter: &str) -> Option<&str> {
        self.values.get(parameter).map(String::as_str)
    }

    /// What the functions run on: `arm64` or `x86_64`.
    pub(crate) fn architecture(&self) -> &str {
        &self.architecture
    }

    /// `Name=value` of each parameter that is set.
    pub(crate) fn overrides(&self) -> Vec<String> {
        self.values.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    pub(crate) fn problems(&self, template: &Template) -> Vec<String> {
        let mut found = Vec::new();
        for parameter in &template.parameters {
            match self.get(&parameter.name) {
                Some(value) => found.extend(parameter.problem(value)),
                None if parameter.default.is_none() => {
                    found.push(format!("{} is not set. {}", parameter.variable, parameter.description));
                }
                None => {}
            }
        }
        for (one, other) in NEEDS {
            if self.get(one).is_some() && self.get(other).is_none() {
                let variable = template.parameters.iter().find(|parameter| parameter.name == other);
                let variable = variable.map_or(other, |parameter| &parameter.variable);
                found.push(format!("{variable} is not set, and {one} needs it."));
            }
        }
        if self.get("SecretsArn").is_some() && self.get("SecretsArn") == self.get("MigrateSecretsArn") {
            found.push(
                "SECRETS_ARN and MIGRATE_SECRETS_ARN name one secret: every function could then become the schema's owner."
                    .to_owned(),
            );
        }
        found
    }

    /// What is allowed and perhaps not meant.
    pub(crate) fn notes(&self) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.get("DomainName").is_none() && self.get("PublicBaseUrl").is_none() {
            notes.push(
                "neither DOMAIN_NAME nor PUBLIC_BASE_URL is set: a new stack makes links to https://unset.invalid until it gets one",
            );
        }
        if self.get("CorsOrigins").is_none() {
            notes.push("CORS_ORIGINS is not set: a new stack lets no web frontend of another origin call");
        }
        if self.get("AlarmTopicArn").is_none() {
            notes.push("ALARM_TOPIC_ARN is not set: alarms of a new stack reach nobody");
        }
        if self.get("PlatformMailProvider").is_none() {
            notes.push(
                "PLATFORM_MAIL_PROVIDER is not set: a business without an e-mail account of its own can be sent no link to reset a password",
            );
        }
        notes
    }
}

/// `NAME=value` lines; comments and empty lines are skipped.
fn lines(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    pairs
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}
