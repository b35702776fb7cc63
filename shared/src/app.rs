//! What every handler and worker is given: the database, the queues, the configuration.

use std::sync::Arc;

use crate::{
    auth::TokenKeys,
    config::{Config, ConfigProblems, Renewals},
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
    /// The configuration, as it was when the process began.
    pub config: Arc<Config>,
    /// What has been read of the secret since.
    renewals: Arc<Renewals>,
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
        let renewals = Arc::new(Renewals::none());
        Ok(Self { db, queue, limits: Arc::new(limits), config: Arc::new(config), renewals })
    }

    /// The same parts with another sending end.
    #[must_use]
    pub fn with_queue(self, queue: Queue) -> Self {
        Self { queue, ..self }
    }

    /// Reads the secret again, at most once in two minutes, and says whether it was read.
    pub(crate) async fn renew(&self) -> bool {
        let Some(source) = &self.config.source else { return false };
        let read = self.renewals.read(source).await;
        if read && let Some(renewed) = self.renewals.newest() {
            self.db.take_over(renewed.database_url.expose());
        }
        read
    }

    /// Reads the secret again before the next piece of work, when the last one has met a key that nobody here knows or a database that
    /// refused the login, or when what is known is old.
    pub(crate) async fn catch_up(&self) {
        if self.config.source.is_some()
            && (self.secret_box().has_missed() || self.db.was_refused() || self.renewals.is_old().await)
        {
            self.renew().await;
        }
    }

    /// The access token keys. Only API functions have them, and only they ask.
    pub(crate) fn token_keys(&self) -> Option<&TokenKeys> {
        let renewed = self.renewals.newest();
        renewed.map_or(self.config.token_keys.as_ref(), |renewed| renewed.token_keys.as_ref())
    }

    /// Seals and opens secrets at rest.
    #[must_use]
    #[expect(clippy::expect_used, reason = "configuration refuses to load an API or worker without its keys")]
    pub fn secret_box(&self) -> &SecretBoxKeys {
        let renewed = self.renewals.newest().and_then(|renewed| renewed.secret_box.as_ref());
        renewed
            .or(self.config.secret_box.as_ref())
            .expect("SECRET_BOX_KEYS are checked when the configuration is read")
    }
}
