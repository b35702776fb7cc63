//! Passwords: argon2id at rest, legacy bcrypt accepted, every failure equally slow.
//!
//! New hashes are argon2id with 19 MiB, two passes and one lane, the OWASP minimum (Password Storage Cheat
//! Sheet), in PHC form. Hashes brought along from older systems (`$2a$`, `$2b$`, `$2y$`) still verify and
//! come back marked [`Verdict::Match`]` { needs_rehash: true }`, so that the login can rewrite them.
//!
//! An unknown account costs as much as a known one: a hash is computed for it all the same. Since bcrypt and
//! argon2id differ in time whatever their parameters, failures are moreover held back until a floor has
//! passed ([`verify_equalised`]). The floor must exceed the slowest hash that is stored; it does not hold
//! back successes, whose outcome the answer tells anyway.

mod policy;

pub use policy::{MAX_CHARS, MIN_CHARS, PolicyError, check_policy};

use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, CustomizedPasswordHasher as _, Params, PasswordVerifier as _, Version};
use tokio::time::Instant;

use crate::crypto::{CryptoError, random_bytes};
use crate::private::Secret;

/// Memory in KiB, passes and lanes of new hashes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most that a stored hash may ask for: an imported row must not be able to exhaust the function, nor to take longer than
/// failures are held back. In hashes of the current kind, each about 40 ms of a core; bcrypt at cost 12 takes about 440 ms.
pub const MAX_WORK: u32 = 11;
const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;
const MAX_BCRYPT_COST: u32 = 12;
/// Characters have at most four bytes in UTF-8: nothing longer was ever accepted as a password.
const MAX_BYTES: usize = 4 * MAX_CHARS;

/// The outcome of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right. `needs_rehash`: store [`hash`] of it in the same transaction.
    Match {
        /// The stored hash is not of the current kind and cost.
        needs_rehash: bool,
    },
    /// The password is wrong, or there is no such account.
    Mismatch,
}

/// Hashing or verification could not be done at all. No variant says anything about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The stored hash is of an unknown form, or asks for more than the bounds of this module.
    #[error("the stored password hash is of an unknown form or too costly")]
    StoredHash,
    /// The hash function failed: no memory or no randomness.
    #[error("the password could not be hashed")]
    Hashing,
}

impl From<CryptoError> for PasswordError {
    fn from(_: CryptoError) -> Self {
        Self::Hashing
    }
}

/// Hashes a password for storage, as a PHC string. Takes about 40 ms of one core: call it through
/// [`hash_blocking`] from async code.
///
/// # Errors
/// [`PasswordError::Hashing`] if there is no memory or no randomness.
pub fn hash(password: &Secret) -> Result<Secret, PasswordError> {
    let salt = random_bytes::<16>()?;
    hash_with_salt(password.expose().as_bytes(), &salt).map(|phc| Secret::new(phc.to_string()))
}

/// [`hash`] on a thread that may block.
///
/// # Errors
/// As [`hash`].
pub async fn hash_blocking(password: &Secret) -> Result<Secret, PasswordError> {
    let password = password.clone();
    tokio::task::spawn_blocking(move || hash(&password)).await.map_err(|_| PasswordError::Hashing)?
}

/// Verifies a password against a stored hash; with `None` (no such account) it does the same work in vain.
///
/// # Errors
/// [`PasswordError::StoredHash`] if `stored` cannot be used, after the same work in vain.
pub fn verify(stored: Option<&Secret>, password: &Secret) -> Result<Verdict, PasswordError> {
    let candidate = password.expose().as_bytes();
    let Some(stored) = stored.filter(|_| candidate.len() <= MAX_BYTES) else {
        return in_vain(candidate).map(|()| Verdict::Mismatch);
    };
    match Stored::parse(stored.expose()) {
        Some(Stored::Argon2id(phc)) => match Argon2::default().verify_password(candidate, phc.as_ref()) {
            Ok(()) => Ok(Verdict::Match { needs_rehash: !is_current(&phc) }),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Mismatch),
            Err(_) => Err(PasswordError::Hashing),
        },
        // bcrypt reads 72 bytes. The systems that made these hashes cut longer passwords there, and so does
        // this.
        Some(Stored::Bcrypt(text)) => match bcrypt::verify(candidate, text) {
            Ok(true) => Ok(Verdict::Match { needs_rehash: true }),
            Ok(false) => Ok(Verdict::Mismatch),
            Err(_) => Err(PasswordError::StoredHash),
        },
        None => in_vain(candidate).and(Err(PasswordError::StoredHash)),
    }
}

/// [`verify`] on a thread that may block, answering a failure no sooner than `floor` after the call.
///
/// # Errors
/// As [`verify`]; errors too are held back.
pub async fn verify_equalised(
    stored: Option<&Secret>,
    password: &Secret,
    floor: Duration,
) -> Result<Verdict, PasswordError> {
    let answer_at = Instant::now() + floor;
    let (stored, password) = (stored.cloned(), password.clone());
    let verdict = tokio::task::spawn_blocking(move || verify(stored.as_ref(), &password))
        .await
        .map_err(|_| PasswordError::Hashing)
        .flatten();
    if !matches!(verdict, Ok(Verdict::Match { .. })) {
        tokio::time::sleep_until(answer_at).await;
    }
    verdict
}

/// What verifying against a stored hash costs, in hashes of the current kind: 1 to [`MAX_WORK`].
#[must_use]
pub fn work(stored: &Secret) -> u32 {
    let work = match Stored::parse(stored.expose()) {
        Some(Stored::Argon2id(phc)) if is_current(&phc) => 1,
        Some(Stored::Argon2id(phc)) => Params::try_from(&*phc).map_or(1, |params| argon2_work(&params)),
        Some(Stored::Bcrypt(text)) => {
            let cost = text.parse::<bcrypt::HashParts>().map_or(MAX_BCRYPT_COST, |parts| parts.get_cost());
            MAX_WORK >> MAX_BCRYPT_COST.saturating_sub(cost).min(31)
        }
        // One is spent in vain.
        None => 1,
    };
    work.clamp(1, MAX_WORK)
}

/// Memory beyond the processor's caches is about twice as slow as the current hashes' share of them.
fn argon2_work(params: &Params) -> u32 {
    params.m_cost().saturating_mul(params.t_cost()).saturating_mul(2).div_ceil(MEMORY_KIB * PASSES)
}

/// A stored hash of a form and cost that is verified.
enum Stored<'a> {
    Argon2id(Box<PasswordHash>),
    Bcrypt(&'a str),
}

impl<'a> Stored<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts: bcrypt::HashParts = text.parse().ok()?;
            return (parts.get_cost() <= MAX_BCRYPT_COST).then_some(Self::Bcrypt(text));
        }
        let phc = PasswordHash::new(text).ok()?;
        let params = Params::try_from(&phc).ok()?;
        let is_sound = phc.algorithm == argon2::ARGON2ID_IDENT && phc.salt.is_some() && phc.hash.is_some();
        let is_bounded = params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= MAX_LANES
            && argon2_work(&params) <= MAX_WORK;
        (is_sound && is_bounded).then(|| Self::Argon2id(Box::new(phc)))
    }
}

/// Whether a hash has exactly the current cost. Stronger ones are rewritten too: what takes longer stands
/// out.
fn is_current(phc: &PasswordHash) -> bool {
    phc.version == Some(u32::from(Version::V0x13))
        && Params::try_from(phc).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        })
}

/// Spends the time of a verification for an account that does not exist.
fn in_vain(candidate: &[u8]) -> Result<(), PasswordError> {
    let candidate = candidate.get(..MAX_BYTES).unwrap_or(candidate);
    std::hint::black_box(hash_with_salt(candidate, &[0; 16])?);
    Ok(())
}

fn hash_with_salt(password: &[u8], salt: &[u8; 16]) -> Result<PasswordHash, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Hashing)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_customized(password, salt, Some("argon2id"), Some(u32::from(Version::V0x13)), params)
        .map_err(|_| PasswordError::Hashing)
}

#[cfg(test)]
mod tests;
