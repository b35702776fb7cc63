//! Configuration: read once, from one place, with every problem reported together.
//!
//! Values come from the environment. In the cloud the secret ones come from a single AWS Secrets Manager secret
//! (`SECRETS_ARN`), a JSON object with the same names; a value there wins over the environment. `.env.example` lists
//! every variable, and a test holds that file against [`VARIABLES`].

mod aws;
mod platform_mail;
mod reader;
mod renewal;

use std::{collections::HashMap, fmt, net::IpAddr};

pub use aws::{AwsConfig, fetch_secrets};
pub use reader::Reader;
pub(crate) use renewal::Renewals;
pub use renewal::SecretSource;

use crate::{
    auth::TokenKeys, crypto::SecretBoxKeys, db::Patience, http::FrontEnds, limits::Quotas,
    providers::Account, queue::QueueUrls,
};

/// Every variable that this project reads, with one line of meaning.
pub const VARIABLES: &[(&str, &str)] = &[
    ("APP_ENV", "local, test, staging or production"),
    ("DATABASE_URL", "PostgreSQL URL: of wellspring_app for functions, of the owner for migrate and local"),
    ("PUBLIC_BASE_URL", "the address that callers and providers use; signatures of some providers cover it"),
    ("SECRETS_ARN", "Secrets Manager secret with the secret values below, as a JSON object"),
    ("JWT_SIGNING_KEYS", "kid:base64 Ed25519 seeds, comma separated; the first signs, all verify"),
    ("SECRET_BOX_KEYS", "kid:base64 32-byte keys, comma separated; the first seals, all open"),
    ("CORS_ORIGINS", "origins that browsers may call from, comma separated"),
    ("ALLOW_PRIVATE_TARGETS", "whether webhooks and provider addresses may point into private networks"),
    ("LOG_LEVEL", "error, warn, info, debug or trace"),
    ("REDIS_URL", "Redis that counts attempts, rate limits and turns; without it PostgreSQL does"),
    ("RATE_LIMITS", "class=caller/whole pairs of calls a minute over the defaults, comma separated"),
    ("FRONT_END_SECRETS", "secrets of servers that may say for which address they call, comma separated"),
    (
        "PLATFORM_MAIL_PROVIDER",
        "who carries the product's own mails, whose links nobody else may read: resend or sendgrid",
    ),
    ("PLATFORM_MAIL_FROM", "their sender"),
    ("PLATFORM_MAIL_BASE_URL", "the provider's address, where it is not the usual one"),
    ("PLATFORM_MAIL_API_KEY", "the key of the account with that provider"),
    ("SQS_RECEIPTS_URL", "queue of ingest-receipts"),
    ("SQS_RUNS_URL", "queue of run-automations"),
    ("SQS_MESSAGES_URL", "queue of send-messages"),
    ("SQS_DELIVERIES_URL", "queue of deliver-webhooks"),
    ("SQS_JOBS_URL", "queue of run-jobs"),
    ("AWS_REGION", "region of the queues and the secret; set by Lambda"),
    ("AWS_ENDPOINT_URL", "an emulator of AWS instead of the real one"),
    ("AWS_ACCESS_KEY_ID", "set by Lambda"),
    ("AWS_SECRET_ACCESS_KEY", "set by Lambda"),
    ("AWS_SESSION_TOKEN", "set by Lambda"),
    ("PORT", "local only: the port of the API"),
    ("PGPORT", "local only: the port of the private PostgreSQL"),
    ("PG_BIN_DIR", "local only: where initdb and postgres are"),
    ("SEED", "local only: number of the demo data set, 0 for none"),
];

/// Without it a business that has connected no e-mail account at the vendor's own address can be sent no link: no reset, no invitation.
const NO_PLATFORM_MAIL: &str = "no_platform_mail";
/// The audience of access tokens.
const AUDIENCE: &str = "wellspring";

/// Where this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppEnv {
    /// A developer's machine.
    Local,
    /// The test suite.
    Test,
    /// The rehearsal deployment.
    Staging,
    /// The real one.
    Production,
}

impl AppEnv {
    /// Whether answers may carry what otherwise only an e-mail carries (invite tokens and the like).
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Local)
    }
}

/// Which part of the configuration a binary needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Token keys, sealing keys, queues.
    Api,
    /// Sealing keys, queues.
    Worker,
    /// The owner's database URL.
    Migrate,
}

/// The whole configuration of one process.
#[derive(Debug)]
pub struct Config {
    /// Where this process runs.
    pub app_env: AppEnv,
    /// PostgreSQL URL.
    pub database_url: crate::private::Secret,
    /// How long its transactions may take.
    pub patience: Patience,
    /// Base of public URLs, without a trailing slash.
    pub public_base_url: String,
    /// Browsers' allowed origins.
    pub cors_origins: Vec<String>,
    /// Whether outgoing calls may reach private networks.
    pub allow_private_targets: bool,
    /// Access token keys; only in API functions.
    pub token_keys: Option<TokenKeys>,
    /// Seals secrets at rest.
    pub secret_box: Option<SecretBoxKeys>,
    /// Redis, when there is one.
    pub redis: Option<redis::Client>,
    /// How often callers may ask.
    pub rate_limits: Quotas,
    /// Servers that may say for whom they call.
    pub front_ends: FrontEnds,
    /// The account for the product's own mails.
    pub platform_mail: Option<Account>,
    /// SQS, unless the process brings its own transport.
    pub sqs: Option<(AwsConfig, QueueUrls)>,
    /// Log filter.
    pub log_level: String,
    /// Where the secret values came from, to read them again.
    pub source: Option<SecretSource>,
}

/// Everything that is wrong with the environment.
#[derive(Debug, thiserror::Error)]
pub struct ConfigProblems(pub Vec<String>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

impl Config {
    /// Reads the environment and, when `SECRETS_ARN` is set, the secret behind it.
    ///
    /// # Errors
    /// All problems at once.
    pub async fn load(needs: Needs) -> Result<Self, ConfigProblems> {
        let values = environment();
        match values.get("SECRETS_ARN").filter(|arn| !arn.is_empty()).cloned() {
            Some(arn) => SecretSource::load(arn, values, needs).await,
            None => Self::from_values(values, needs),
        }
    }

    /// Reads given values, as `local` and the tests do.
    ///
    /// # Errors
    /// All problems at once.
    pub fn from_values(values: HashMap<String, String>, needs: Needs) -> Result<Self, ConfigProblems> {
        let mut read = Reader::new(values);
        let app_env = read.parsed("APP_ENV", None, app_env);
        let is_local = matches!(app_env, Some(AppEnv::Local | AppEnv::Test));
        let public_base_url =
            read.parsed("PUBLIC_BASE_URL", Some("http://localhost:3000"), base_url).unwrap_or_default();
        let allow_private_targets = read
            .parsed("ALLOW_PRIVATE_TARGETS", Some(if is_local { "true" } else { "false" }), boolean)
            .unwrap_or_default();
        let config = Self {
            app_env: app_env.unwrap_or(AppEnv::Production),
            database_url: read.required("DATABASE_URL", database_url).unwrap_or_default().into(),
            patience: if needs == Needs::Api { Patience::Request } else { Patience::Work },
            public_base_url: public_base_url.clone(),
            cors_origins: read.list("CORS_ORIGINS"),
            allow_private_targets,
            token_keys: (needs == Needs::Api)
                .then(|| read.required("JWT_SIGNING_KEYS", |text| token_keys(text, &public_base_url)))
                .flatten(),
            secret_box: (needs != Needs::Migrate)
                .then(|| read.required("SECRET_BOX_KEYS", secret_box))
                .flatten(),
            redis: if needs == Needs::Migrate { None } else { redis_client(&mut read) },
            rate_limits: rate_limits(&mut read, is_local),
            front_ends: read
                .optional("FRONT_END_SECRETS")
                .and_then(|_| read.required("FRONT_END_SECRETS", FrontEnds::parse))
                .unwrap_or_default(),
            platform_mail: if needs == Needs::Migrate {
                None
            } else {
                platform_mail::account(&mut read, allow_private_targets)
            },
            sqs: if needs == Needs::Migrate { None } else { aws::sqs(&mut read, is_local) },
            log_level: read.parsed("LOG_LEVEL", Some("info"), log_level).unwrap_or_default(),
            source: None,
        };
        read.finish().map(|()| config)
    }

    /// What works and will disappoint somebody: words for the log and for the health check.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let sends_for_real = matches!(self.app_env, AppEnv::Staging | AppEnv::Production);
        if sends_for_real && self.platform_mail.is_none() { vec![NO_PLATFORM_MAIL] } else { Vec::new() }
    }

    /// Whether `address` may be called by webhooks and provider clients.
    #[must_use]
    pub fn may_call(&self, address: IpAddr) -> bool {
        self.allow_private_targets || crate::net::is_public(address)
    }
}

/// The variables of this project that are set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
pub fn environment() -> HashMap<String, String> {
    VARIABLES.iter().filter_map(|(name, _)| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

fn app_env(word: &str) -> Result<AppEnv, String> {
    match word {
        "local" => Ok(AppEnv::Local),
        "test" => Ok(AppEnv::Test),
        "staging" => Ok(AppEnv::Staging),
        "production" => Ok(AppEnv::Production),
        other => Err(format!("`{other}` is not local, test, staging or production")),
    }
}

fn database_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err("is not of the form postgres://user:password@host:port/database".to_owned()),
    }
}

/// Nothing is connected yet.
fn redis_client(read: &mut Reader) -> Option<redis::Client> {
    read.optional("REDIS_URL")?;
    read.required("REDIS_URL", |text| {
        let refused = "is not of the form redis://user:password@host:port or rediss://…";
        redis::Client::open(text).map_err(|_| refused.to_owned())
    })
}

fn rate_limits(read: &mut Reader, is_local: bool) -> Quotas {
    read.optional("RATE_LIMITS")
        .and_then(|_| read.required("RATE_LIMITS", |text| Quotas::parse(text, is_local)))
        .unwrap_or_else(|| Quotas::defaults(is_local))
}

fn base_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text.trim_end_matches('/').to_owned()),
        Ok(_) | Err(_) => Err("is not an http or https address".to_owned()),
    }
}

fn boolean(word: &str) -> Result<bool, String> {
    match word {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

/// Lambda's own log setting spells the levels in upper case.
fn log_level(word: &str) -> Result<String, String> {
    match word.to_ascii_lowercase().as_str() {
        level @ ("error" | "warn" | "info" | "debug" | "trace") => Ok(level.to_owned()),
        other => Err(format!("`{other}` is not error, warn, info, debug or trace")),
    }
}

fn token_keys(text: &str, issuer: &str) -> Result<TokenKeys, String> {
    TokenKeys::parse(text, issuer, AUDIENCE).map_err(|error| error.to_string())
}

fn secret_box(text: &str) -> Result<SecretBoxKeys, String> {
    SecretBoxKeys::parse(text).map_err(|error| error.to_string())
}
