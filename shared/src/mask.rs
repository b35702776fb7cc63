//! Hints of addresses, for those who may look but not write to people.
//!
//! Whoever sees hints must not find people by the rest either: a search that answers yes or no, letter by letter, tells the
//! whole address. Their searches go through names, and through texts that hold no address.
//!
//! Addresses stand in texts as well, because people type them there. What can be told from everything else (an e-mail address, a
//! number with its country) is replaced in every answer on its way out ([`body()`]), so that no handler can forget it. A number in its
//! national form is digits like others; it is replaced where people write: in texts ([`Masked`]) and in the answers of forms.

mod body;
mod text;
mod values;

use serde_json::Value;

pub use self::{
    body::body,
    text::{anywhere, holds_address, page, page_address, prose},
    values::{answers, pages},
};
use crate::{http::Page, private::Private};

/// What a search looks through, and what a comparison sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchFields {
    /// Names, e-mail addresses, telephone numbers; texts.
    #[default]
    All,
    /// Names and texts, as far as they hold no address.
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

/// What is shown to whoever sees hints: the same with hints of addresses only.
pub trait Masked {
    /// The same with hints of the addresses only.
    #[must_use]
    fn masked(self) -> Self;
}

impl<T: Masked> Masked for Page<T> {
    fn masked(self) -> Self {
        self.map(T::masked)
    }
}

impl<T: Masked> Masked for Option<T> {
    fn masked(self) -> Self {
        self.map(T::masked)
    }
}

impl<T: Masked> Masked for Private<T> {
    fn masked(self) -> Self {
        self.map(T::masked)
    }
}

/// A text that somebody wrote.
impl Masked for String {
    fn masked(self) -> Self {
        text::with(self, prose)
    }
}

/// What holds such texts.
impl Masked for Value {
    fn masked(self) -> Self {
        values::within(self)
    }
}

/// What stands for the part that is not shown.
pub(crate) const DOTS: &str = "•••••";

/// An e-mail address as its first letter and its domain, a number as its first three and last two characters. What is too
/// short for that is not shown at all.
#[must_use]
pub fn address(full: Private<String>) -> Private<String> {
    full.map(|text| match text.split_once('@') {
        Some((local, domain)) => mailbox(local, "@", domain),
        None => number(&text),
    })
}

fn mailbox(local: &str, at: &str, domain: &str) -> String {
    let first: String = local.chars().take(1).collect();
    format!("{first}{DOTS}{at}{domain}")
}

fn number(text: &str) -> String {
    match (text.get(..3), text.len().checked_sub(2).and_then(|end| text.get(end..))) {
        (Some(head), Some(tail)) if text.len() >= 9 => format!("{head}{DOTS}{tail}"),
        _ => DOTS.to_owned(),
    }
}

#[cfg(test)]
mod tests;
