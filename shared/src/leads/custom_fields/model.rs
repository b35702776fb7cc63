//! The shapes of a custom field.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors, Patch},
    values::Line,
};

/// The most choices of one field.
const MAX_OPTIONS: usize = 200;

/// A field that the business invented.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomField {
    /// The field.
    pub id: Uuid,
    /// What has it: `lead`.
    pub entity: String,
    /// Its name in `customFields` and, after `cf.`, in filters and conditions.
    pub key: String,
    /// Its name for people.
    pub label: String,
    /// `text`, `number`, `boolean`, `date`, `datetime`, `select`, `multiSelect`, `url`, `email`, `phone`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The choices of `select` and `multiSelect`.
    pub options: Vec<String>,
    /// Whether a lead that is made must have it.
    pub required: bool,
    /// Whether roles below manager see only the end of it.
    pub masked: bool,
    /// Whether it may be written only with the person's health consent.
    pub is_health_data: bool,
    /// Its place among the fields.
    pub position: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// What can have custom fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Entity {
    /// A lead.
    Lead,
}

impl Entity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FieldType {
    /// Any text up to 2,000 characters.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day: `2026-03-01`.
    Date,
    /// An instant, RFC 3339.
    Datetime,
    /// One of the options.
    Select,
    /// Some of the options.
    MultiSelect,
    /// An `http` or `https` address.
    Url,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
}

impl FieldType {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Select => "select",
            Self::MultiSelect => "multiSelect",
            Self::Url => "url",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    const fn has_options(self) -> bool {
        matches!(self, Self::Select | Self::MultiSelect)
    }
}

/// A field that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCustomField {
    /// What has it.
    pub entity: Entity,
    /// A letter, then letters, digits and `_`; 60 at most. It never changes.
    pub key: String,
    /// Its name for people.
    pub label: Line,
    /// What it holds. It never changes.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// The choices of `select` and `multiSelect`.
    #[serde(default)]
    pub options: Vec<Line>,
    /// Whether a lead that is made must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether roles below manager see only the end of it.
    #[serde(default)]
    pub masked: bool,
    /// Whether it may be written only with the person's health consent.
    #[serde(default)]
    pub is_health_data: bool,
    /// Its place among the fields.
    #[serde(default)]
    pub position: i32,
}

/// What changes on a field.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomFieldPatch {
    /// Its name for people.
    pub label: Option<Line>,
    /// All choices. Values that are no longer among them stay until they are written anew.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Line>>)]
    pub options: Patch<Vec<Line>>,
    /// Whether a lead that is made must have it.
    pub required: Option<bool>,
    /// Whether roles below manager see only the end of it.
    pub masked: Option<bool>,
    /// Whether it may be written only with the person's health consent.
    pub is_health_data: Option<bool>,
    /// Its place among the fields.
    pub position: Option<i32>,
}

impl Check for NewCustomField {
    fn check(&self, errors: &mut FieldErrors) {
        if !is_key(&self.key) {
            errors.add("/key", "invalid_key", "A letter, then letters, digits and `_`, 60 at most.");
        }
        check_options(self.kind.has_options(), &self.options, errors);
    }
}

impl Check for CustomFieldPatch {}

impl CustomFieldPatch {
    /// Whether the choices fit the field's type.
    pub fn check_options(&self, field: &CustomField, errors: &mut FieldErrors) {
        let has_options = matches!(field.kind.as_str(), "select" | "multiSelect");
        match &self.options {
            Patch::Keep => {}
            Patch::Clear => check_options(has_options, &[], errors),
            Patch::Set(options) => check_options(has_options, options, errors),
        }
    }
}

/// Whether a text can be the key of a field.
pub(super) fn is_key(key: &str) -> bool {
    key.len() <= 60
        && key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check_options(has_options: bool, options: &[Line], errors: &mut FieldErrors) {
    if !has_options && !options.is_empty() {
        errors.add("/options", "unknown_field", "Only `select` and `multiSelect` have options.");
    }
    if has_options && !(1..=MAX_OPTIONS).contains(&options.len()) {
        errors.add("/options", "out_of_range", "Give 1 to 200 options.");
    }
    let mut seen = HashSet::new();
    for (index, option) in options.iter().enumerate() {
        if !seen.insert(option.as_str()) {
            errors.add(format!("/options/{index}"), "duplicate_value", "The option is there twice.");
        }
    }
}
