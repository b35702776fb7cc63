//! What may be chosen as a password (ASVS 6.2, NIST SP 800-63B 5.1.1.2): length, and nothing that everyone
//! guesses.
//!
//! There are no composition rules. `common.txt` holds 3,000 passwords of eight characters or more: the usual
//! patterns of companies (`welcome123`, `summer2026`) and the most frequent of the public breach lists, as
//! ranked by zxcvbn's frequency list (MIT, © 2012-2016 Dan Wheeler and Dropbox, Inc., © 2016 Daniel Wolf). It
//! is searched line by line: 25 kB take microseconds, a set would be built on each cold start.

use crate::private::Secret;

/// Least number of characters.
pub const MIN_CHARS: usize = 8;
/// Greatest number of characters; nothing is cut.
pub const MAX_CHARS: usize = 256;

const COMMON: &str = include_str!("common.txt");

/// Why a password was not accepted when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Fewer than [`MIN_CHARS`] characters.
    #[error("the password has fewer than 8 characters")]
    TooShort,
    /// More than [`MAX_CHARS`] characters.
    #[error("the password has more than 256 characters")]
    TooLong,
    /// One of the passwords that are tried first, or one character repeated.
    #[error("the password is among the most common ones")]
    Common,
    /// The account's own e-mail address or name.
    #[error("the password is the account's own name or address")]
    Personal,
}

/// Checks a password that is being chosen. `own` are words that the account is known by: e-mail address,
/// name, business name; of an address the part before the `@` counts too. Letter case is not regarded.
///
/// # Errors
/// The first rule that is broken.
pub fn check_policy(password: &Secret, own: &[&str]) -> Result<(), PolicyError> {
    let password = password.expose();
    let count = password.chars().count();
    if count < MIN_CHARS {
        return Err(PolicyError::TooShort);
    }
    if count > MAX_CHARS {
        return Err(PolicyError::TooLong);
    }
    let lower = password.to_lowercase();
    if is_one_character(&lower) || COMMON.lines().any(|line| line == lower) {
        return Err(PolicyError::Common);
    }
    let is_own = |word: &&str| {
        let word = word.trim().to_lowercase();
        word == lower || word.split_once('@').is_some_and(|(local, _)| local == lower)
    };
    if own.iter().any(is_own) { Err(PolicyError::Personal) } else { Ok(()) }
}

fn is_one_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| chars.all(|next| next == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), PolicyError> {
        check_policy(&password.into(), &["ada.lovelace@example.com", "Analytical Engines"])
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(check("ünïcödé"), Err(PolicyError::TooShort));
        assert_eq!(check("ünïcödés"), Ok(()));
        assert_eq!(check(&"ab".repeat(128)), Ok(()));
        assert_eq!(check(&"日本".repeat(128)), Ok(()));
        assert_eq!(check(&format!("{}c", "ab".repeat(128))), Err(PolicyError::TooLong));
    }

    #[test]
    fn no_composition_is_asked_for() {
        assert_eq!(check("correct horse battery"), Ok(()));
        assert_eq!(check("        x"), Ok(()));
    }

    #[test]
    fn common_and_own_words_are_refused_in_any_case() {
        for common in ["password", "Password123", "12345678", "QWERTYUIOP", "Summer2026", "zzzzzzzzz"] {
            assert_eq!(check(common), Err(PolicyError::Common), "{common}");
        }
        for own in ["Ada.Lovelace@example.com", "ada.lovelace", "analytical engines"] {
            assert_eq!(check(own), Err(PolicyError::Personal), "{own}");
        }
    }

    #[test]
    fn the_list_holds_only_what_can_match() {
        assert_eq!(COMMON.lines().count(), 3000);
        assert!(COMMON.lines().is_sorted(), "keep the list sorted, so that changes can be read");
        for line in COMMON.lines() {
            assert!(
                line.chars().count() >= MIN_CHARS && line == line.to_lowercase(),
                "{line} can never match"
            );
        }
    }
}
