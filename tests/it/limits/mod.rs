//! How often one may ask, and how often guess: the same stories with and without Redis.

mod attacks;
mod front_ends;
mod guesses;
mod mails;
mod night;
mod story;
mod turns;

use std::{net::SocketAddr, time::Duration};

use local::{Options, Stack};

use crate::support::{Redis, stack};

/// Where things are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Database,
    Redis,
}

/// A stack of its own on the database of all, with other limits.
struct World {
    base: String,
    stack: Stack,
    redis: Option<Redis>,
}

impl World {
    async fn new(backend: Backend, limits: &str) -> Self {
        Self::with(backend, limits, &[]).await
    }

    /// The same with some variables of its own.
    async fn with(backend: Backend, limits: &str, own: &[(&str, &str)]) -> Self {
        let redis = match backend {
            Backend::Database => None,
            Backend::Redis => Some(Redis::start().await),
        };
        let mut values = stack().values.clone();
        values.insert("RATE_LIMITS".to_owned(), limits.to_owned());
        values.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if let Some(redis) = &redis {
            values.insert("REDIS_URL".to_owned(), redis.url());
        }
        let options = Options {
            owner_url: stack().owner_url.clone(),
            values,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            sweep_every: Duration::from_secs(3600),
            nightly_every: Duration::from_secs(3600),
        };
        let stack = Stack::start(options).await.expect("another stack starts");
        Self { base: format!("http://{}", stack.address), stack, redis }
    }
}
