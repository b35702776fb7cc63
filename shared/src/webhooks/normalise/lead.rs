//! Picking a lead out of named answers: by the map of the source first, then by the usual field names.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Consent, Identity, LeadCaptured, NormaliseError, read};

/// More fields than any form has.
const MAX_FIELDS: usize = 500;

/// The places of a lead, and the field names that people give them: lower case, letters and digits only, the most
/// telling first.
const SLOTS: [(Slot, &[&str]); 10] = [
    (Slot::Email, &["email", "emailaddress", "mail", "emailaddr", "contactemail", "emailid", "correo"]),
    (
        Slot::Phone,
        &[
            "phone",
            "phonenumber",
            "telephone",
            "tel",
            "mobile",
            "mobilenumber",
            "mobilephone",
            "cell",
            "cellphone",
            "contactnumber",
            "contactphone",
            "telephonenumber",
            "whatsapp",
            "telefon",
            "handy",
            "telefono",
        ],
    ),
    (
        Slot::FirstName,
        &["firstname", "fname", "givenname", "forename", "vorname", "first", "nombre", "prenom"],
    ),
    (Slot::LastName, &["lastname", "lname", "surname", "familyname", "nachname", "last", "apellido"]),
    (Slot::Name, &["name", "fullname", "contactname", "displayname"]),
    (
        Slot::Message,
        &[
            "message",
            "msg",
            "comment",
            "comments",
            "enquiry",
            "inquiry",
            "question",
            "nachricht",
            "mensaje",
            "notes",
        ],
    ),
    (Slot::Source, &["source", "leadsource"]),
    (
        Slot::Consent,
        &[
            "consent",
            "marketingconsent",
            "consentmarketing",
            "optin",
            "marketingoptin",
            "newsletter",
            "subscribe",
        ],
    ),
    (Slot::CtaId, &["ctaid", "cta"]),
    (Slot::VisitorId, &["visitorid", "visitor"]),
];

/// Longer texts are no names and no messages; they stay among the fields.
const MAX_LINE: usize = 200;
const MAX_MESSAGE: usize = 20_000;

const CLICK_IDS: [&str; 5] = ["gclid", "fbclid", "msclkid", "ttclid", "liclid"];

/// Fields that machines add and nobody reads.
const MACHINERY: [&str; 7] = [
    "grecaptcharesponse",
    "hcaptcharesponse",
    "cfturnstileresponse",
    "csrftoken",
    "csrfmiddlewaretoken",
    "wpnonce",
    "authenticitytoken",
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Email,
    Phone,
    FirstName,
    LastName,
    Name,
    Message,
    Source,
    Consent,
    CtaId,
    VisitorId,
}

/// How the fields of a lead are found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By the map, then by the usual names.
    Usual,
    /// By the map alone.
    MappedOnly,
}

/// The map of a source, if it has one that maps anything.
pub(super) fn map(settings: &Value) -> Option<&Map<String, Value>> {
    settings.get("map").and_then(Value::as_object).filter(|map| !map.is_empty())
}

/// Makes a lead of named answers. What has no place of its own stays in `fields`.
///
/// # Errors
/// `no_identity` if there is neither an e-mail address nor a phone number, `too_many_fields` beyond reason.
pub(super) fn pick(
    answers: Map<String, Value>,
    settings: &Value,
    names: Names,
    source: &str,
) -> Result<LeadCaptured, NormaliseError> {
    if answers.len() > MAX_FIELDS {
        return Err(NormaliseError::new("too_many_fields", format!("more than {MAX_FIELDS} fields")));
    }
    let mut picking = Picking { rest: answers, ..Picking::default() };
    picking.take_mapped(settings);
    match names {
        Names::Usual => picking.take_usual(),
        // What the map does not name is not about the person.
        Names::MappedOnly => picking.rest.clear(),
    }
    let lead = picking.finish(read::text(settings, "/source").unwrap_or_else(|| source.to_owned()));
    if lead.identity == Identity::default() {
        return Err(NormaliseError::new("no_identity", "neither an e-mail address nor a phone number"));
    }
    Ok(lead)
}

#[derive(Default)]
struct Picking {
    rest: Map<String, Value>,
    mapped: Map<String, Value>,
    slots: BTreeMap<Slot, (String, Value)>,
    utm: BTreeMap<String, String>,
}

impl Picking {
    fn take_mapped(&mut self, settings: &Value) {
        let mut used = Vec::new();
        for (path, target) in map(settings).into_iter().flatten() {
            let (Some(target), Some(value)) = (target.as_str(), lookup(&self.rest, path).cloned()) else {
                continue;
            };
            used.push(path.clone());
            match slot(&plain(target)) {
                Some(slot) if fits(slot, &value) => {
                    self.slots.entry(slot).or_insert((path.clone(), value));
                }
                Some(_) => {
                    self.mapped.insert(path.clone(), value);
                }
                None => {
                    let name = target.strip_prefix("customFields.").unwrap_or(target);
                    self.mapped.insert(name.to_owned(), value);
                }
            }
        }
        for path in used {
            self.rest.remove(&path);
        }
    }

    fn take_usual(&mut self) {
        self.take_utm();
        let known: Vec<(String, String)> = self.rest.keys().map(|key| (plain(key), key.clone())).collect();
        for (slot, aliases) in SLOTS {
            for alias in aliases {
                for (_, key) in known.iter().filter(|(plain, _)| plain == alias) {
                    self.take_into(slot, key);
                }
            }
        }
        self.rest.retain(|key, _| !MACHINERY.contains(&plain(key).as_str()));
    }

    /// Moves a field into a slot that is still free and that it fits.
    fn take_into(&mut self, slot: Slot, key: &str) {
        let fits = self.rest.get(key).is_some_and(|value| fits(slot, value));
        if fits
            && !self.slots.contains_key(&slot)
            && let Some(value) = self.rest.remove(key)
        {
            self.slots.insert(slot, (key.to_owned(), value));
        }
    }

    fn take_utm(&mut self) {
        if let Some(Value::Object(nested)) = self.rest.get("utm") {
            self.utm.extend(nested.iter().filter_map(|(key, value)| Some((key.clone(), scalar(value)?))));
        }
        self.rest.retain(|key, value| {
            let lower = key.to_ascii_lowercase();
            let name = lower.strip_prefix("utm_").filter(|name| !name.is_empty());
            match name.or_else(|| CLICK_IDS.contains(&lower.as_str()).then_some(&*lower)) {
                Some(name) => {
                    self.utm.extend(scalar(value).map(|value| (name.to_owned(), value)));
                    false
                }
                None => key != "utm" || !value.is_object(),
            }
        });
    }

    fn finish(mut self, source: String) -> LeadCaptured {
        let consent = self
            .slots
            .remove(&Slot::Consent)
            .and_then(|(name, value)| Some(Consent { granted: agreed(&value)?, text: Some(name) }));
        let mut text = |slot| self.slots.remove(&slot).and_then(|(_, value)| scalar(&value));
        let line = |text: Option<String>| text.map(|text| one_line(&text)).filter(|text| !text.is_empty());
        let identity = read::identity(text(Slot::Email), text(Slot::Phone));
        let mut lead = LeadCaptured {
            identity,
            first_name: line(text(Slot::FirstName)),
            last_name: line(text(Slot::LastName)),
            name: line(text(Slot::Name)),
            message: text(Slot::Message),
            source: line(text(Slot::Source)).unwrap_or(source),
            cta_id: line(text(Slot::CtaId)),
            visitor_id: line(text(Slot::VisitorId)),
            consent,
            utm: self.utm,
            fields: self.rest,
        };
        lead.fields.extend(self.mapped);
        lead.fields.retain(|_, value| !matches!(value, Value::Null) && value.as_str() != Some(""));
        lead
    }
}

/// Whether a value can stand in a slot; one that cannot stays among the fields, as it was written.
fn fits(slot: Slot, value: &Value) -> bool {
    if slot == Slot::Consent {
        return agreed(value).is_some();
    }
    let Some(text) = scalar(value) else { return false };
    match slot {
        Slot::Email => read::email(&text).is_some(),
        Slot::Phone => read::phone(&text).is_some(),
        Slot::Message => text.len() <= MAX_MESSAGE,
        _ => text.len() <= MAX_LINE,
    }
}

fn slot(plain_name: &str) -> Option<Slot> {
    SLOTS.into_iter().find(|(_, aliases)| aliases.contains(&plain_name)).map(|(slot, _)| slot)
}

/// `Your-Email*` and `form_fields[email]` are both `email`.
fn plain(key: &str) -> String {
    let inner =
        key.rsplit_once('[').map(|(_, inner)| inner.trim_end_matches(']')).filter(|inner| !inner.is_empty());
    let name: String = inner.unwrap_or(key).chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("your").filter(|rest| !rest.is_empty()) {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

/// A value by its key, by JSON pointer, or by a dotted path.
fn lookup<'v>(answers: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = answers.get(path) {
        return Some(value);
    }
    if let Some(pointer) = path.strip_prefix('/') {
        let (first, rest) =
            pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
        let value = answers.get(&first.replace("~1", "/").replace("~0", "~"))?;
        return rest.map_or(Some(value), |rest| value.pointer(&format!("/{rest}")));
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(answers.get(first)?, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

/// The text of a value. Of a list only if it says one thing: which of two e-mail addresses counts is not ours to guess.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => match items.as_slice() {
            [first, rest @ ..] if !first.is_array() && rest.iter().all(|item| item == first) => scalar(first),
            _ => None,
        },
        Value::Null | Value::Object(_) => None,
    }
}

/// Yes or no, when it is one of them. A word we do not know is no answer. Of a list the last counts, because forms put a
/// hidden "no" before a check box.
fn agreed(value: &Value) -> Option<bool> {
    let value = match value {
        Value::Array(items) => items.last().filter(|item| !item.is_array())?,
        value => value,
    };
    match scalar(value)?.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" | "1" | "checked" | "agree" | "agreed" | "accept" | "accepted" => {
            Some(true)
        }
        "false" | "off" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Names go into subjects and headers: no line breaks, no runs of spaces.
fn one_line(text: &str) -> String {
    text.split(|char: char| char.is_whitespace() || char.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
