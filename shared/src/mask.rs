//! Hints of addresses, for those who may look but not write to people.
//!
//! Whoever sees hints must not find people by the rest either: a search that answers yes or no, letter by letter, tells the
//! whole address. Their searches go through names.

use crate::private::Private;

/// What a search looks through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchFields {
    /// Names, e-mail addresses, telephone numbers.
    #[default]
    All,
    /// Names.
    Names,
}

impl SearchFields {
    /// The word of the search functions.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Names => "names",
        }
    }
}

/// What stands for the part that is not shown.
const DOTS: &str = "•••••";

/// An e-mail address as its first letter and its domain, a number as its first three and last two characters. What is too
/// short for that is not shown at all.
#[must_use]
pub fn address(full: Private<String>) -> Private<String> {
    full.map(|text| match text.split_once('@') {
        Some((local, domain)) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}{DOTS}@{domain}")
        }
        None => number(&text),
    })
}

fn number(text: &str) -> String {
    match (text.get(..3), text.len().checked_sub(2).and_then(|end| text.get(end..))) {
        (Some(head), Some(tail)) if text.len() >= 9 => format!("{head}{DOTS}{tail}"),
        _ => DOTS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_recognises_and_does_not_reach_anybody() {
        for (full, hint) in [
            ("ada@example.com", "a•••••@example.com"),
            ("+491712345612", "+49•••••12"),
            ("12345", "•••••"),
            ("", "•••••"),
        ] {
            assert_eq!(address(Private::new(full.to_owned())).expose(), hint);
        }
    }
}
