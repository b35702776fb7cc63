//! Opaque tokens: random bearer strings of which only the SHA-256 is stored.
//!
//! A token is `<prefix>_` + 43 base62 digits (256 bits) + 6 base62 digits of check sum. The prefix tells
//! people and secret scanners what they found; the check sum lets a mistyped or truncated token be refused
//! without asking the database; base62 has no character that a double click, a URL or a shell treats
//! specially. The check sum is not a protection: what counts is the hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keyring::decode_base64;
use super::{CryptoError, random_bytes, sha256};
use crate::private::Secret;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62⁴³ > 2²⁵⁶.
const BODY: usize = 43;
/// 62⁶ > 2³².
const CHECK: usize = 6;
/// Digits of the body that may be shown to tell keys apart.
const SHOWN: usize = 6;

/// What an opaque token is good for; each has its own prefix, so that none can stand in for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `wsk_`: a secret API key.
    ApiKey,
    /// `wpk_`: a publishable site key.
    SiteKey,
    /// `wrt_`: a refresh token.
    Refresh,
    /// `wht_`: the token in the address of an inbound webhook.
    Webhook,
    /// `wot_`: a single-use token of a mail (invite, reset, verification) or an unsubscribe link.
    OneTime,
}

impl TokenKind {
    /// The prefix, with its underscore.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "wsk_",
            Self::SiteKey => "wpk_",
            Self::Refresh => "wrt_",
            Self::Webhook => "wht_",
            Self::OneTime => "wot_",
        }
    }
}

/// A token in clear. It is shown once and stored as [`OpaqueToken::hash`].
#[derive(Debug, Clone)]
pub struct OpaqueToken {
    kind: TokenKind,
    text: Secret,
}

impl OpaqueToken {
    /// A new random token.
    ///
    /// # Errors
    /// [`CryptoError`] if the operating system has no randomness to give.
    pub fn generate(kind: TokenKind) -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(kind, random_bytes()?))
    }

    /// The token that carries `bytes`, which must be unguessable: a MAC, or random.
    #[must_use]
    pub fn from_bytes(kind: TokenKind, bytes: [u8; 32]) -> Self {
        let mut text = kind.prefix().to_owned();
        push_base62::<BODY>(&mut text, bytes);
        let check = check_sum(&text);
        push_base62::<CHECK>(&mut text, check);
        Self { kind, text: Secret::new(text) }
    }

    /// Reads a token of one kind. `None` for anything that was not made here: other prefix, length, alphabet
    /// or check sum. Whether the token is *valid* only the store knows.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(kind.prefix())?;
        if digits.len() != BODY + CHECK || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
            return None;
        }
        let (head, check) = text.split_at_checked(text.len() - CHECK)?;
        let mut expected = String::with_capacity(CHECK);
        push_base62::<CHECK>(&mut expected, check_sum(head));
        (check == expected).then(|| Self { kind, text: text.into() })
    }

    /// What kind of token it is.
    #[must_use]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The token in clear.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The form at rest: SHA-256 of the whole text.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.expose().as_bytes())
    }

    /// Prefix and first digits (`wsk_1a2B3c`), to tell keys apart in lists; 220 bits stay unknown.
    #[must_use]
    pub fn display_prefix(&self) -> &str {
        self.expose().get(..self.kind.prefix().len() + SHOWN).unwrap_or_default()
    }
}

/// The secret of an outbound endpoint, `whsec_` + base64 of 32 bytes, as Standard Webhooks writes them
/// (<https://www.standardwebhooks.com>, "Signature scheme").
#[derive(Debug, Clone)]
pub struct SigningSecret(Secret);

impl SigningSecret {
    const PREFIX: &str = "whsec_";

    /// A new random secret.
    ///
    /// # Errors
    /// [`CryptoError`] if the operating system has no randomness to give.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self(Secret::new(format!("{}{}", Self::PREFIX, STANDARD.encode(random_bytes::<32>()?)))))
    }

    /// Reads a secret with its prefix; the standard allows 24 to 64 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = decode_base64(text.strip_prefix(Self::PREFIX)?)?;
        (24..=64).contains(&bytes.len()).then(|| Self(text.into()))
    }

    /// The secret in clear, for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The bytes that key the MAC.
    #[must_use]
    pub fn key_bytes(&self) -> Vec<u8> {
        self.expose().strip_prefix(Self::PREFIX).and_then(decode_base64).unwrap_or_default()
    }
}

/// The first four bytes of the SHA-256 of what precedes the check sum.
fn check_sum(text: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(text.as_bytes());
    [a, b, c, d]
}

/// Appends `bytes`, a big-endian number, as exactly `DIGITS` base62 digits.
fn push_base62<const DIGITS: usize>(text: &mut String, mut bytes: impl AsMut<[u8]>) {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        // Long division by 62, byte by byte; the remainder is the next digit from the right.
        let remainder = bytes.as_mut().iter_mut().fold(0_u16, |carry, byte| {
            let value = carry << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            value % 62
        });
        *digit = ALPHABET.get(usize::from(remainder)).copied().unwrap_or_default();
    }
    text.extend(digits.iter().copied().map(char::from));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [TokenKind; 5] =
        [TokenKind::ApiKey, TokenKind::SiteKey, TokenKind::Refresh, TokenKind::Webhook, TokenKind::OneTime];

    #[test]
    fn base62_has_fixed_width_and_keeps_the_order() {
        let encode = |bytes: [u8; 32]| {
            let mut text = String::new();
            push_base62::<BODY>(&mut text, bytes);
            text
        };
        let mut sixty_two = [0; 32];
        sixty_two[31] = 62;
        assert_eq!(encode([0; 32]), "0".repeat(43));
        assert_eq!(encode(sixty_two), format!("{}10", "0".repeat(41)));
        assert!(encode([255; 32]).len() == 43 && encode([255; 32]) > encode([254; 32]));
    }

    #[test]
    fn a_token_is_read_back_as_its_own_kind_only() {
        for kind in KINDS {
            let token = OpaqueToken::generate(kind).unwrap();
            assert_eq!(token.expose().len(), 53);
            for other in KINDS {
                assert_eq!(OpaqueToken::parse(other, token.expose()).is_some(), other == kind);
            }
            assert_eq!(token.hash(), OpaqueToken::parse(kind, token.expose()).unwrap().hash());
        }
    }

    #[test]
    fn the_display_prefix_shows_six_digits_and_debug_none() {
        let token = OpaqueToken::from_bytes(TokenKind::ApiKey, [7; 32]);
        assert_eq!(token.display_prefix(), &token.expose()[..10]);
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }

    #[test]
    fn signing_secrets_follow_standard_webhooks() {
        let secret = SigningSecret::generate().unwrap();
        assert_eq!(SigningSecret::parse(secret.expose()).unwrap().key_bytes().len(), 32);
        // The example secret of the specification.
        let known = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(known.key_bytes().len(), 24);
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_%%%"] {
            assert!(SigningSecret::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(bytes: [u8; 32], at in 0..53_usize, new in "[ -~]") {
            let token = OpaqueToken::from_bytes(TokenKind::ApiKey, bytes);
            let mut text = token.expose().to_owned();
            text.replace_range(at..=at, &new);
            prop_assert_eq!(OpaqueToken::parse(TokenKind::ApiKey, &text).is_some(), text == token.expose());
        }

        #[test]
        fn arbitrary_text_is_no_token(text in "(wsk_)?\\PC*") {
            prop_assert!(OpaqueToken::parse(TokenKind::ApiKey, &text).is_none());
        }

        #[test]
        fn distinct_bytes_give_distinct_tokens(a: [u8; 32], b: [u8; 32]) {
            let text = |bytes| OpaqueToken::from_bytes(TokenKind::Webhook, bytes).expose().to_owned();
            prop_assert_eq!(a == b, text(a) == text(b));
        }
    }
}
