//! Every hash, MAC, sealed secret and random number of the product, on ring.
//!
//! Nothing here reads the environment or the clock: keys come in as text from the configuration and are
//! parsed once ([`SecretBoxKeys`]); everything else is a pure function of its arguments. Password hashes are
//! the only cryptography elsewhere (`auth::password`), since ring has none.

mod address;
mod keyring;
mod opaque;
mod secret_box;

pub use address::{AddressHasher, AddressKind};
pub(crate) use keyring::{Entry, decode_base64, split_entries};
pub use keyring::{KeyringError, generate_entry};
pub use opaque::{OpaqueToken, SigningSecret, TokenKind};
pub use secret_box::{MacKeys, OpenError, Purpose, SecretBoxKeys};

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

/// The operating system gave no randomness, or ring refused an operation that cannot fail with valid keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused the operation")]
pub struct CryptoError;

/// SHA-256 of `bytes`. For random tokens this is also the form at rest: 256 bits of entropy need no salt.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA-256 (RFC 2104) of `message` under `key`.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    to_array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref())
}

/// Compares two byte strings without telling by its time where they differ.
///
/// ring's plain comparison is deprecated for outside use; `hmac::verify` is the one that it promises to be
/// constant in time, so both sides are compared by their MACs.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, left, hmac::sign(&key, right).as_ref()).is_ok()
}

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// [`CryptoError`] if the operating system has no randomness to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0_u8; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| CryptoError)?;
    Ok(bytes)
}

fn to_array(output: &[u8]) -> [u8; 32] {
    let mut array = [0_u8; 32];
    array.iter_mut().zip(output).for_each(|(to, from)| *to = *from);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_and_hmac_match_the_published_vectors() {
        // FIPS 180-4 "abc"; RFC 4231 case 2.
        assert_eq!(
            hex::encode(sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn comparison_sees_content_and_length() {
        assert!(constant_time_eq(b"", b"") && constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sane") && !constant_time_eq(b"same", b"same\0"));
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
    }
}
