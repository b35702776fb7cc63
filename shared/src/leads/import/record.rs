//! A row as values: each cell read by the rules of the API, or refused with its column, its value and a word.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::layout::{Field, entry};
use crate::{
    db::{DbResult, TenantTx},
    jobs::RowError,
    leads::{
        ConsentState, Definitions, NewConsent,
        consents::MOST_AT_ONCE,
        custom_fields::{loose, typed, words},
    },
    values::{Currency, Email, Line, Locale, Phone, Tag, Word, Zone},
};

/// What a person in a row is said to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) line: i64,
    pub(super) id: Option<Uuid>,
    /// (kind, normalised value), the strongest first once the row is complete.
    pub(super) identities: Vec<(&'static str, String)>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) name: Option<String>,
    pub(super) source: Option<String>,
    pub(super) status: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) owner: Option<Uuid>,
    pub(super) stage: Option<Uuid>,
    pub(super) won_reason: Option<String>,
    pub(super) lost_reason: Option<String>,
    pub(super) value: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) locale: Option<String>,
    pub(super) first_touch: Option<Value>,
    pub(super) last_touch: Option<Value>,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) last_activity_at: Option<DateTime<Utc>>,
    pub(super) consents: Vec<NewConsent>,
    pub(super) custom: Map<String, Value>,
}

/// What reading needs to know of the business.
pub(super) struct Business {
    pub(super) definitions: Definitions,
    pub(super) country: String,
    pub(super) currency: String,
    zone: Tz,
    now: DateTime<Utc>,
    users: HashSet<Uuid>,
    disabled: HashSet<Uuid>,
    addresses: HashMap<String, Uuid>,
    stages: HashSet<Uuid>,
    stage_names: HashMap<String, Option<Uuid>>,
}

/// Why a cell is refused: a word and a sentence.
type Refusal = (&'static str, &'static str);

impl Business {
    /// Reads what a portion needs: few rows, once for many.
    pub(super) async fn load(tx: &mut TenantTx, now: DateTime<Utc>) -> DbResult<Self> {
        let users = sqlx::query!(
            "select id, lower(email) as \"email!\", status = 'disabled' as \"disabled!\" from users where tenant_id = $1",
            tx.tenant()
        )
        .fetch_all(tx.conn())
        .await?;
        let stages = sqlx::query!(
            "select id, lower(name) as \"name!\" from pipeline_stages where tenant_id = $1",
            tx.tenant()
        )
        .fetch_all(tx.conn())
        .await?;
        let mut stage_names = HashMap::new();
        for stage in &stages {
            // A name that two stages have names none.
            let known = stage_names.insert(stage.name.clone(), Some(stage.id)).is_some();
            if known {
                stage_names.insert(stage.name.clone(), None);
            }
        }
        Ok(Self {
            definitions: Definitions::load(tx).await?,
            country: tx.settings().country.clone(),
            currency: tx.settings().currency.clone(),
            zone: tx.zone(),
            now,
            users: users.iter().map(|user| user.id).collect(),
            disabled: users.iter().filter(|user| user.disabled).map(|user| user.id).collect(),
            addresses: users.into_iter().map(|user| (user.email, user.id)).collect(),
            stages: stages.iter().map(|stage| stage.id).collect(),
            stage_names,
        })
    }

    /// Reads a cell into a record. An empty one says nothing.
    pub(super) fn read(
        &self,
        record: &mut Record,
        column: &str,
        field: &Field,
        value: &Value,
        errors: &mut Vec<RowError>,
    ) {
        let shown = match value {
            Value::Null => return,
            Value::String(text) if text.trim().is_empty() => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if shown.contains('\0') {
            let error =
                RowError::of_row(Some(record.line), "invalid_text", "Text may not hold the NUL character.");
            errors.push(error.in_column(column).with_value(&shown));
            return;
        }
        if let Err((code, detail)) = self.take(record, field, value, shown.trim()) {
            errors
                .push(RowError::of_row(Some(record.line), code, detail).in_column(column).with_value(&shown));
        }
    }

    fn take(&self, record: &mut Record, field: &Field, value: &Value, text: &str) -> Result<(), Refusal> {
        match field {
            // An id of another business, or of another program, names nobody here and is no reason to refuse the person.
            Field::Id => record.id = text.parse().ok(),
            Field::FirstName => record.first_name = Some(parsed::<Line>(text)?.into_string()),
            Field::LastName => record.last_name = Some(parsed::<Line>(text)?.into_string()),
            Field::Name => record.name = Some(parsed::<Line>(text)?.into_string()),
            // In front: the first of its kind is the one that a new lead shows.
            Field::Email => record.identities.insert(0, ("email", parsed::<Email>(text)?.into_string())),
            Field::Phone => record.identities.insert(0, ("phone", self.phone(text)?)),
            Field::OtherEmails => {
                for text in list(value, text)? {
                    record.identities.push(("email", parsed::<Email>(&text)?.into_string()));
                }
            }
            Field::OtherPhones => {
                for text in list(value, text)? {
                    record.identities.push(("phone", self.phone(&text)?));
                }
            }
            Field::ExternalIds => {
                for text in list(value, text)? {
                    record.identities.push(("external", external(&text)?));
                }
            }
            Field::Source => record.source = Some(parsed::<Word>(&text.to_lowercase())?.into_string()),
            Field::Status => record.status = Some(status(&text.to_lowercase())?),
            Field::Tags => {
                for text in list(value, text)? {
                    record.tags.push(parsed::<Tag>(&text)?.into_string());
                }
            }
            Field::Owner => record.owner = Some(self.owner(text)?),
            Field::Stage => record.stage = Some(self.stage(text)?),
            Field::WonReason => record.won_reason = Some(parsed::<Line>(text)?.into_string()),
            Field::LostReason => record.lost_reason = Some(parsed::<Line>(text)?.into_string()),
            Field::Value => record.value = Some(amount(text)?),
            Field::Currency => {
                record.currency = Some(parsed::<Currency>(&text.to_uppercase())?.into_string());
            }
            Field::Timezone => record.timezone = Some(parsed::<Zone>(text)?.into_string()),
            Field::Locale => record.locale = Some(parsed::<Locale>(text)?.into_string()),
            Field::FirstTouch => record.first_touch = Some(object(value, text)?),
            Field::LastTouch => record.last_touch = Some(object(value, text)?),
            Field::CreatedAt => record.created_at = Some(self.past(text)?),
            Field::LastActivityAt => record.last_activity_at = Some(self.past(text)?),
            Field::Consents => record.consents.extend(consents(value, text)?),
            Field::Consent(channel, purpose) => record.consents.push(entry(*channel, *purpose, said(text)?)),
            Field::Custom(key) => {
                let value = self.custom(key, value)?;
                record.custom.insert(key.clone(), value);
            }
            Field::CustomFields => {
                for (key, value) in object(value, text)?.as_object().cloned().unwrap_or_default() {
                    if !value.is_null() {
                        let value = self.definitions.read_one(&key, value, &self.country)?;
                        record.custom.insert(key, value);
                    }
                }
            }
            Field::System | Field::Ignored => {}
        }
        Ok(())
    }

    fn phone(&self, text: &str) -> Result<String, Refusal> {
        Phone::parse(text, &self.country).map(Phone::into_string).map_err(refusal)
    }

    /// Whether a colleague keeps what they have and is given nothing new.
    pub(super) fn is_disabled(&self, user: Uuid) -> bool {
        self.disabled.contains(&user)
    }

    /// A colleague's id or e-mail address.
    fn owner(&self, text: &str) -> Result<Uuid, Refusal> {
        let by_id = text.parse().ok().filter(|id| self.users.contains(id));
        let by_address = || self.addresses.get(&text.to_lowercase()).copied();
        by_id.or_else(by_address).ok_or(("unknown_user", "There is no such colleague."))
    }

    /// A stage's id, or its name where no other stage has the same.
    fn stage(&self, text: &str) -> Result<Uuid, Refusal> {
        if let Some(id) = text.parse().ok().filter(|id| self.stages.contains(id)) {
            return Ok(id);
        }
        match self.stage_names.get(&text.to_lowercase()) {
            Some(Some(id)) => Ok(*id),
            Some(None) => Err(("ambiguous", "Several stages have this name; give the id.")),
            None => Err(("unknown_stage", "There is no such stage.")),
        }
    }

    fn past(&self, text: &str) -> Result<DateTime<Utc>, Refusal> {
        const REFUSED: Refusal =
            ("invalid_time", "RFC 3339 (2026-03-01T09:00:00Z) or a date (2026-03-01) is expected.");
        let instant = match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.with_timezone(&Utc),
            Err(_) => {
                let day = text.parse::<NaiveDate>().map_err(|_| REFUSED)?;
                crate::time::start_of_day(day, self.zone).ok_or(REFUSED)?
            }
        };
        if instant > self.now || instant < DateTime::UNIX_EPOCH {
            return Err(("out_of_range", "A time between 1970 and now is expected."));
        }
        Ok(instant)
    }

    /// A cell of a table is a text that its field gives a meaning; a member of JSON has one.
    fn custom(&self, key: &str, value: &Value) -> Result<Value, Refusal> {
        let read = match (value, self.definitions.get(key)) {
            (Value::String(text), Some(field)) => typed(field, text)?,
            (Value::String(text), None) => loose(text),
            (other, _) => other.clone(),
        };
        self.definitions.read_one(key, read, &self.country)
    }
}

fn refusal(text: &'static str) -> Refusal {
    text.split_once(": ").unwrap_or(("invalid_value", text))
}

fn parsed<T: TryFrom<String, Error = &'static str>>(text: &str) -> Result<T, Refusal> {
    T::try_from(text.to_owned()).map_err(refusal)
}

/// The items of a list: of JSON's, or of a cell.
fn list(value: &Value, text: &str) -> Result<Vec<String>, Refusal> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str().map(str::to_owned).ok_or(("wrong_type", "A list of texts is expected."))
            })
            .collect(),
        Value::String(_) | Value::Number(_) => Ok(words(text)),
        _ => Err(("wrong_type", "A list of texts is expected.")),
    }
}

fn external(text: &str) -> Result<String, Refusal> {
    let value = parsed::<Line>(text)?.into_string();
    let named = value.split_once(':').is_some_and(|(system, id)| !system.is_empty() && !id.is_empty());
    if named && !value.starts_with("bin:") {
        Ok(value)
    } else {
        Err(("invalid_external_id", "Write it as system:id."))
    }
}

fn status(text: &str) -> Result<String, Refusal> {
    let word = parsed::<Word>(text)?.into_string();
    let fits = word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['.', '-']);
    if fits {
        Ok(word)
    } else {
        Err(("invalid_word", "A status begins with a letter; letters, digits and `_` follow."))
    }
}

fn amount(text: &str) -> Result<i64, Refusal> {
    match text.parse::<i64>() {
        Ok(value) if (0..=1_000_000_000_000).contains(&value) => Ok(value),
        _ => Err(("out_of_range", "Minor units, from 0 to 1,000,000,000,000.")),
    }
}

fn object(value: &Value, text: &str) -> Result<Value, Refusal> {
    const REFUSED: Refusal = ("wrong_type", "A JSON object is expected.");
    let read = match value {
        Value::String(_) => crate::json::parse_strict(text.as_bytes()).map_err(|_| REFUSED)?,
        other => other.clone(),
    };
    if read.is_object() { Ok(read) } else { Err(REFUSED) }
}

fn consents(value: &Value, text: &str) -> Result<Vec<NewConsent>, Refusal> {
    const REFUSED: Refusal = (
        "wrong_type",
        "A list of consents like [{\"channel\":\"email\",\"purpose\":\"marketing\",\"state\":\"granted\"}] is expected.",
    );
    let read = match value {
        Value::String(_) => crate::json::parse_strict(text.as_bytes()).map_err(|_| REFUSED)?,
        other => other.clone(),
    };
    let given = Vec::<NewConsent>::deserialize(crate::json::Shape::of(read)).map_err(|_| REFUSED)?;
    if given.len() > MOST_AT_ONCE {
        return Err(("too_many_values", "At most 20 consents are taken at once."));
    }
    if let Some((_, code, detail)) = given.iter().find_map(|consent| consent.faults().next()) {
        return Err((code, detail));
    }
    Ok(given
        .into_iter()
        .map(|consent| match consent.source {
            Some(_) => consent,
            None => NewConsent { source: entry(None, consent.purpose, consent.state).source, ..consent },
        })
        .collect())
}

fn said(text: &str) -> Result<ConsentState, Refusal> {
    match text.to_lowercase().as_str() {
        "granted" | "yes" | "true" | "1" | "ja" => Ok(ConsentState::Granted),
        "denied" | "no" | "false" | "0" | "nein" => Ok(ConsentState::Denied),
        "revoked" => Ok(ConsentState::Revoked),
        _ => Err(("unknown_value", "granted, denied or revoked is expected.")),
    }
}
