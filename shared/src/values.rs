//! Values that are right once they exist: parsed from text, refused with a word of their own.
//!
//! Each type parses in `Deserialize`, so a request type made of them is valid when it has been read. A refusal has the
//! form `word: explanation`, which the body reader turns into `code` and `detail` at the field's pointer.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::private::Private;

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text by value.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $parse(&text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ComposeSchema for $name {
            fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
                String::compose(generics)
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                String::name()
            }
        }
    };
}

text_value! {
    /// A line: a name, a title, a label. Trimmed, 1 to 200 characters, no control characters.
    Line, line
}
text_value! {
    /// Several lines: a note, a message. Trimmed at the end, 1 to 20,000 characters.
    Prose, prose
}
text_value! {
    /// A plain word that programs compare: a status, a source. Lower-case letters, digits, `_`, `-`, `.`; 1 to 40 characters.
    Word, word
}
text_value! {
    /// A tag: trimmed, lower case, 1 to 60 characters.
    Tag, tag
}
text_value! {
    /// An e-mail address, lower case. The local part is kept as it is otherwise: dots and plus signs matter to some hosts.
    Email, email
}
text_value! {
    /// An IANA time zone.
    Zone, zone
}
text_value! {
    /// An ISO 3166-1 alpha-2 country, upper case.
    Country, country
}
text_value! {
    /// An ISO 4217 currency, upper case.
    Currency, currency
}
text_value! {
    /// A language, as BCP 47 writes it: `de`, `en-GB`, `zh-Hant-TW`.
    Locale, locale
}

fn line(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("blank: Say something, or leave the field out."),
        1..=200 if text.chars().any(char::is_control) => {
            Err("invalid_text: Line breaks and control characters do not belong here.")
        }
        1..=200 => Ok(text.to_owned()),
        _ => Err("too_long: At most 200 characters are taken."),
    }
}

fn prose(text: &str) -> Result<String, &'static str> {
    let text = text.trim_end();
    match text.chars().count() {
        0 => Err("blank: Say something, or leave the field out."),
        1..=20_000 => Ok(text.to_owned()),
        _ => Err("too_long: At most 20,000 characters are taken."),
    }
}

fn word(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if (1..=40).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with(['_', '-', '.']) {
        return Ok(text.to_owned());
    }
    Err("invalid_word: Lower-case letters, digits, `_`, `-` and `.` are taken, 40 at most.")
}

fn tag(text: &str) -> Result<String, &'static str> {
    let tag = line(text)?.to_lowercase();
    if tag.chars().count() > 60 || tag.contains(',') {
        return Err("invalid_tag: A tag has at most 60 characters and no comma.");
    }
    Ok(tag)
}

/// The rules of HTML's e-mail field (WHATWG), with a dot in the host and the lengths of RFC 5321, section 4.5.3.1.
fn email(text: &str) -> Result<String, &'static str> {
    const REFUSED: &str = "invalid_email: An address like name@example.com is expected.";
    let text = text.trim().to_lowercase();
    let (local, host) = text.rsplit_once('@').ok_or(REFUSED)?;
    let local_fits =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte) || byte >= 0x80;
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let good = (1..=64).contains(&local.len())
        && local.bytes().all(local_fits)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && host.len() <= 253
        && host.contains('.')
        && host.split('.').all(label_fits);
    if good { Ok(text) } else { Err(REFUSED) }
}

fn zone(text: &str) -> Result<String, &'static str> {
    match text.parse::<chrono_tz::Tz>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("unknown_zone: An IANA time zone like Europe/Berlin is expected."),
    }
}

fn country(text: &str) -> Result<String, &'static str> {
    if text.len() == 2
        && text.bytes().all(|byte| byte.is_ascii_uppercase())
        && text.parse::<phonenumber::country::Id>().is_ok()
    {
        return Ok(text.to_owned());
    }
    Err("unknown_country: An ISO 3166-1 code like DE is expected.")
}

fn currency(text: &str) -> Result<String, &'static str> {
    match iso_currency::Currency::from_code(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("unknown_currency: An ISO 4217 code like EUR is expected."),
    }
}

/// The form of a language tag (RFC 5646) without its private and extended parts.
fn locale(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let good = (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
        && text.len() <= 35;
    if good { Ok(text.to_owned()) } else { Err("unknown_locale: A language like de or en-GB is expected.") }
}

/// A telephone number as somebody wrote it; [`Phone::parse`] makes it one that can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Reads a number in E.164, or in the national form of `country`.
    ///
    /// # Errors
    /// A refusal of the form `word: explanation`.
    pub fn parse(text: &str, country: &str) -> Result<Self, &'static str> {
        const REFUSED: &str = "invalid_phone: A telephone number like +4915112345678 is expected.";
        let region = country.parse().ok();
        let number = phonenumber::parse(region, text.trim()).map_err(|_| REFUSED)?;
        if !phonenumber::is_valid(&number) {
            return Err(REFUSED);
        }
        Ok(Self(number.format().mode(phonenumber::Mode::E164).to_string()))
    }

    /// Takes a number as a telephone network tells it: in E.164, and real because somebody called or wrote from it, even
    /// where the numbering plans that we know do not have it yet.
    #[must_use]
    pub fn from_network(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        (fits && !digits.starts_with('0')).then(|| Self(text.to_owned()))
    }

    /// The number in E.164.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number in E.164, by value.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Marks an optional value as personal.
pub fn private<T: fmt::Display>(value: Option<&T>) -> Option<Private<String>> {
    value.map(|value| Private::new(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn national_and_international_spellings_of_a_number_are_one() {
        for text in ["0171 2345678", "+49 (171) 2345678", "0049-171-2345678", "01712345678"] {
            assert_eq!(Phone::parse(text, "DE").unwrap().as_str(), "+491712345678", "{text}");
        }
        assert_eq!(Phone::parse("(415) 555-2671", "US").unwrap().as_str(), "+14155552671");
        for text in ["", "12", "+49", "call me", "0171 23456789012345"] {
            assert!(Phone::parse(text, "DE").is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_lower_cased_and_nonsense_is_refused() {
        assert_eq!(
            Email::try_from(" Ada.Lovelace+x@Example.COM ".to_owned()).unwrap().as_str(),
            "ada.lovelace+x@example.com"
        );
        for text in ["", "a", "a@b", "@b.de", "a b@c.de", "a@-b.de", "a@b..de", "a..b@c.de", "a\n@b.de"] {
            assert!(Email::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
