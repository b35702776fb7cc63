//! What a caller wants changed in a lead.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::model::{check_status, check_tags, check_value, read_phone, tag_words};
use crate::{
    http::{Check, FieldErrors, Patch, Problem},
    private::Private,
    values::{Currency, Email, Line, Locale, Phone, Tag, Word, Zone},
};

/// A change of a lead: an absent field stays, null clears it, a value sets it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeadPatch {
    /// Given name.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub first_name: Patch<Line>,
    /// Family name.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub last_name: Patch<Line>,
    /// Primary e-mail address; the former one is no longer the lead's.
    #[serde(default)]
    #[schema(value_type = Option<Email>)]
    pub email: Patch<Email>,
    /// Primary telephone number, likewise.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub phone: Patch<Private<String>>,
    /// Where the person came from.
    #[serde(default)]
    #[schema(value_type = Option<Word>)]
    pub source: Patch<Word>,
    /// Status; it cannot be cleared.
    #[serde(default)]
    #[schema(value_type = Option<Word>)]
    pub status: Patch<Word>,
    /// All tags.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Tag>>)]
    pub tags: Patch<Vec<Tag>>,
    /// The colleague in charge.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub owner_id: Patch<Uuid>,
    /// Stage of a pipeline.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub stage_id: Patch<Uuid>,
    /// Why the deal was won. A move to another stage forgets it.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub won_reason: Patch<Line>,
    /// Why the person was lost, likewise.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub lost_reason: Patch<Line>,
    /// What the deal may be worth, minor units; null takes the currency with it.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub value: Patch<i64>,
    /// What the value is in.
    #[serde(default)]
    #[schema(value_type = Option<Currency>)]
    pub currency: Patch<Currency>,
    /// The business's own fields: the named ones change, null removes one.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub custom_fields: Patch<Map<String, Value>>,
    /// The person's own IANA zone.
    #[serde(default)]
    #[schema(value_type = Option<Zone>)]
    pub timezone: Patch<Zone>,
    /// The person's own language, as in BCP 47.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Patch<Locale>,
    /// Tags that come on top.
    #[serde(skip)]
    pub add_tags: Vec<Tag>,
    /// Tags that go.
    #[serde(skip)]
    pub remove_tags: Vec<Tag>,
}

impl Check for LeadPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.status == Patch::Clear {
            errors.add("/status", "required", "A lead always has a status.");
        }
        check_status(self.status.as_set(), errors);
        check_value(self.value.as_set().copied(), errors);
        if self.currency == Patch::Clear {
            errors.add("/currency", "required", "A value has a currency; clear the value instead.");
        }
        if let Patch::Set(tags) = &self.tags {
            check_tags(tags, errors);
        }
    }
}

impl LeadPatch {
    /// Brings the telephone number to E.164, with the tenant's country for the national form.
    ///
    /// # Errors
    /// 422 at `/phone`.
    pub fn normalise(self, country: &str) -> Result<LeadChange, Problem> {
        let phone = match &self.phone {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(phone) => Patch::Set(read_phone(phone, "/phone", country)?),
        };
        Ok(LeadChange::new(self, phone))
    }
}

/// A patch whose values are all as they will be stored.
#[derive(Clone, Debug, Default)]
pub struct LeadChange {
    /// The plain columns that are mentioned, by the API's names.
    pub(super) fields: Map<String, Value>,
    /// The identities that are mentioned, with their new primary value.
    pub(super) identities: Vec<(&'static str, Option<String>)>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) added_tags: Vec<String>,
    pub(super) removed_tags: Vec<String>,
    /// Custom fields are emptied before anything is set.
    pub(super) clears_custom: bool,
    pub(super) custom: Map<String, Value>,
    pub(super) removed_custom: Vec<String>,
}

impl LeadChange {
    fn new(patch: LeadPatch, phone: Patch<Phone>) -> Self {
        let mut change = Self::default();
        change.put("firstName", patch.first_name.into_parts(), Line::into_string);
        change.put("lastName", patch.last_name.into_parts(), Line::into_string);
        change.put("source", patch.source.into_parts(), Word::into_string);
        change.put("status", patch.status.into_parts(), Word::into_string);
        change.put("ownerId", patch.owner_id.into_parts(), |id| id.to_string());
        change.put("stageId", patch.stage_id.into_parts(), |id| id.to_string());
        change.put("wonReason", patch.won_reason.into_parts(), Line::into_string);
        change.put("value", patch.value.into_parts(), |value| value);
        change.put("currency", patch.currency.into_parts(), Currency::into_string);
        change.put("lostReason", patch.lost_reason.into_parts(), Line::into_string);
        change.put("timezone", patch.timezone.into_parts(), Zone::into_string);
        change.put("locale", patch.locale.into_parts(), Locale::into_string);
        change.put_identity("email", patch.email.into_parts(), Email::into_string);
        change.put_identity("phone", phone.into_parts(), Phone::into_string);
        change.put_custom(patch.custom_fields);
        change.tags = match patch.tags.into_parts() {
            (true, tags) => Some(tag_words(tags.unwrap_or_default())),
            (false, _) => None,
        };
        change.added_tags = tag_words(patch.add_tags);
        change.removed_tags = tag_words(patch.remove_tags);
        change
    }

    fn put<T, V: Into<Value>>(
        &mut self,
        name: &str,
        (mentioned, value): (bool, Option<T>),
        convert: impl FnOnce(T) -> V,
    ) {
        if mentioned {
            self.fields.insert(name.to_owned(), value.map(convert).map_or(Value::Null, Into::into));
        }
    }

    fn put_identity<T>(
        &mut self,
        kind: &'static str,
        part: (bool, Option<T>),
        text: impl FnOnce(T) -> String,
    ) {
        let (mentioned, value) = part;
        if mentioned {
            let value = value.map(text);
            self.fields.insert(kind.to_owned(), value.clone().into());
            self.identities.push((kind, value));
        }
    }

    fn put_custom(&mut self, patch: Patch<Map<String, Value>>) {
        let (mentioned, fields) = patch.into_parts();
        self.clears_custom = mentioned && fields.is_none();
        for (key, value) in fields.unwrap_or_default() {
            if value.is_null() {
                self.removed_custom.push(key);
            } else {
                self.custom.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(body: Value) -> LeadChange {
        serde_json::from_value::<LeadPatch>(body).unwrap().normalise("DE").unwrap()
    }

    #[test]
    fn absent_keeps_null_clears_and_a_value_sets() {
        let change =
            change(json!({"firstName": null, "status": "contacted", "phone": "0171 2345678", "email": null}));
        assert_eq!(
            Value::Object(change.fields),
            json!({"firstName": null, "status": "contacted", "phone": "+491712345678", "email": null})
        );
        assert_eq!(change.identities, [("email", None), ("phone", Some("+491712345678".to_owned()))]);
        assert!(change.tags.is_none() && change.custom.is_empty() && !change.clears_custom);
    }

    #[test]
    fn custom_fields_change_one_by_one_and_tags_as_a_whole() {
        let change =
            change(json!({"customFields": {"goal": "10k", "old": null}, "tags": ["VIP", "vip", "a"]}));
        assert_eq!(Value::Object(change.custom), json!({"goal": "10k"}));
        assert_eq!((change.removed_custom, change.clears_custom), (vec!["old".to_owned()], false));
        assert_eq!(change.tags, Some(vec!["a".to_owned(), "vip".to_owned()]));
    }

    #[test]
    fn a_status_cannot_be_cleared() {
        let mut errors = FieldErrors::default();
        serde_json::from_value::<LeadPatch>(json!({"status": null})).unwrap().check(&mut errors);
        assert_eq!(errors.into_result().unwrap_err().code(), "invalid_input");
    }
}
