//! The shapes of a lead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::NewConsent;
use crate::{
    http::{Check, FieldErrors, Problem},
    private::Private,
    values::{Currency, Email, Line, Phone, Tag, Word},
};

/// The most tags that a lead may have.
pub const MAX_TAGS: usize = 50;

/// The most that a deal may be worth, minor units: a pipeline of them can still be summed.
const MAX_VALUE: i64 = 1_000_000_000_000;

/// A person that a business knows or wants to know.
#[derive(Clone, Debug, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lead {
    /// The lead.
    pub id: Uuid,
    /// `new`, `contacted`, `qualified`, `customer`, `lost`, or a word of the business's own.
    pub status: String,
    /// Where the person came from.
    pub source: Option<String>,
    /// Given name.
    pub first_name: Option<Private<String>>,
    /// Family name.
    pub last_name: Option<Private<String>>,
    /// Both names.
    pub name: Option<Private<String>>,
    /// Primary e-mail address, lower case.
    pub email: Option<Private<String>>,
    /// Primary telephone number in E.164.
    pub phone: Option<Private<String>>,
    /// The colleague in charge.
    pub owner_id: Option<Uuid>,
    /// Stage of the pipeline.
    pub stage_id: Option<Uuid>,
    /// Since when it stands there.
    pub stage_entered_at: Option<DateTime<Utc>>,
    /// Why the deal was won.
    pub won_reason: Option<String>,
    /// Why the person was lost.
    pub lost_reason: Option<String>,
    /// What the deal may be worth, minor units.
    pub value: Option<i64>,
    /// What the value is in.
    pub currency: Option<String>,
    /// Tags, lower case.
    pub tags: Vec<String>,
    /// The business's own fields.
    #[schema(value_type = Object)]
    pub custom_fields: Value,
    /// How promising the lead is.
    pub score: i32,
    /// The person's own IANA zone.
    pub timezone: Option<String>,
    /// The person's own language.
    pub locale: Option<String>,
    /// Campaign data of the first visit.
    #[schema(value_type = Option<Object>)]
    pub first_touch: Option<Value>,
    /// Campaign data of the latest visit.
    #[schema(value_type = Option<Object>)]
    pub last_touch: Option<Value>,
    /// When the lead came into being.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When something last happened with the person.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// When it was moved to the bin.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The lead that it was merged into.
    pub merged_into_id: Option<Uuid>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// A lead that is about to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewLead {
    /// Given name.
    pub first_name: Option<Line>,
    /// Family name.
    pub last_name: Option<Line>,
    /// E-mail address.
    pub email: Option<Email>,
    /// Telephone number, international or in the national form of the business's country.
    pub phone: Option<Private<String>>,
    /// Where the person came from.
    pub source: Option<Word>,
    /// Status; `new` when left out.
    pub status: Option<Word>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// The colleague in charge.
    pub owner_id: Option<Uuid>,
    /// What the deal may be worth, minor units.
    pub value: Option<i64>,
    /// What the value is in; the business's own currency when left out.
    pub currency: Option<Currency>,
    /// The business's own fields.
    #[schema(value_type = Object)]
    pub custom_fields: Map<String, Value>,
    /// Campaign data of the first visit.
    #[schema(value_type = Option<Object>)]
    pub first_touch: Option<Map<String, Value>>,
    /// What the person allowed or refused.
    pub consents: Vec<NewConsent>,
}

impl Check for NewLead {
    fn check(&self, errors: &mut FieldErrors) {
        if self.email.is_none()
            && self.phone.is_none()
            && self.first_name.is_none()
            && self.last_name.is_none()
        {
            errors.add("", "required", "Give at least a name, an e-mail address or a telephone number.");
        }
        check_tags(&self.tags, errors);
        check_status(self.status.as_ref(), errors);
        check_value(self.value, errors);
        if self.currency.is_some() && self.value.is_none() {
            errors.add("/value", "required", "A currency needs a value.");
        }
        if self.consents.len() > super::consents::MOST_AT_ONCE {
            errors.add("/consents", "too_many_values", "At most 20 consents are taken at once.");
        }
        for (index, consent) in self.consents.iter().enumerate() {
            consent.check_at(&format!("/consents/{index}"), errors);
        }
    }
}

pub(super) fn check_tags(tags: &[Tag], errors: &mut FieldErrors) {
    if tags.len() > MAX_TAGS {
        errors.add("/tags", "too_many_values", format!("A lead has at most {MAX_TAGS} tags."));
    }
}

/// Statuses are words without dots and hyphens, so that they can stand in URLs and conditions.
pub(super) fn check_status(status: Option<&Word>, errors: &mut FieldErrors) {
    let fits = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(['.', '-']);
    if status.is_some_and(|status| !fits(status.as_str())) {
        errors.add(
            "/status",
            "invalid_word",
            "A status begins with a letter; letters, digits and `_` follow.",
        );
    }
}

/// A value is no debt, and small enough that every program can hold it exactly.
pub(super) fn check_value(value: Option<i64>, errors: &mut FieldErrors) {
    if value.is_some_and(|value| !(0..=MAX_VALUE).contains(&value)) {
        errors.add("/value", "out_of_range", "Minor units, from 0 to 1,000,000,000,000.");
    }
}

/// Tags as they are stored: each once, in order.
pub(super) fn tag_words(tags: Vec<Tag>) -> Vec<String> {
    let mut words: Vec<String> = tags.into_iter().map(Tag::into_string).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// What a person can be recognised by, normalised.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// Lower-cased e-mail address.
    pub email: Option<Email>,
    /// Number in E.164.
    pub phone: Option<Phone>,
}

impl Identities {
    /// Normalises what was given, with the tenant's country for national numbers.
    ///
    /// # Errors
    /// 422 at `/phone`.
    pub fn normalise(
        email: Option<&Email>,
        phone: Option<&Private<String>>,
        country: &str,
    ) -> Result<Self, Problem> {
        let phone = phone.map(|phone| read_phone(phone, "/phone", country)).transpose()?;
        Ok(Self { email: email.cloned(), phone })
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.email.is_none() && self.phone.is_none()
    }

    /// (kind, normalised value) of each.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let email = self.email.as_ref().map(|email| ("email", email.as_str().to_owned()));
        let phone = self.phone.as_ref().map(|phone| ("phone", phone.as_str().to_owned()));
        email.into_iter().chain(phone).collect()
    }
}

/// Brings a number to E.164, with the tenant's country for the national form.
///
/// # Errors
/// 422 at `pointer`.
pub(super) fn read_phone(phone: &Private<String>, pointer: &str, country: &str) -> Result<Phone, Problem> {
    Phone::parse(phone.expose(), country).map_err(|refusal| refused(pointer, refusal))
}

/// A refusal of the form `word: Sentence.` at a pointer.
pub(super) fn refused(pointer: &str, refusal: &'static str) -> Problem {
    let (code, detail) = refusal.split_once(": ").unwrap_or(("invalid_value", refusal));
    Problem::invalid(pointer, code, detail)
}
