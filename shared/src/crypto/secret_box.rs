//! Secrets that must be read back – a provider's password, a TOTP seed – are sealed before they reach the
//! database.
//!
//! A sealed blob is `version (1 byte) ‖ length of kid (1) ‖ kid ‖ nonce (12) ‖ ciphertext ‖ tag (16)`,
//! AES-256-GCM. The tenant and the purpose are associated data: a blob copied into another tenant's row, or
//! into another column, does not open. Keys rotate by putting a new one in front of the list: the first
//! seals, all open, and [`SecretBoxKeys::is_stale`] finds what is to be sealed again. Nonces are random,
//! which is safe for 2³² blobs per key (NIST SP 800-38D, 8.3) – far more than there will ever be secrets.

use std::sync::atomic::{AtomicBool, Ordering};

use ring::{aead, hkdf};
use uuid::Uuid;

use super::keyring::{KeyringError, decode_base64, split_entries};
use super::{CryptoError, constant_time_eq, hmac_sha256, random_bytes};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;

/// What a sealed secret is for. It is part of the associated data: a name, once used, never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Credentials of a channel's provider.
    ConnectionSecrets,
    /// The secret that verifies an inbound webhook.
    WebhookSourceSecret,
    /// The secret that signs outbound deliveries.
    WebhookEndpointSecret,
    /// A user's TOTP seed.
    MfaSecret,
    /// A response kept for an idempotency key: it may hold personal data, or a secret that is shown once.
    StoredResponse,
    /// A mail that waits to be sent: it carries a token that is stored nowhere else in clear.
    Mail,
    /// The buyer on a document whose person was erased: kept because the law wants it, and for nothing else.
    Buyer,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::ConnectionSecrets => "connection-secrets",
            Self::WebhookSourceSecret => "webhook-source-secret",
            Self::WebhookEndpointSecret => "webhook-endpoint-secret",
            Self::MfaSecret => "mfa-secret",
            Self::StoredResponse => "stored-response",
            Self::Mail => "mail",
            Self::Buyer => "buyer",
        }
    }
}

/// A sealed blob did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a sealed blob, or of a version that this build does not know.
    #[error("not a sealed blob of a known version")]
    Format,
    /// Sealed with a key that is no longer (or not yet) in the list.
    #[error("sealed with a key that is not configured")]
    UnknownKey,
    /// Altered, or sealed for another tenant or purpose.
    #[error("the blob was altered, or belongs to another tenant or purpose")]
    Forged,
}

/// The keys of the secret box: the first seals, all open.
pub struct SecretBoxKeys {
    first: Key,
    older: Vec<Key>,
    missed: AtomicBool,
}

struct Key {
    kid: String,
    material: [u8; KEY_LEN],
    aead: aead::LessSafeKey,
}

impl std::fmt::Debug for SecretBoxKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys().map(|key| &key.kid)).finish()
    }
}

impl SecretBoxKeys {
    /// Reads a comma list of `kid:base64`, each of 32 bytes.
    ///
    /// # Errors
    /// [`KeyringError`] names the entry that is malformed.
    pub fn parse(list: &str) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        for entry in split_entries(list)? {
            let material = decode_base64(entry.material)
                .and_then(|bytes| <[u8; KEY_LEN]>::try_from(bytes).ok())
                .ok_or_else(|| entry.error("expected base64 of 32 bytes"))?;
            let aead = aead::UnboundKey::new(&aead::AES_256_GCM, &material)
                .map_err(|_| entry.error("the key was refused"))?;
            keys.push(Key { kid: entry.kid.to_owned(), material, aead: aead::LessSafeKey::new(aead) });
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyringError::Empty)?;
        Ok(Self { first, older: keys.collect(), missed: AtomicBool::new(false) })
    }

    /// Seals `plain` for one tenant and purpose.
    ///
    /// # Errors
    /// [`CryptoError`] if there is no randomness, or `plain` exceeds 64 GB.
    pub fn seal(&self, tenant: Uuid, purpose: Purpose, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = &self.first;
        let nonce = random_bytes::<{ aead::NONCE_LEN }>()?;
        let mut sealed = plain.to_vec();
        let aad = aead::Aad::from(associated_data(&key.kid, tenant, purpose));
        key.aead
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| CryptoError)?;
        let kid_len = u8::try_from(key.kid.len()).map_err(|_| CryptoError)?;
        Ok([&[VERSION, kid_len], key.kid.as_bytes(), &nonce, &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same tenant and purpose.
    ///
    /// # Errors
    /// [`OpenError`]; every one of them is a fault of operation or an attack, none an ordinary outcome.
    pub fn open(&self, tenant: Uuid, purpose: Purpose, blob: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (kid, rest) = split_kid(blob).ok_or(OpenError::Format)?;
        let (nonce, sealed) = rest.split_first_chunk::<{ aead::NONCE_LEN }>().ok_or(OpenError::Format)?;
        let Some(key) = self.keys().find(|key| key.kid.as_bytes() == kid) else {
            self.missed.store(true, Ordering::Relaxed);
            return Err(OpenError::UnknownKey);
        };
        let aad = aead::Aad::from(associated_data(&key.kid, tenant, purpose));
        let mut buffer = sealed.to_vec();
        let plain = key
            .aead
            .open_in_place(aead::Nonce::assume_unique_for_key(*nonce), aad, &mut buffer)
            .map_err(|_| OpenError::Forged)?;
        Ok(plain.to_vec())
    }

    /// Whether something was to be opened that is sealed with a key of another list, newer ones perhaps.
    #[must_use]
    pub fn has_missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether `blob` should be sealed again: it is not sealed with the first key.
    #[must_use]
    pub fn is_stale(&self, blob: &[u8]) -> bool {
        split_kid(blob).is_none_or(|(kid, _)| kid != self.first.kid.as_bytes())
    }

    /// MAC keys derived from every sealing key (HKDF-SHA-256, RFC 5869), in the same order. `label` separates
    /// uses.
    ///
    /// # Errors
    /// [`CryptoError`] never occurs for 32-byte outputs; it is passed on rather than hidden.
    pub fn mac_keys(&self, label: &'static str) -> Result<MacKeys, CryptoError> {
        let derive = |key: &Key| {
            let mut output = [0_u8; KEY_LEN];
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"wellspring mac key v1")
                .extract(&key.material)
                .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut output))
                .map_err(|_| CryptoError)?;
            Ok(output)
        };
        let older = self.older.iter().map(derive).collect::<Result<_, _>>()?;
        Ok(MacKeys { first: derive(&self.first)?, older })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.older)
    }
}

/// Keys for keyed hashes that live as long as the sealing keys: new hashes use the first, look-ups try all.
#[derive(Clone)]
pub struct MacKeys {
    first: [u8; KEY_LEN],
    older: Vec<[u8; KEY_LEN]>,
}

impl std::fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MacKeys({})", 1 + self.older.len())
    }
}

impl MacKeys {
    /// HMAC-SHA-256 under the newest key.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.first, message)
    }

    /// HMAC-SHA-256 under every key, the newest first.
    pub fn macs(&self, message: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(&self.first).chain(&self.older).map(move |key| hmac_sha256(key, message))
    }

    /// Whether `mac` belongs to `message` under any key; constant in time for each key.
    #[must_use]
    pub fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        self.macs(message).any(|own| constant_time_eq(&own, mac))
    }
}

/// Version, kid and tenant have a fixed or written length, so that no two triples give the same bytes.
fn associated_data(kid: &str, tenant: Uuid, purpose: Purpose) -> Vec<u8> {
    let kid_len = u8::try_from(kid.len()).unwrap_or(u8::MAX);
    [&[VERSION, kid_len], kid.as_bytes(), tenant.as_bytes(), purpose.name().as_bytes()].concat()
}

/// Takes a known version and the kid off a blob; the rest is nonce, ciphertext and tag.
fn split_kid(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    match blob {
        [VERSION, kid_len, rest @ ..] => rest.split_at_checked(usize::from(*kid_len)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keys(list: &[&str]) -> SecretBoxKeys {
        SecretBoxKeys::parse(&list.join(",")).unwrap()
    }

    #[test]
    fn a_blob_opens_after_rotation_until_its_key_is_retired() {
        let (tenant, purpose) = (Uuid::from_u128(1), Purpose::MfaSecret);
        let blob = keys(&[A]).seal(tenant, purpose, b"seed").unwrap();
        let rotated = keys(&[B, A]);
        assert_eq!(rotated.open(tenant, purpose, &blob).unwrap(), b"seed");
        assert!(rotated.is_stale(&blob) && !keys(&[A]).is_stale(&blob));
        assert!(!rotated.is_stale(&rotated.seal(tenant, purpose, b"seed").unwrap()));
        assert_eq!(keys(&[B]).open(tenant, purpose, &blob), Err(OpenError::UnknownKey));
    }

    #[test]
    fn a_blob_cannot_be_moved_between_tenants_or_purposes() {
        let keys = keys(&[A]);
        let blob = keys.seal(Uuid::from_u128(1), Purpose::MfaSecret, b"seed").unwrap();
        assert_eq!(keys.open(Uuid::from_u128(2), Purpose::MfaSecret, &blob), Err(OpenError::Forged));
        assert_eq!(keys.open(Uuid::from_u128(1), Purpose::ConnectionSecrets, &blob), Err(OpenError::Forged));
    }

    #[test]
    fn one_kid_with_another_key_does_not_open() {
        let blob = keys(&[A]).seal(Uuid::nil(), Purpose::MfaSecret, b"seed").unwrap();
        let impostor = keys(&[&B.replacen('b', "a", 1)]);
        assert_eq!(impostor.open(Uuid::nil(), Purpose::MfaSecret, &blob), Err(OpenError::Forged));
    }

    #[test]
    fn equal_secrets_seal_differently_and_debug_shows_only_ids() {
        let keys = keys(&[B, A]);
        let seal = || keys.seal(Uuid::nil(), Purpose::MfaSecret, b"").unwrap();
        assert_ne!(seal(), seal());
        assert_eq!(format!("{keys:?}"), r#"["b", "a"]"#);
    }

    #[test]
    fn mac_keys_follow_the_order_and_differ_by_label() {
        let (old, new) = (keys(&[A]).mac_keys("x").unwrap(), keys(&[B, A]).mac_keys("x").unwrap());
        assert_eq!(new.macs(b"m").nth(1), Some(old.mac(b"m")));
        assert!(new.verify(b"m", &old.mac(b"m")) && !old.verify(b"m", &new.mac(b"m")));
        assert_ne!(keys(&[A]).mac_keys("y").unwrap().mac(b"m"), old.mac(b"m"));
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for list in ["a:AAAA", "a:", "a:!!!!", "a:pub:AAAA"] {
            assert!(
                matches!(SecretBoxKeys::parse(list), Err(KeyringError::Entry { place: 1, .. })),
                "{list}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back(plain: Vec<u8>, tenant: u128) {
            let (keys, tenant) = (keys(&[A]), Uuid::from_u128(tenant));
            let blob = keys.seal(tenant, Purpose::StoredResponse, &plain).unwrap();
            prop_assert_eq!(keys.open(tenant, Purpose::StoredResponse, &blob).unwrap(), plain);
        }

        #[test]
        fn any_altered_bit_is_noticed(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let keys = keys(&[A]);
            let mut blob = keys.seal(Uuid::nil(), Purpose::MfaSecret, &plain).unwrap();
            let at = at.index(blob.len());
            blob[at] ^= 1 << bit;
            prop_assert!(keys.open(Uuid::nil(), Purpose::MfaSecret, &blob).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_open(blob: Vec<u8>) {
            prop_assert!(keys(&[A]).open(Uuid::nil(), Purpose::MfaSecret, &blob).is_err());
        }
    }
}
