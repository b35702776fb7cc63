//! Finding addresses in a text and putting their hints in their place.
//!
//! The searches of those who see hints leave such texts out, in the database: `holds_address` there (migration 0025) holds the same
//! patterns.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use super::{mailbox, number};

/// `@`, also as addresses of pages and HTML write it.
const AT: &str = "(?:@|%40|&#64;|&#x40;|&commat;)";
/// `+` likewise.
const PLUS: &str = r"(?:\+|%2B|&#43;|&#x2B;|&plus;)";
/// What stands between the digits of a number. In the query of a page's address a `+` is a space.
const BETWEEN: &str = r"(?:[ \t\u{a0}\u{2009}\u{202f}().\-/\u{2010}-\u{2015}\u{b7}+]|%20|&nbsp;){0,3}";
/// What has as many digits as a number and is none: ids of ours, dates and times, numbers of documents that name the year.
const OTHER: &str = r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?\b|\b\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d\b|\b(?-i:[A-Z]{1,6})-(?:19|20)\d\d-\d{1,8}\b";

/// The domain is the last one of `a@b.com@c.com`.
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    compile(&format!(r"([\w+][\w.!$%'*+^`{{|}}~-]*)(?:(?P<at>{AT})(?P<domain>[\w-]+(?:\.[\w-]+)+))+"))
});
/// A number with its country.
static INTERNATIONAL: LazyLock<Regex> = LazyLock::new(|| compile(&format!(r"{PLUS}(?:{BETWEEN}\d){{7,}}")));
/// Seven or more digits.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| compile(&format!(r"{PLUS}?\d(?:{BETWEEN}\d){{6,}}")));
static NO_NUMBER: LazyLock<Regex> = LazyLock::new(|| compile(OTHER));
static NUMBER_OR_NOT: LazyLock<Regex> =
    LazyLock::new(|| compile(&format!(r"(?P<none>{OTHER})|{PLUS}?\d(?:{BETWEEN}\d){{6,}}")));

#[expect(clippy::expect_used, reason = "the patterns are constants, and the tests compile them")]
fn compile(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("the pattern is one")
}

/// Replaces what is an address wherever it stands: e-mail addresses, and numbers with their country.
#[must_use]
pub fn anywhere(text: &str) -> Cow<'_, str> {
    settle(text, |text| then(mailboxes(text), international))
}

/// Replaces the addresses in a text that somebody wrote. Seven or more digits, with the usual separators between them, are a
/// number in its national form, unless they are a date or the like.
#[must_use]
pub fn prose(text: &str) -> Cow<'_, str> {
    settle(text, |text| then(then(mailboxes(text), numbers), international))
}

/// Replaces the addresses in the address of a page. Digits on the way to a page are its name; what is behind the question mark people
/// may have typed.
#[must_use]
pub fn page(text: &str) -> Cow<'_, str> {
    settle(text, |text| then(anywhere(text), query))
}

/// The same of the address itself.
#[must_use]
pub fn page_address(address: String) -> String {
    with(address, page)
}

fn query(text: &str) -> Cow<'_, str> {
    let behind = text.find(['?', '#']).map(|place| text.split_at(place));
    match behind.map(|(way, query)| (way, prose(query))) {
        Some((way, Cow::Owned(query))) => Cow::Owned(format!("{way}{query}")),
        Some((_, Cow::Borrowed(_))) | None => Cow::Borrowed(text),
    }
}

/// Whether a text that somebody wrote holds an address.
#[must_use]
pub fn holds_address(text: &str) -> bool {
    matches!(prose(text), Cow::Owned(_))
}

/// The digits of a text, besides those of ids and dates.
pub(super) fn count_digits(text: &str) -> usize {
    let rest = NO_NUMBER.replace_all(text, "");
    rest.chars().filter(|character| character.is_numeric()).count()
}

/// Hints are written until none is left to be written: what stood beside an address may be one once it is gone. Each turn leaves fewer
/// digits or fewer mailboxes.
fn settle<'t>(text: &'t str, once: impl Fn(&str) -> Cow<'_, str>) -> Cow<'t, str> {
    let mut masked = match once(text) {
        Cow::Borrowed(_) => return Cow::Borrowed(text),
        Cow::Owned(masked) => masked,
    };
    while let Some(again) = owned(once(&masked)) {
        masked = again;
    }
    Cow::Owned(masked)
}

fn then<'t>(text: Cow<'t, str>, mask: impl Fn(&str) -> Cow<'_, str>) -> Cow<'t, str> {
    match text {
        Cow::Borrowed(text) => mask(text),
        Cow::Owned(text) => Cow::Owned(with(text, mask)),
    }
}

/// The text with its addresses replaced, or itself when it holds none.
pub(super) fn with(text: String, mask: impl Fn(&str) -> Cow<'_, str>) -> String {
    owned(mask(&text)).unwrap_or(text)
}

/// What was written anew, if anything was.
fn owned(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Owned(text) => Some(text),
        Cow::Borrowed(_) => None,
    }
}

fn mailboxes(text: &str) -> Cow<'_, str> {
    EMAIL.replace_all(text, |found: &Captures<'_>| {
        let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
        mailbox(found.get(1).map_or("", |local| local.as_str()), part("at"), part("domain"))
    })
}

fn international(text: &str) -> Cow<'_, str> {
    INTERNATIONAL
        .replace_all(text, |found: &Captures<'_>| number(found.get(0).map_or("", |all| all.as_str())))
}

fn numbers(text: &str) -> Cow<'_, str> {
    let (mut masked, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = NUMBER_OR_NOT.captures_at(text, at) {
        let Some(mut whole) = found.get(0) else { break };
        if found.name("none").is_some() {
            if !goes_on(text, whole.end()) {
                at = whole.end();
                continue;
            }
            match NUMBER.find_at(text, whole.start()) {
                Some(number) => whole = number,
                None => break,
            }
        }
        masked.push_str(text.get(kept..whole.start()).unwrap_or_default());
        masked.push_str(&number(whole.as_str()));
        (kept, at) = (whole.end(), whole.end());
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(masked)
}

/// Whether what looked like a date is the beginning of more digits.
fn goes_on(text: &str, end: usize) -> bool {
    let mut rest = text.get(end..).unwrap_or_default().chars();
    rest.next().is_some_and(|next| matches!(next, '.' | '/' | '-'))
        && rest.next().is_some_and(char::is_numeric)
}
