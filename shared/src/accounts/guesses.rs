//! Guessing is slow, and nobody is locked out by somebody else's guesses.
//!
//! **Per account.** An address is neither unique nor proven: anybody may found a business with somebody else's. So what
//! protects a password is counted under its user: ten guesses from one network in fifteen minutes, and from networks where
//! the user has never signed in a ration that all of them share, forty at once and then one a minute. A login without a
//! business is a guess at every account of its address, and stays one for those that it did not match, whatever else it
//! opened; only the account that was opened is forgiven. An account whose guesses are used up is left out in silence.
//!
//! **Per address.** What callers are told must not depend on who exists. So refusals go by the same limits counted under
//! what was asked, the address with the business that was named, and a failure is answered with 429 once the address has
//! used up its tries here whatever was named: its owner then knows that the password may not have been looked at.
//!
//! **Before, not after.** A guess is counted before it is verified and given back when it was right, so that a hundred at
//! once cannot all find the counter low. Everybody's first ten failures cost nothing, each further try waits, twice as long
//! each time up to two seconds; a network ends at a thousand failures, whatever the accounts.
//!
//! The counters hold keyed hashes only and live in the database or in Redis, because a function's memory is gone with the
//! function.

use std::{net::IpAddr, time::Duration};

use uuid::Uuid;

use super::{
    device::{network, network_hashes},
    throttle::{mac_keys, whole_seconds},
};
use crate::{
    crypto::{CryptoError, MacKeys, SecretBoxKeys},
    db::{self, DbResult, SystemTx, TenantTx},
    ids::TenantId,
    limits::Limits,
    private::Private,
};

/// Guesses at one account from one network that are looked at.
pub(crate) const PAIR_LIMIT: i32 = 10;
/// Failures of one network: an office, a gym's guests. Only a list of stolen passwords comes this far.
pub(crate) const NETWORK_LIMIT: i32 = 1000;
/// How long attempts count.
pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Tries for one account from networks that it does not know, and in what time they come back.
pub(crate) const RATION: (i32, Duration) = (40, Duration::from_secs(40 * 60));
/// Failures from everywhere that cost nothing yet.
const FREE_FAILURES: i32 = 10;
/// The first delay, and the longest.
const DELAY: (Duration, Duration) = (Duration::from_millis(62), Duration::from_secs(2));

/// What one guess is counted under.
#[derive(Clone, Debug)]
pub struct Guard {
    macs: MacKeys,
    subject: Private<String>,
    from: Private<String>,
    /// The network, whatever the account.
    pub(crate) network: [u8; 32],
    /// What was asked: an address, perhaps with a business; a user's codes.
    pub(crate) asked: Target,
    /// The address, whatever business was named; codes have none.
    pub(crate) whole: Option<Target>,
    /// Whether what was asked knows the network.
    pub(crate) known: bool,
    /// The accounts that the guess is compared with, in the order of their ids.
    pub(crate) accounts: Vec<(Uuid, Target, bool)>,
    /// The network as sessions remember it, under each key that is still listed.
    networks: Vec<Vec<u8>>,
}

/// Something that is guessed at, from everywhere and from one network.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Under which it is counted, wherever from.
    pub(crate) account: [u8; 32],
    /// Together with the network.
    pub(crate) pair: [u8; 32],
}

/// Whether a guess may be tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// Yes.
    Go(Pass),
    /// Not before this many seconds have passed.
    Wait(u64),
}

/// A guess that may be tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// After this delay.
    pub delay: Duration,
    /// The accounts that it may be compared with.
    pub admitted: Vec<Uuid>,
    /// A failure is to be answered with so many seconds to wait: the address has used up its tries here, and an account of it
    /// may have been left out.
    pub spent: Option<u64>,
}

/// What the counters answered.
pub(crate) struct Counted {
    /// Refused: seconds until it may be tried again.
    pub(crate) wait: Option<f64>,
    /// Failures of what was asked, from everywhere.
    pub(crate) failures: i32,
    /// Seconds for which the address has used up its tries here.
    pub(crate) spent: Option<f64>,
    /// Account by account.
    pub(crate) admitted: Vec<bool>,
}

impl Guard {
    /// For an account by its lower-case address, asked from a network without a business.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn new(keys: &SecretBoxKeys, email: &str, address: IpAddr) -> Result<Self, CryptoError> {
        let mut guard = Self::of(keys, email.to_owned(), address)?;
        guard.whole = Some(guard.target(&format!("whole:{email}")));
        Ok(guard)
    }

    /// For a user's codes, which are counted apart: whoever guesses them has the password already.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn of_codes(keys: &SecretBoxKeys, user: Uuid, address: IpAddr) -> Result<Self, CryptoError> {
        Self::of(keys, format!("mfa:{user}"), address)
    }

    fn of(keys: &SecretBoxKeys, subject: String, address: IpAddr) -> Result<Self, CryptoError> {
        let networks = network_hashes(keys, address)?;
        let (macs, from) = (mac_keys(keys)?, network(address));
        let network = macs.mac(from.as_bytes());
        let asked = target(&macs, &subject, &from);
        let (known, accounts) = (false, Vec::new());
        Ok(Self {
            macs,
            subject: subject.into(),
            from: from.into(),
            network,
            asked,
            whole: None,
            known,
            accounts,
            networks,
        })
    }

    /// The same with the business that was named, by whatever name, whether there is one or not.
    #[must_use]
    pub fn naming(mut self, tenant: &str) -> Self {
        self.asked = self.target(&format!("{}|{}", self.subject.expose(), tenant.to_lowercase()));
        self
    }

    /// The same from a network that is known, or not, to whom it is about.
    #[must_use]
    pub fn at_home(self, known: bool) -> Self {
        Self { known, ..self }
    }

    /// The same, compared with these accounts, each of which knows the network or not.
    #[must_use]
    pub fn compared_with(mut self, users: impl IntoIterator<Item = (Uuid, bool)>) -> Self {
        self.accounts = users
            .into_iter()
            .map(|(user, known)| {
                (user, target(&self.macs, &format!("user:{user}"), self.from.expose()), known)
            })
            .collect();
        self.accounts.sort_unstable_by_key(|(user, ..)| *user);
        self.known = self.accounts.iter().any(|(.., known)| *known);
        self
    }

    /// Under which key calls about the address are counted.
    #[must_use]
    pub const fn account_key(&self) -> &[u8; 32] {
        &self.asked.account
    }

    /// What stands in for a caller who has shown no more than the address.
    #[must_use]
    pub fn visitor(&self) -> String {
        format!("visitor:{}", hex::encode(self.asked.account))
    }

    /// The network as sessions remember it.
    pub(super) fn networks(&self) -> &[Vec<u8>] {
        &self.networks
    }

    fn target(&self, subject: &str) -> Target {
        target(&self.macs, subject, self.from.expose())
    }
}

impl Target {
    /// The bucket of its strangers' tries.
    pub(crate) fn ration(&self) -> String {
        format!("login:{}", hex::encode(self.account))
    }
}

fn target(macs: &MacKeys, subject: &str, from: &str) -> Target {
    Target { account: macs.mac(subject.as_bytes()), pair: macs.mac(format!("{subject}|{from}").as_bytes()) }
}

/// Whether a user has signed in from this network before.
///
/// # Errors
/// When the database refuses.
pub async fn knows_network(tx: &mut SystemTx, guard: &Guard, tenant: TenantId, user: Uuid) -> DbResult<bool> {
    db::knows_network(tx, tenant, user, guard.networks()).await
}

/// Counts a guess, unless its limits are used up, and says with whom it may be compared. [`forgive`] or [`give_back`] what was
/// right.
///
/// # Errors
/// When the database refuses.
pub async fn admit(tx: &mut SystemTx, limits: &Limits, guard: &Guard) -> DbResult<Admission> {
    let in_redis = match limits.redis() {
        Some(redis) => redis.take_guess(guard).await,
        None => None,
    };
    let counted = match in_redis {
        Some(counted) => counted,
        None => db::take_guess(tx, guard).await?,
    };
    Ok(decide(guard, &counted))
}

fn decide(guard: &Guard, counted: &Counted) -> Admission {
    if let Some(wait) = counted.wait {
        return Admission::Wait(whole_seconds(wait));
    }
    let accounts = guard.accounts.iter().zip(&counted.admitted);
    Admission::Go(Pass {
        delay: delay(counted.failures),
        admitted: accounts.filter(|(_, admitted)| **admitted).map(|((user, ..), _)| *user).collect(),
        spent: counted.spent.map(whole_seconds),
    })
}

/// Forgets, within the transaction that opens an account, the failures of that account from this network and gives a stranger's
/// try back: the guess was right. `None` for codes, which are counted under what was asked alone.
///
/// # Errors
/// When the database refuses.
pub async fn forgive(
    tx: &mut TenantTx,
    limits: &Limits,
    guard: &Guard,
    opened: Option<Uuid>,
) -> DbResult<()> {
    let guard = guard.only(opened.as_slice());
    match limits.redis() {
        Some(redis) if redis.give_guess_back(&guard, true).await => Ok(()),
        Some(_) | None => db::give_guess_back(tx.conn(), &guard, true).await,
    }
}

/// Gives these accounts their try back: the guess matched them and opened none. It stays counted for what was asked.
///
/// # Errors
/// When the database refuses.
pub async fn give_back(tx: &mut SystemTx, limits: &Limits, guard: &Guard, matched: &[Uuid]) -> DbResult<()> {
    let guard = guard.only(matched);
    match limits.redis() {
        Some(redis) if redis.give_guess_back(&guard, false).await => Ok(()),
        Some(_) | None => db::give_guess_back(tx.conn(), &guard, false).await,
    }
}

impl Guard {
    /// Without the accounts that it did not match.
    fn only(&self, matched: &[Uuid]) -> Self {
        let mut guard = self.clone();
        guard.accounts.retain(|(user, ..)| matched.contains(user));
        guard
    }
}

/// How long a try waits after so many failures.
fn delay(failures: i32) -> Duration {
    match u32::try_from(failures - FREE_FAILURES) {
        Ok(beyond) => DELAY.0.saturating_mul(2_u32.saturating_pow(beyond)).min(DELAY.1),
        Err(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_end() {
        let delays: Vec<u128> = (9..18).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [0, 62, 124, 248, 496, 992, 1984, 2000, 2000]);
    }

    #[test]
    fn what_is_counted_of_an_account_does_not_go_by_its_address() {
        let keys = SecretBoxKeys::parse(crate::crypto::generate_entry("k").unwrap().expose()).unwrap();
        let guard = |email: &str, user: u128| {
            let guard = Guard::new(&keys, email, [192, 0, 2, 1].into()).unwrap();
            guard.compared_with([(Uuid::from_u128(user), false)])
        };
        let pair = |guard: &Guard| guard.accounts[0].1.pair;
        assert_eq!(pair(&guard("a@example.com", 1)), pair(&guard("b@example.com", 1)));
        assert_ne!(pair(&guard("a@example.com", 1)), pair(&guard("a@example.com", 2)));
        let named = guard("a@example.com", 1).naming("studio");
        assert_ne!(named.asked.pair, guard("a@example.com", 1).asked.pair);
        assert_eq!(named.whole.unwrap().pair, guard("a@example.com", 1).whole.unwrap().pair);
    }
}
