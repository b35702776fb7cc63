//! What every handler and worker is given: the database, the queues, the configuration.

use std::sync::Arc;

use crate::{
    auth::TokenKeys,
    config::{Config, ConfigProblems},
    crypto::SecretBoxKeys,
    db::Db,
    limits::Limits,
    queue::{InProcess, Queue, Sqs},
};

/// The process's shared parts. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// The queues' sending end.
    pub queue: Queue,
    /// How often callers may ask.
    pub limits: Arc<Limits>,
    /// The configuration.
    pub config: Arc<Config>,
}

impl App {
    /// Puts the parts together; nothing is connected yet. `connections` is 1 in Lambda.
    ///
    /// # Errors
    /// When a part of the configuration is missing after all.
    pub fn new(config: Config, connections: usize) -> Result<Self, ConfigProblems> {
        let queue = match &config.sqs {
            Some((aws, urls)) => Queue::Sqs(Sqs::new(aws, urls.clone())),
            // Nobody listens: the sweep finds the work.
            None => Queue::InProcess(InProcess::open().0),
        };
        let db = Db::new(config.database_url.expose(), connections)
            .map_err(|error| ConfigProblems(vec![error.to_string()]))?
            .patient(config.patience);
        let limits = Limits::new(&config).map_err(|error| ConfigProblems(vec![error.to_string()]))?;
        Ok(Self { db, queue, limits: Arc::new(limits), config: Arc::new(config) })
    }

    /// The same parts with another sending end.
    #[must_use]
    pub fn with_queue(self, queue: Queue) -> Self {
        Self { queue, ..self }
    }

    /// The access token keys. Only API functions have them, and only they ask.
    pub(crate) fn token_keys(&self) -> Option<&TokenKeys> {
        self.config.token_keys.as_ref()
    }

    /// Seals and opens secrets at rest.
    #[must_use]
    #[expect(clippy::expect_used, reason = "configuration refuses to load an API or worker without its keys")]
    pub fn secret_box(&self) -> &SecretBoxKeys {
        self.config.secret_box.as_ref().expect("SECRET_BOX_KEYS are checked when the configuration is read")
    }
}
