//! The text form of key lists in the configuration: `kid:base64`, separated by commas, the newest first.

use std::collections::HashSet;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{CryptoError, random_bytes};
use crate::private::Secret;

/// Longest key id. It is written into every sealed blob and every token header.
const MAX_KID: usize = 64;

/// A list of keys that cannot be used. Messages name the entry by its place, never by its content, since a
/// typing error may have put the key where the id should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The list has no entry (or, for signing, none that can sign).
    #[error("the list holds no usable key")]
    Empty,
    /// An entry is not of the documented form.
    #[error("entry {place}: {reason}")]
    Entry {
        /// Place in the list, from 1.
        place: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// One entry of a list, its material still in text form.
pub(crate) struct Entry<'a> {
    pub(crate) place: usize,
    pub(crate) kid: &'a str,
    /// What follows `kid:`.
    pub(crate) material: &'a str,
}

impl Entry<'_> {
    /// An error that points at this entry.
    pub(crate) fn error(&self, reason: &'static str) -> KeyringError {
        KeyringError::Entry { place: self.place, reason }
    }
}

/// Splits a comma list into entries with distinct, well-formed ids. Blank entries (a trailing comma) are
/// skipped.
pub(crate) fn split_entries(list: &str) -> Result<Vec<Entry<'_>>, KeyringError> {
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for (index, text) in list.split(',').map(str::trim).enumerate().filter(|(_, text)| !text.is_empty()) {
        let place = index + 1;
        let error = |reason| KeyringError::Entry { place, reason };
        let (kid, material) = text.split_once(':').ok_or_else(|| error("expected kid:base64"))?;
        if !is_kid(kid) {
            return Err(error("a key id is 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        if !seen.insert(kid) {
            return Err(error("the key id is used twice"));
        }
        entries.push(Entry { place, kid, material });
    }
    if entries.is_empty() { Err(KeyringError::Empty) } else { Ok(entries) }
}

/// Decodes base64 of either alphabet, padded or not: operators paste both.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

/// A fresh entry `kid:base64` with 32 random bytes: a sealing key, or the seed of a signing key.
///
/// # Errors
/// [`CryptoError`] if the operating system has no randomness to give.
pub fn generate_entry(kid: &str) -> Result<Secret, CryptoError> {
    let key = random_bytes::<32>()?;
    Ok(Secret::new(format!("{kid}:{}", base64::engine::general_purpose::STANDARD.encode(key))))
}

fn is_kid(text: &str) -> bool {
    (1..=MAX_KID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order_and_blanks_are_skipped() {
        let kids: Vec<_> =
            split_entries(" b:AA== , a:AQ ,").unwrap().iter().map(|e| (e.place, e.kid)).collect();
        assert_eq!(kids, [(1, "b"), (2, "a")]);
    }

    #[test]
    fn bad_lists_are_refused_by_place() {
        assert!(matches!(split_entries(" , "), Err(KeyringError::Empty)));
        for list in ["a:AA,nocolon", "a:AA,a:AQ", "a:AA,:AQ", "a:AA,ä:AQ"] {
            assert!(matches!(split_entries(list), Err(KeyringError::Entry { place: 2, .. })), "{list}");
        }
    }

    #[test]
    fn base64_is_read_in_both_alphabets() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(decode_base64(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text}");
        }
        assert_eq!(decode_base64("+_8="), None);
        assert_eq!(decode_base64("AB"), None, "trailing bits must be zero");
    }
}
