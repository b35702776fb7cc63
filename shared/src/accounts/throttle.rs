//! Calls that come before any tenant is known, counted by network or address within fifteen minutes.
//!
//! Guesses are counted in [`super::guesses`]; these counters hold keyed hashes as well, and live in the same places.

use std::net::IpAddr;

use super::{device::network, guesses::WINDOW};
use crate::{
    crypto::{CryptoError, MacKeys, SecretBoxKeys},
    db::{DbResult, SystemTx},
    limits::Limits,
};

/// A kind of call that is counted before any tenant is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// Making a tenant.
    Register,
    /// Asking for a new password.
    Forgot,
}

struct Counter {
    count: i32,
    seconds_left: f64,
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
        let name = format!("{kind}:{}", hex::encode(key));
        if let Some(tally) = redis.count(&name, WINDOW).await {
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
           returning t.count,
               extract(epoch from t.window_started_at + interval '15 minutes' - now())::double precision as "seconds_left!""#,
        kind,
        &key[..],
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((counter.count > limit).then(|| whole_seconds(counter.seconds_left)))
}

/// The keys of the counters' hashes.
pub(super) fn mac_keys(keys: &SecretBoxKeys) -> Result<MacKeys, CryptoError> {
    keys.mac_keys("throttle")
}

pub(super) fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil().clamp(1.0, 900.0) as u64
}
