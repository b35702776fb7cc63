//! Codes of an authenticator app: TOTP (RFC 6238) with the defaults that every app understands, and recovery codes.
//!
//! SHA-1 is what the apps speak; an HMAC with it is not touched by its collisions. The code is thirty lines over ring, so
//! no crate with a hash library of its own is needed for it.

use chrono::{DateTime, Utc};
use ring::hmac;

use crate::{
    crypto::{CryptoError, constant_time_eq, random_bytes, sha256},
    private::Secret,
};

/// Seconds of one step.
const STEP: i64 = 30;
/// Steps before and after the current one whose code is taken: clocks differ, and people type slowly.
const DRIFT: i64 = 1;
/// Digits of a code.
const DIGITS: usize = 6;
/// Recovery codes that a user gets.
const RECOVERY_CODES: usize = 10;
/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A seed of 160 bits, as long as the hash (RFC 4226, section 4).
///
/// # Errors
/// [`CryptoError`] if the operating system has no randomness to give.
pub fn new_seed() -> Result<[u8; 20], CryptoError> {
    random_bytes()
}

/// The seed as apps take it by hand.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push_digit(&mut text, buffer >> bits);
        }
    }
    if bits > 0 {
        push_digit(&mut text, buffer << (5 - bits));
    }
    text
}

fn push_digit(text: &mut String, value: u32) {
    let place = usize::try_from(value & 31).unwrap_or_default();
    text.extend(BASE32.get(place).map(|digit| char::from(*digit)));
}

/// The address that an app reads from a QR code.
#[must_use]
pub fn url(seed: &[u8], account: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!(
        "otpauth://totp/Wellspring:{}?secret={}&issuer=Wellspring&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        encode(account),
        base32(seed)
    )
}

/// The step whose code this is, if it is one around `now` and later than `last`, the step of the code that was taken
/// before: a code works once.
#[must_use]
pub fn matching_step(seed: &[u8], code: &str, now: DateTime<Utc>, last: Option<i64>) -> Option<i64> {
    let current = now.timestamp().div_euclid(STEP);
    (current - DRIFT..=current + DRIFT)
        .filter(|step| last.is_none_or(|last| *step > last))
        .find(|step| constant_time_eq(self::code(seed, *step).as_bytes(), code.as_bytes()))
}

/// The code of a step (RFC 4226, section 5.3).
fn code(seed: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref().last().copied().unwrap_or_default() & 15);
    let word =
        tag.as_ref().get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

/// Codes that each open the account once, for whoever has lost the app. 80 bits, in groups.
///
/// # Errors
/// [`CryptoError`] if the operating system has no randomness to give.
pub fn new_recovery_codes() -> Result<Vec<Secret>, CryptoError> {
    let one = || {
        let text = base32(&random_bytes::<10>()?).to_lowercase();
        let groups: Vec<&str> = (0..4).filter_map(|place| text.get(place * 4..place * 4 + 4)).collect();
        Ok(Secret::new(groups.join("-")))
    };
    (0..RECOVERY_CODES).map(|_| one()).collect()
}

/// The form at rest of a recovery code, however it was typed. `None` for what cannot be one.
#[must_use]
pub fn recovery_hash(typed: &str) -> Option<[u8; 32]> {
    let plain: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect();
    (plain.len() == 16).then(|| sha256(plain.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits.
        for (seconds, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(code(SEED, seconds / STEP), expected);
            assert_eq!(matching_step(SEED, expected, at(seconds), None), Some(seconds / STEP));
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_around_and_once() {
        let now = at(1_111_111_109);
        assert!(matching_step(SEED, "081804", now + chrono::TimeDelta::seconds(30), None).is_some());
        assert!(matching_step(SEED, "081804", now + chrono::TimeDelta::seconds(61), None).is_none());
        let step = matching_step(SEED, "081804", now, None);
        assert_eq!(matching_step(SEED, "081804", now, step), None);
        assert_eq!(matching_step(SEED, "", now, None), None);
    }

    #[test]
    fn seeds_are_written_as_apps_read_them() {
        // RFC 4648, section 10, without padding.
        for (bytes, text) in [("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert!(
            url(SEED, "ada@example.com")
                .starts_with("otpauth://totp/Wellspring:ada%40example.com?secret=GEZ")
        );
    }

    #[test]
    fn a_recovery_code_is_recognised_however_it_is_typed() {
        let codes = new_recovery_codes().unwrap();
        let code = codes[0].expose();
        assert_eq!((codes.len(), code.len()), (10, 19));
        assert_eq!(recovery_hash(&code.to_uppercase().replace('-', " ")), recovery_hash(code));
        assert!(recovery_hash(code).is_some() && recovery_hash("123456").is_none());
    }
}
