//! Guessing is slow, and nobody is locked out by somebody else's guesses.
//!
//! Failed logins are counted three ways, each within fifteen minutes: for an account from one network (ten, then 429), for
//! a network whatever the account (a thousand, then 429), and for an account from everywhere. The last one never
//! refuses, since a lock would let anybody lock anybody out; it makes every further try wait, twice as long each time
//! up to two seconds. The counters hold keyed hashes only and live in the database, because a function's memory is gone
//! with the function.

use std::{net::IpAddr, time::Duration};

use super::device::network;
use crate::{
    crypto::{CryptoError, MacKeys, SecretBoxKeys},
    db::{DbResult, SystemTx},
};

/// Failures of one account from one network.
const PAIR_LIMIT: i32 = 10;
/// Failures of one network: an office, a gym's guests. Only a list of stolen passwords comes this far.
const NETWORK_LIMIT: i32 = 1000;
/// Failures of one account from everywhere that cost nothing yet.
const FREE_FAILURES: i32 = 10;
/// The first delay, and the longest.
const DELAY: (Duration, Duration) = (Duration::from_millis(62), Duration::from_secs(2));

const PAIR: &str = "login_pair";
const NETWORK: &str = "login_network";
const ACCOUNT: &str = "login_account";

/// The counters that one login touches.
#[derive(Clone, Debug)]
pub struct Guard {
    account: [u8; 32],
    network: [u8; 32],
    /// Account and network together; a success clears it.
    pub(super) pair: [u8; 32],
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
    /// Asking for a new password of one account, from anywhere.
    ForgotAccount,
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
        let (keys, network) = (mac_keys(keys)?, network(address));
        Ok(Self {
            account: keys.mac(email.as_bytes()),
            network: keys.mac(network.as_bytes()),
            pair: keys.mac(format!("{email}|{network}").as_bytes()),
        })
    }

    /// Under which key calls about the account are counted.
    #[must_use]
    pub const fn account_key(&self) -> &[u8; 32] {
        &self.account
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        [self.account, self.network, self.pair].iter().map(|hash| hash.to_vec()).collect()
    }

    /// In the order of [`Self::keys`], which is that of the words: two failures at once lock the rows alike.
    fn kinds() -> Vec<String> {
        [ACCOUNT, NETWORK, PAIR].map(str::to_owned).to_vec()
    }
}

/// Asks the counters whether a login may be tried.
///
/// # Errors
/// When the database refuses.
pub async fn admit(tx: &mut SystemTx, guard: &Guard) -> DbResult<Admission> {
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
    Ok(decide(&counters))
}

/// Counts a failed login.
///
/// # Errors
/// When the database refuses.
pub async fn record_failure(tx: &mut SystemTx, guard: &Guard) -> DbResult<()> {
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

/// Counts a call under a key; beyond `limit` in fifteen minutes it answers after how many seconds to come back.
///
/// # Errors
/// When the database refuses.
pub async fn count_call(
    tx: &mut SystemTx,
    knock: Knock,
    key: &[u8; 32],
    limit: i32,
) -> DbResult<Option<u64>> {
    let kind = match knock {
        Knock::Register => "register",
        Knock::Forgot => "forgot",
        Knock::ForgotAccount => "forgot_account",
    };
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

fn decide(counters: &[Counter]) -> Admission {
    let is_over = |counter: &&Counter| {
        (counter.kind == PAIR && counter.count >= PAIR_LIMIT)
            || (counter.kind == NETWORK && counter.count >= NETWORK_LIMIT)
    };
    let wait = counters.iter().filter(is_over).map(|counter| whole_seconds(counter.seconds_left)).max();
    let failures = counters.iter().find(|counter| counter.kind == ACCOUNT).map_or(0, |counter| counter.count);
    wait.map_or_else(|| Admission::Go(delay(failures)), Admission::Wait)
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

    fn counter(kind: &str, count: i32) -> Counter {
        Counter { kind: kind.to_owned(), count, seconds_left: 12.3 }
    }

    #[test]
    fn ten_failures_from_one_network_end_there_and_only_slow_others() {
        assert_eq!(decide(&[]), Admission::Go(Duration::ZERO));
        assert_eq!(decide(&[counter(PAIR, 9), counter(ACCOUNT, 9)]), Admission::Go(Duration::ZERO));
        assert_eq!(decide(&[counter(PAIR, 10), counter(ACCOUNT, 10)]), Admission::Wait(13));
        assert!(matches!(decide(&[counter(ACCOUNT, 10_000)]), Admission::Go(delay) if delay == DELAY.1));
        assert_eq!(decide(&[counter(NETWORK, 1000)]), Admission::Wait(13));
    }

    #[test]
    fn the_delay_doubles_up_to_its_end() {
        let delays: Vec<u128> = (9..18).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [0, 62, 124, 248, 496, 992, 1984, 2000, 2000]);
    }
}
