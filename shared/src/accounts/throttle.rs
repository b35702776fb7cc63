//! Guessing is slow, and nobody is locked out by somebody else's guesses.
//!
//! Failed logins are counted three ways, each within fifteen minutes: for an account from one network (ten, then 429), for
//! a network whatever the account (a thousand, then 429), and for an account from everywhere. The last one never
//! refuses; it makes every further try wait, twice as long each time up to two seconds.
//!
//! That alone would let a thousand networks verify ten guesses each. So tries for one account from networks where it has
//! never signed in share a ration: forty at once, then one a minute, taken before the password is verified and given
//! back when it was right. Whoever comes from a known network needs none: guesses from elsewhere cannot shut the owner
//! out.
//!
//! The counters hold keyed hashes only and live in the database or in Redis, because a function's memory is gone with the
//! function.

use std::{net::IpAddr, time::Duration};

use super::device::{network, network_hashes};
use crate::{
    crypto::{CryptoError, MacKeys, SecretBoxKeys},
    db::{self, DbResult, SystemTx},
    limits::{Bucket, Class, Limits, Tally},
};

/// Failures of one account from one network.
const PAIR_LIMIT: i32 = 10;
/// Failures of one network: an office, a gym's guests. Only a list of stolen passwords comes this far.
const NETWORK_LIMIT: i32 = 1000;
/// Failures of one account from everywhere that cost nothing yet.
const FREE_FAILURES: i32 = 10;
/// The first delay, and the longest.
const DELAY: (Duration, Duration) = (Duration::from_millis(62), Duration::from_secs(2));
/// How long attempts count.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Tries for one account from networks that it does not know, and in what time they come back.
const RATION: (i32, Duration) = (40, Duration::from_secs(40 * 60));

const PAIR: &str = "login_pair";
const NETWORK: &str = "login_network";
const ACCOUNT: &str = "login_account";

/// The counters that one login touches.
#[derive(Clone, Debug)]
pub struct Guard {
    email: crate::private::Private<String>,
    account: [u8; 32],
    network: [u8; 32],
    /// Account and network together; a success clears it.
    pub(super) pair: [u8; 32],
    /// The network as sessions remember it, under each key that is still listed.
    networks: Vec<Vec<u8>>,
}

/// Whether a login may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes, after this delay.
    Go(Duration),
    /// Not before this many seconds have passed.
    Wait(u64),
}

/// A kind of call that is counted before any tenant is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// Making a tenant.
    Register,
    /// Asking for a new password.
    Forgot,
}

/// What was counted of an account, a network, and the two together.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    account: Tally,
    network: Tally,
    pair: Tally,
}

struct Counter {
    kind: String,
    count: i32,
    seconds_left: f64,
}

impl Guard {
    /// The counters for an account, by its lower-case address, and a network.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn new(keys: &SecretBoxKeys, email: &str, address: IpAddr) -> Result<Self, CryptoError> {
        let networks = network_hashes(keys, address)?;
        let (keys, network) = (mac_keys(keys)?, network(address));
        Ok(Self {
            email: crate::private::Private::new(email.to_owned()),
            account: keys.mac(email.as_bytes()),
            network: keys.mac(network.as_bytes()),
            pair: keys.mac(format!("{email}|{network}").as_bytes()),
            networks,
        })
    }

    /// Under which key calls about the account are counted.
    #[must_use]
    pub const fn account_key(&self) -> &[u8; 32] {
        &self.account
    }

    /// What stands in for a caller who has shown no more than the address.
    #[must_use]
    pub fn visitor(&self) -> String {
        format!("visitor:{}", hex::encode(self.account))
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        [self.account, self.network, self.pair].iter().map(|hash| hash.to_vec()).collect()
    }

    /// In the order of [`Self::keys`], which is that of the words: two failures at once lock the rows alike.
    fn kinds() -> Vec<String> {
        [ACCOUNT, NETWORK, PAIR].map(str::to_owned).to_vec()
    }

    /// The names of the counters in Redis, in the same order.
    fn names(&self) -> Vec<String> {
        Self::kinds()
            .iter()
            .zip(self.keys())
            .map(|(kind, key)| format!("{kind}:{}", hex::encode(key)))
            .collect()
    }

    /// The ration of the account's strangers.
    pub(super) fn ration(&self) -> Bucket {
        Bucket { key: format!("login:{}", hex::encode(self.account)), quota: RATION.0, span: RATION.1 }
    }
}

/// Asks the counters whether a login may be tried, and takes a try from the ration when it comes from an unknown network.
///
/// # Errors
/// When the database refuses.
pub async fn admit(tx: &mut SystemTx, limits: &Limits, guard: &Guard) -> DbResult<Admission> {
    let in_redis = match limits.redis() {
        Some(redis) => redis.count(&guard.names(), 0, WINDOW).await,
        None => None,
    };
    let counts = match in_redis.as_deref() {
        Some([account, network, pair]) => Counts { account: *account, network: *network, pair: *pair },
        Some(_) | None => stored(tx, guard).await?,
    };
    let Admission::Go(delay) = decide(&counts) else { return Ok(decide(&counts)) };
    let wait = ration(tx, limits, guard).await?;
    Ok(wait.map_or(Admission::Go(delay), |wait| Admission::Wait(whole_seconds(wait.as_secs_f64()))))
}

/// How long strangers must wait for this account, if this is one and there is no try left.
async fn ration(tx: &mut SystemTx, limits: &Limits, guard: &Guard) -> DbResult<Option<Duration>> {
    let (bucket, email) = (guard.ration(), guard.email.expose());
    if let Some(redis) = limits.redis() {
        if db::knows_network(tx, email, &guard.networks).await? {
            return Ok(None);
        }
        if let Some(reading) = redis.take(Class::Door, std::slice::from_ref(&bucket)).await {
            return Ok(reading.wait.map(Duration::from_secs_f64));
        }
    }
    db::take_unless_known(tx, &bucket, email, &guard.networks).await
}

async fn stored(tx: &mut SystemTx, guard: &Guard) -> DbResult<Counts> {
    let counters = sqlx::query_as!(
        Counter,
        r#"select t.kind, t.count,
                  extract(epoch from t.window_started_at + interval '15 minutes' - now())::double precision as "seconds_left!"
             from throttles t
             join unnest($1::text[], $2::bytea[]) as asked (kind, key_hash) on asked.kind = t.kind and asked.key_hash = t.key_hash
            where t.window_started_at > now() - interval '15 minutes'"#,
        &Guard::kinds(),
        &guard.keys(),
    )
    .fetch_all(tx.conn())
    .await?;
    let tally = |kind: &str| {
        let found = counters.iter().find(|counter| counter.kind == kind);
        found.map_or_else(Tally::default, |one| Tally { count: one.count, seconds_left: one.seconds_left })
    };
    Ok(Counts { account: tally(ACCOUNT), network: tally(NETWORK), pair: tally(PAIR) })
}

/// Counts a failed login.
///
/// # Errors
/// When the database refuses.
pub async fn record_failure(tx: &mut SystemTx, limits: &Limits, guard: &Guard) -> DbResult<()> {
    if let Some(redis) = limits.redis()
        && redis.count(&guard.names(), 1, WINDOW).await.is_some()
    {
        return Ok(());
    }
    sqlx::query!(
        "insert into throttles as t (kind, key_hash, count)
         select kind, key_hash, 1 from unnest($1::text[], $2::bytea[]) as failed (kind, key_hash)
         on conflict (kind, key_hash) do update set
             count = case when t.window_started_at > now() - interval '15 minutes' then t.count + 1 else 1 end,
             window_started_at = case when t.window_started_at > now() - interval '15 minutes' then t.window_started_at else now() end,
             updated_at = now()",
        &Guard::kinds(),
        &guard.keys(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Under which key a network's calls are counted.
///
/// # Errors
/// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
pub fn network_key(keys: &SecretBoxKeys, address: IpAddr) -> Result<[u8; 32], CryptoError> {
    Ok(mac_keys(keys)?.mac(network(address).as_bytes()))
}

/// Forgets the failures of an account from a network and gives a stranger's try back: the password was right. The
/// database does the same in the statement that begins the session.
pub async fn forgive(limits: &Limits, guard: &Guard) {
    if let (Some(redis), [.., pair]) = (limits.redis(), guard.names().as_slice()) {
        redis.forgive(pair, &guard.ration()).await;
    }
}

/// Counts a call under a key; beyond `limit` in fifteen minutes it answers after how many seconds to come back.
///
/// # Errors
/// When the database refuses.
pub async fn count_call(
    tx: &mut SystemTx,
    limits: &Limits,
    knock: Knock,
    key: &[u8; 32],
    limit: i32,
) -> DbResult<Option<u64>> {
    let kind = match knock {
        Knock::Register => "register",
        Knock::Forgot => "forgot",
    };
    if let Some(redis) = limits.redis() {
        let names = [format!("{kind}:{}", hex::encode(key))];
        if let Some([tally]) = redis.count(&names, 1, WINDOW).await.as_deref() {
            return Ok((tally.count > limit).then(|| whole_seconds(tally.seconds_left)));
        }
    }
    let counter = sqlx::query_as!(
        Counter,
        r#"insert into throttles as t (kind, key_hash, count) values ($1, $2, 1)
           on conflict (kind, key_hash) do update set
               count = case when t.window_started_at > now() - interval '15 minutes' then t.count + 1 else 1 end,
               window_started_at = case when t.window_started_at > now() - interval '15 minutes' then t.window_started_at else now() end,
               updated_at = now()
           returning t.kind, t.count,
               extract(epoch from t.window_started_at + interval '15 minutes' - now())::double precision as "seconds_left!""#,
        kind,
        &key[..],
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((counter.count > limit).then(|| whole_seconds(counter.seconds_left)))
}

/// The keys of the counters' hashes.
fn mac_keys(keys: &SecretBoxKeys) -> Result<MacKeys, CryptoError> {
    keys.mac_keys("throttle")
}

fn decide(counts: &Counts) -> Admission {
    let wait = [(counts.pair, PAIR_LIMIT), (counts.network, NETWORK_LIMIT)]
        .iter()
        .filter(|(tally, limit)| tally.count >= *limit)
        .map(|(tally, _)| whole_seconds(tally.seconds_left))
        .max();
    wait.map_or_else(|| Admission::Go(delay(counts.account.count)), Admission::Wait)
}

fn delay(failures: i32) -> Duration {
    match u32::try_from(failures - FREE_FAILURES) {
        Ok(beyond) => DELAY.0.saturating_mul(2_u32.saturating_pow(beyond)).min(DELAY.1),
        Err(_) => Duration::ZERO,
    }
}

fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil().clamp(1.0, 900.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(account: i32, network: i32, pair: i32) -> Counts {
        let tally = |count| Tally { count, seconds_left: 12.3 };
        Counts { account: tally(account), network: tally(network), pair: tally(pair) }
    }

    #[test]
    fn ten_failures_from_one_network_end_there_and_only_slow_others() {
        assert_eq!(decide(&counts(0, 0, 0)), Admission::Go(Duration::ZERO));
        assert_eq!(decide(&counts(9, 9, 9)), Admission::Go(Duration::ZERO));
        assert_eq!(decide(&counts(10, 10, 10)), Admission::Wait(13));
        assert!(matches!(decide(&counts(10_000, 0, 0)), Admission::Go(delay) if delay == DELAY.1));
        assert_eq!(decide(&counts(0, 1000, 0)), Admission::Wait(13));
    }

    #[test]
    fn the_delay_doubles_up_to_its_end() {
        let delays: Vec<u128> = (9..18).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [0, 62, 124, 248, 496, 992, 1984, 2000, 2000]);
    }
}
