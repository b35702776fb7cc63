//! The shapes of a lead.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors, Problem},
    private::Private,
    values::{Email, Line, Phone, Tag, Word},
};

/// A person that a business knows or wants to know.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
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
    /// Tags, lower case.
    pub tags: Vec<String>,
    /// The business's own fields.
    #[schema(value_type = Object)]
    pub custom_fields: Value,
    /// How promising the lead is.
    pub score: Option<i32>,
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
    /// The business's own fields.
    #[schema(value_type = Object)]
    pub custom_fields: Map<String, Value>,
    /// Campaign data of the first visit.
    #[schema(value_type = Option<Object>)]
    pub first_touch: Option<Map<String, Value>>,
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
        if self.tags.len() > 50 {
            errors.add("/tags", "too_many_values", "A lead has at most 50 tags.");
        }
    }
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
        let phone =
            phone.map(|phone| Phone::parse(phone.expose(), country)).transpose().map_err(|refusal| {
                let (code, detail) = refusal.split_once(": ").unwrap_or(("invalid_phone", refusal));
                Problem::invalid("/phone", code, detail)
            })?;
        Ok(Self { email: email.cloned(), phone })
    }

    /// (kind, normalised value) of each.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let email = self.email.as_ref().map(|email| ("email", email.as_str().to_owned()));
        let phone = self.phone.as_ref().map(|phone| ("phone", phone.as_str().to_owned()));
        email.into_iter().chain(phone).collect()
    }
}
