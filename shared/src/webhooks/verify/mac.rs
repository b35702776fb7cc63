//! Message authentication codes and hashes, all by ring.

use ring::{digest, hmac};

/// More signatures than any sender lists in one header; each costs a pass over the body.
pub(super) const MAX_TAGS: usize = 8;

/// Whether any of `tags` is the code of `content` under any of `keys`. Every pair is tried, so that the time says
/// nothing about which one matched. Empty keys never match.
pub(super) fn matches(algorithm: hmac::Algorithm, keys: &[&[u8]], content: &[u8], tags: &[Vec<u8>]) -> bool {
    let mut found = false;
    for key in keys.iter().filter(|key| !key.is_empty()) {
        let key = hmac::Key::new(algorithm, key);
        for tag in tags.iter().take(MAX_TAGS) {
            found |= hmac::verify(&key, content, tag).is_ok();
        }
    }
    found
}

/// [`matches`] with HMAC-SHA-256 and secrets used as they are written.
pub(super) fn matches_sha256(secrets: &[&str], content: &[u8], tags: &[Vec<u8>]) -> bool {
    let keys: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    matches(hmac::HMAC_SHA256, &keys, content, tags)
}

/// The code of `content` under `key`.
pub(super) fn sign(algorithm: hmac::Algorithm, key: &[u8], content: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), content).as_ref().to_vec()
}

/// Whether two secrets are equal, in a time that does not depend on where they differ. ring offers no plain
/// comparison, so the codes of both are compared.
pub(super) fn equal(left: &[u8], right: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"comparison");
    hmac::verify(&key, left, hmac::sign(&key, right).as_ref()).is_ok()
}

/// The SHA-256 of `bytes` in lower-case hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
