//! Hints of addresses, for those who may look but not write to people.

use crate::private::Private;

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
