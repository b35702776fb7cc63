//! Refresh tokens: opaque, single use, their successor computed rather than drawn.
//!
//! A rotation whose answer is lost, or N calls with one token at once, must not sign the user out. So the
//! successor is a MAC of its parent: whoever rotates a token, and however often within the grace, hands out
//! the *same* successor, and no clear text has to be stored for that. A stolen token does not yield its
//! successor, since the key stays on the server. The grace covers the immediate parent only; anything older,
//! or later, is reuse and ends the whole family.

use chrono::{DateTime, TimeDelta, Utc};

use crate::crypto::{CryptoError, MacKeys, OpaqueToken, SecretBoxKeys, TokenKind, constant_time_eq};

/// How long after its rotation a token still yields its successor.
pub const GRACE: TimeDelta = TimeDelta::seconds(10);
/// A family that is not refreshed for this long ends.
pub const IDLE_LIFETIME: TimeDelta = TimeDelta::days(30);
/// A family ends this long after the login, however active it is.
pub const ABSOLUTE_LIFETIME: TimeDelta = TimeDelta::days(90);

/// The keys that compute successors.
#[derive(Debug, Clone)]
pub struct RefreshKeys(MacKeys);

impl RefreshKeys {
    /// The keys that belong to the sealing keys.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn new(keys: &SecretBoxKeys) -> Result<Self, CryptoError> {
        keys.mac_keys("refresh-successor").map(Self)
    }

    /// The successor of `parent`, under the newest key.
    #[must_use]
    pub fn successor(&self, parent: &OpaqueToken) -> OpaqueToken {
        OpaqueToken::from_bytes(TokenKind::Refresh, self.0.mac(parent.expose().as_bytes()))
    }

    /// The successor that was handed out before, found by its stored hash; `None` if no key gives it.
    ///
    /// The first rotation may have used another key than the newest of this environment, when keys are being
    /// exchanged at this very moment.
    #[must_use]
    pub fn issued_successor(&self, parent: &OpaqueToken, stored_hash: &[u8]) -> Option<OpaqueToken> {
        self.0
            .macs(parent.expose().as_bytes())
            .map(|bytes| OpaqueToken::from_bytes(TokenKind::Refresh, bytes))
            .find(|token| constant_time_eq(&token.hash(), stored_hash))
    }
}

/// The first token of a family, at login.
///
/// # Errors
/// [`CryptoError`] if the operating system has no randomness to give.
pub fn generate() -> Result<OpaqueToken, CryptoError> {
    OpaqueToken::generate(TokenKind::Refresh)
}

/// Reads a presented refresh token; `None` if it was not made here.
#[must_use]
pub fn parse(text: &str) -> Option<OpaqueToken> {
    OpaqueToken::parse(TokenKind::Refresh, text)
}

/// When a token made at `now` in a family that began at `login` expires: idle or absolute, whichever comes
/// first.
#[must_use]
pub fn expires_at(now: DateTime<Utc>, login: DateTime<Utc>) -> DateTime<Utc> {
    (now + IDLE_LIFETIME).min(login + ABSOLUTE_LIFETIME)
}

/// Whether a token rotated at `rotated` may still be answered with its successor.
#[must_use]
pub fn is_in_grace(now: DateTime<Utc>, rotated: DateTime<Utc>) -> bool {
    now - rotated <= GRACE
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keys(list: &str) -> RefreshKeys {
        RefreshKeys::new(&SecretBoxKeys::parse(list).unwrap()).unwrap()
    }

    #[test]
    fn parallel_rotations_give_one_successor() {
        let parent = generate().unwrap();
        let [one, two] = [keys(A).successor(&parent), keys(A).successor(&parent)];
        assert_eq!(one.expose(), two.expose());
        assert_eq!(parse(one.expose()).unwrap().hash(), one.hash());
    }

    #[test]
    fn successors_depend_on_parent_and_key() {
        let (parent, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(keys(A).successor(&parent).hash(), keys(A).successor(&other).hash());
        assert_ne!(keys(A).successor(&parent).hash(), keys(B).successor(&parent).hash());
        assert_ne!(keys(A).successor(&keys(A).successor(&parent)).hash(), keys(A).successor(&parent).hash());
    }

    #[test]
    fn a_successor_issued_under_the_old_key_is_found_during_rotation() {
        let parent = generate().unwrap();
        let issued = keys(A).successor(&parent).hash();
        assert_eq!(keys(&format!("{B},{A}")).issued_successor(&parent, &issued).unwrap().hash(), issued);
        assert!(keys(B).issued_successor(&parent, &issued).is_none());
    }

    #[test]
    fn a_family_ends_idle_or_absolutely() {
        let login = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(expires_at(login, login), login + TimeDelta::days(30));
        assert_eq!(expires_at(login + TimeDelta::days(80), login), login + TimeDelta::days(90));
    }

    #[test]
    fn the_grace_ends_after_ten_seconds() {
        let rotated = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert!(is_in_grace(rotated + TimeDelta::seconds(10), rotated));
        assert!(!is_in_grace(rotated + TimeDelta::milliseconds(10_001), rotated));
    }
}
