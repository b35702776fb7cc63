//! The secret, read again while the process runs.
//!
//! An environment of Lambda lives for hours, and a key or a password that is exchanged must reach it without a deployment. So the secret is
//! read again when something says that it has changed: a token that names an unknown key, something sealed that does, a database that
//! refuses the login; and every quarter of an hour, so that a key that was announced is known before anybody uses it. Whoever sends tokens
//! with invented keys makes us ask no oftener than once in two minutes.

use std::{
    collections::HashMap,
    fmt,
    sync::OnceLock,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{Config, ConfigProblems, Needs, fetch_secrets};
use crate::{
    auth::TokenKeys,
    crypto::{self, SecretBoxKeys},
    private::Secret,
};

/// The least time between two readings.
const PAUSE: Duration = Duration::from_mins(2);
/// What was read is trusted for so long.
const TRUST: Duration = Duration::from_mins(15);

/// Where a configuration came from, when a part of it came from Secrets Manager.
pub struct SecretSource {
    arn: String,
    environment: HashMap<String, String>,
    needs: Needs,
    /// Of the values that the process began with.
    print: [u8; 32],
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSource").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl SecretSource {
    /// Reads a configuration whose secret values are behind `arn`.
    pub(super) async fn load(
        arn: String,
        environment: HashMap<String, String>,
        needs: Needs,
    ) -> Result<Config, ConfigProblems> {
        let mut source = Self { arn, environment, needs, print: [0; 32] };
        let (config, print) = source.read().await?;
        source.print = print;
        Ok(Config { source: Some(source), ..config })
    }

    /// The configuration with the secret as it is now, and what tells it from another.
    async fn read(&self) -> Result<(Config, [u8; 32]), ConfigProblems> {
        let mut values = self.environment.clone();
        values.extend(fetch_secrets(&self.arn, &self.environment).await?);
        let renewed = ["JWT_SIGNING_KEYS", "SECRET_BOX_KEYS", "DATABASE_URL"];
        let text = renewed.map(|name| values.get(name).map_or("", String::as_str)).join("\n");
        Ok((Config::from_values(values, self.needs)?, crypto::sha256(text.as_bytes())))
    }
}

/// What a process goes on with when the secret has changed.
pub(crate) struct Renewed {
    /// The keys of access tokens.
    pub(crate) token_keys: Option<TokenKeys>,
    /// The keys of what is sealed.
    pub(crate) secret_box: Option<SecretBoxKeys>,
    /// The database, perhaps with another password.
    pub(crate) database_url: Secret,
    next: OnceLock<Box<Self>>,
}

/// All that has been read since the process began. It only grows, by a link per change, so that whoever uses a former key is not
/// disturbed.
pub(crate) struct Renewals {
    first: OnceLock<Box<Renewed>>,
    last: Mutex<Last>,
    born: Instant,
}

/// The last reading.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    print: Option<[u8; 32]>,
}

impl Renewals {
    pub(crate) fn none() -> Self {
        Self { first: OnceLock::new(), last: Mutex::default(), born: Instant::now() }
    }

    /// The newest, if anything was read since the beginning.
    pub(crate) fn newest(&self) -> Option<&Renewed> {
        let mut newest = self.first.get()?;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        Some(newest)
    }

    /// Whether what is known is so old that it should be read again.
    pub(crate) async fn is_old(&self) -> bool {
        self.last.lock().await.at.unwrap_or(self.born).elapsed() > TRUST
    }

    /// Reads the secret again unless that was done just now, and says whether it was read. A secret that cannot be read, or makes no
    /// configuration, changes nothing.
    pub(crate) async fn read(&self, source: &SecretSource) -> bool {
        let mut last = self.last.lock().await;
        if last.at.is_some_and(|instant| instant.elapsed() < PAUSE) {
            return false;
        }
        last.at = Some(Instant::now());
        match source.read().await {
            Ok((config, print)) => {
                if last.print.replace(print).unwrap_or(source.print) != print {
                    self.keep(config);
                }
                true
            }
            Err(problems) => {
                tracing::error!("the secret was not taken over: {problems}");
                false
            }
        }
    }

    fn keep(&self, config: Config) {
        let Config { token_keys, secret_box, database_url, .. } = config;
        let renewed = Box::new(Renewed { token_keys, secret_box, database_url, next: OnceLock::new() });
        let end = self.newest().map_or(&self.first, |newest| &newest.next);
        // Nobody else is at it: the lock is held.
        if end.set(renewed).is_ok() {
            tracing::info!("the secret has changed and was taken over");
        }
    }
}
