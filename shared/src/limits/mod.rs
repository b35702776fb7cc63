//! How often a caller may ask: token buckets per caller, business and class of route.
//!
//! Every counted request takes a token of its caller (a user, an API key, a network) and one of the whole that the caller
//! belongs to (the business, the webhook source). The caller's comes first, so that a program that runs wild empties its own
//! bucket and not its colleagues', and the business's bounds what all its programs together take from the other tenants.
//!
//! **Where it is counted.** In PostgreSQL, by a statement that travels in the batch that opens the request's transaction
//! anyway: no round trip more, and a transaction of its own within that batch, so that no row is locked while the request is
//! served and nothing is forgotten when it fails. The table is unlogged: taking a token waits for no disk. With `REDIS_URL`
//! the same is counted in Redis, and PostgreSQL is spared the writes.
//!
//! **When Redis is away** PostgreSQL counts, from full buckets on: a caller may for one minute get what two minutes would
//! give. No request fails for it.
//!
//! **Whoever was refused** is refused by the environment itself until there is a token again.

mod brake;
mod class;
mod quota;
mod reading;
mod redis;
mod scripts;
mod toll;
mod turn;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

pub use class::Class;
pub use quota::{Quota, Quotas};
pub use reading::Reading;
pub use redis::{Redis, Tally};
pub use toll::Toll;
pub(crate) use toll::{Bucket, Whole};
pub use turn::Turn;

use crate::{
    accounts::network,
    config::Config,
    crypto::{CryptoError, MacKeys},
    db::{self, Db, DbResult, TenantTx},
};
use brake::Brake;

/// The time in which an empty bucket fills up.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The quotas, and where they are counted.
pub struct Limits {
    quotas: Quotas,
    macs: Option<MacKeys>,
    redis: Option<Redis>,
    brake: Brake,
}

impl Limits {
    /// From the configuration; nothing is connected yet.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`crate::crypto::SecretBoxKeys::mac_keys`].
    pub fn new(config: &Config) -> Result<Self, CryptoError> {
        let macs = config.secret_box.as_ref().map(|keys| keys.mac_keys("rate-limit")).transpose()?;
        let redis = config.redis.clone().zip(macs.clone()).map(|(client, macs)| Redis::new(client, macs));
        Ok(Self { quotas: config.rate_limits, macs, redis, brake: Brake::default() })
    }

    /// Redis, when there is one and it is not known to be away.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref().filter(|redis| redis.is_up())
    }

    /// Connects to Redis, so that the first request finds it warm. One that is away is no error.
    pub async fn warm_up(&self) {
        if let Some(redis) = &self.redis {
            redis.warm_up().await;
        }
    }

    /// What a call of `caller` costs, who belongs to `whole`.
    pub(crate) fn toll(&self, class: Class, caller: Caller, whole: Whole) -> Toll {
        let name = match caller {
            Caller::User(id) => format!("u:{id}"),
            Caller::Key(hash) => format!("k:{}", hex::encode(hash)),
            Caller::Visitor(of, address) => format!("n:{}", self.network(&of, address)),
        };
        Toll::new(class, self.quotas.get(class), &name, whole)
    }

    /// What renewing a session costs, by the SHA-256 of a token of its.
    pub(crate) fn toll_of_refresh(&self, hash: [u8; 32]) -> Toll {
        Toll::new(Class::Refresh, self.quotas.get(Class::Refresh), "s", Whole::Session(hash))
    }

    /// Takes it once the session is open: in Redis or, when it went away this moment, in the open transaction.
    pub(crate) async fn take_of_session(
        &self,
        tx: &mut TenantTx,
        toll: &Toll,
        session: uuid::Uuid,
    ) -> DbResult<Option<Reading>> {
        if let Some(redis) = self.redis()
            && let Some(reading) = redis.take(toll.class, &[toll.of_session(session)]).await
        {
            return Ok(Some(reading));
        }
        db::take_within(tx, toll).await
    }

    /// Takes a token of a network, for calls that no credential opens.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn take_of_network(&self, db: &Db, class: Class, address: IpAddr) -> DbResult<Reading> {
        let bucket = Bucket {
            key: format!("{}:n:{}", class.word(), self.network(&[], address)),
            quota: self.quotas.get(class).caller,
            span: WINDOW,
        };
        let asked = Instant::now();
        if let Some(refusal) = self.brake.refusal(&bucket.key, asked) {
            return Ok(refusal);
        }
        let by_redis = match self.redis() {
            Some(redis) => redis.take(class, std::slice::from_ref(&bucket)).await,
            None => None,
        };
        let reading = match by_redis {
            Some(reading) => reading,
            None => db.take_token(class, &bucket).await?,
        };
        self.brake.remember(bucket.key, reading, asked);
        Ok(reading)
    }

    /// The refusal of a call whose caller or business is known to have no token yet.
    pub(crate) fn refusal(&self, toll: &Toll) -> Option<Reading> {
        let now = Instant::now();
        let [caller, whole] = toll.names();
        self.brake.refusal(&caller, now).or_else(|| self.brake.refusal(&whole, now))
    }

    /// Remembers what the counter said of a toll that was asked for at `asked`.
    pub(crate) fn remember(&self, toll: &Toll, reading: Reading, asked: Instant) {
        let [caller, whole] = toll.names();
        self.brake.remember(if reading.of_caller { caller } else { whole }, reading, asked);
    }

    /// Takes the tokens once the tenant is open: in Redis or, when it went away this moment, in the open transaction.
    pub(crate) async fn take_later(&self, tx: &mut TenantTx, toll: &Toll) -> DbResult<Option<Reading>> {
        if let Some(redis) = self.redis()
            && let Some(reading) = redis.take(toll.class, &toll.buckets(tx.tenant_id())).await
        {
            return Ok(Some(reading));
        }
        db::take_within(tx, toll).await
    }

    /// The quota of a class, for whoever names buckets of their own.
    pub(crate) fn quota(&self, class: Class) -> Quota {
        self.quotas.get(class)
    }

    /// Takes a token of one bucket while a tenant is open; how long to wait when there is none. In PostgreSQL it is taken by the
    /// open transaction: one that fails has taken nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn take_one(
        &self,
        tx: &mut TenantTx,
        class: Class,
        bucket: &Bucket,
    ) -> DbResult<Option<Duration>> {
        let in_redis = match self.redis() {
            Some(redis) => redis.take(class, std::slice::from_ref(bucket)).await,
            None => None,
        };
        let reading = match in_redis {
            Some(reading) => reading,
            None => db::take_one_within(tx, class, bucket).await?,
        };
        Ok(reading.wait.map(Duration::from_secs_f64))
    }

    /// What stands for an address in the name of a bucket: a keyed hash.
    pub(crate) fn hidden(&self, address: &str) -> String {
        self.hash(address.as_bytes())
    }

    /// A keyed hash of a network, apart for each key or source that it calls.
    fn network(&self, of: &[u8], address: IpAddr) -> String {
        self.hash(&[of, b"|", network(address).as_bytes()].concat())
    }

    /// Half of a hash is enough to keep names apart.
    fn hash(&self, text: &[u8]) -> String {
        let short = |mac: [u8; 32]| hex::encode(mac.get(..16).unwrap_or_default());
        self.macs.as_ref().map(|macs| short(macs.mac(text))).unwrap_or_default()
    }
}

/// Whose tokens are taken first.
#[derive(Clone, Copy)]
pub(crate) enum Caller {
    /// A signed-in user, in all sessions together.
    User(uuid::Uuid),
    /// An API key, by its SHA-256.
    Key([u8; 32]),
    /// A visitor of the site key or webhook address with this SHA-256, by the network.
    Visitor([u8; 32], IpAddr),
}
