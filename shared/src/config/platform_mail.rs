//! The account through which the product's own mails leave: links for resets, invitations, proofs, warnings.

use serde_json::{Map, Value};

use super::Reader;
use crate::{
    http::FieldErrors, messages::Channel, private::Private, providers::Account, providers::Provider,
};

const PROVIDER: &str = "PLATFORM_MAIL_PROVIDER";
/// Variables by the names that providers know them by.
const SETTINGS: [(&str, &str); 2] = [("PLATFORM_MAIL_FROM", "from"), ("PLATFORM_MAIL_BASE_URL", "baseUrl")];
const SECRETS: [(&str, &str); 1] = [("PLATFORM_MAIL_API_KEY", "apiKey")];

/// Reads the account, checked like one that a business connects.
pub(super) fn account(read: &mut Reader, allow_private: bool) -> Option<Account> {
    let settings = given(read, &SETTINGS);
    let secrets = given(read, &SECRETS);
    if read.optional(PROVIDER).is_none() {
        if !settings.is_empty() || !secrets.is_empty() {
            read.refuse(PROVIDER, "is not set, and the other PLATFORM_MAIL values are of no use without it");
        }
        return None;
    }
    let provider = read.required(PROVIDER, provider)?;
    let mut errors = FieldErrors::default();
    provider.check_settings(&settings, allow_private, &mut errors);
    provider.check_secrets(&secrets, &mut errors);
    let Err(problem) = errors.into_result() else {
        return Some(Account { provider, settings: settings.into(), secrets: Private::new(secrets.into()) });
    };
    for error in problem.into_body("").errors {
        let variable = SETTINGS.iter().chain(&SECRETS).find(|(_, name)| error.pointer.ends_with(name));
        read.refuse(variable.map_or(PROVIDER, |(variable, _)| variable), &error.detail);
    }
    None
}

fn given(read: &Reader, names: &[(&str, &str)]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|(variable, name)| Some(((*name).to_owned(), read.optional(variable)?.into())))
        .collect()
}

fn provider(word: &str) -> Result<Provider, String> {
    let known = Provider::parse(word);
    known.filter(|one| *one != Provider::Sandbox && one.carries(Channel::Email)).ok_or_else(|| {
        let words: Vec<&str> = Provider::WORDS
            .iter()
            .copied()
            .filter(|word| {
                *word != "sandbox" && Provider::parse(word).is_some_and(|one| one.carries(Channel::Email))
            })
            .collect();
        format!("`{word}` is not {}", words.join(" or "))
    })
}
