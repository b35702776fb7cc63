//! What of a lead a caller sees only hints of, and may therefore neither compare nor overwrite.
//!
//! A filter that says for how many people the number begins with +4917 tells the number in twelve questions; and whoever
//! writes a field back as it was shown would put the hint in place of the value.

use http::StatusCode;
use serde_json::Value;

use super::{Definitions, FieldQuery};
use crate::{
    auth::Role,
    conditions::{Condition, compared, lead_fields, narrowings},
    db::{DbResult, TenantTx},
    http::{Actor, Problem},
    mask,
};

/// The fields that are hidden from a caller.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// Whether e-mail address and telephone number are.
    contacts: bool,
    /// Keys of custom fields.
    keys: Vec<String>,
}

impl Hidden {
    /// What is hidden from a caller. From managers and keys nothing is.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn from(tx: &mut TenantTx, actor: &Actor) -> DbResult<Self> {
        match actor {
            Actor::User { role, .. } if *role < Role::Manager => {
                let definitions = Definitions::load(tx).await?;
                Ok(Self::of(&definitions, actor))
            }
            Actor::User { .. } | Actor::Key { .. } => Ok(Self::default()),
        }
    }

    /// The same where the definitions are at hand.
    #[must_use]
    pub fn of(definitions: &Definitions, actor: &Actor) -> Self {
        let keys = match actor {
            Actor::User { role, .. } => {
                definitions.hidden_from(*role).map(|field| field.key.clone()).collect()
            }
            Actor::Key { .. } => Vec::new(),
        };
        Self { contacts: !actor.sees_contacts(), keys }
    }

    /// Whether any custom field is hidden.
    #[must_use]
    pub const fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    fn hides(&self, field: &str) -> bool {
        match field.strip_prefix("customFields.") {
            Some(path) => {
                let key = path.split('.').next().unwrap_or(path);
                self.keys.iter().any(|hidden| hidden == key)
            }
            None => self.contacts && matches!(field, "email" | "phone"),
        }
    }

    /// Whether people's past may not be narrowed like that: what they answered on forms is often an address, and other words may name
    /// one in full.
    fn hides_entries(&self, key: &str, words: &[&str]) -> bool {
        self.contacts && key.starts_with("fields.") || self.hides_what_says(words)
    }

    /// Whether a comparison with these words would confirm an address.
    fn hides_what_says(&self, words: &[&str]) -> bool {
        self.contacts && words.iter().any(|word| mask::holds_address(word))
    }

    /// Refuses a tree that compares a hidden field.
    ///
    /// # Errors
    /// 403 `field_masked` naming the field.
    pub fn check_condition(&self, condition: &Condition, pointer: &str) -> Result<(), Problem> {
        let field = lead_fields(condition).into_iter().find(|(_, field)| self.hides(field));
        let value = || {
            let mut values = compared(condition).into_iter();
            let (below, field, _) = values.find(|(.., words)| self.hides_what_says(words))?;
            Some((below, field.to_owned()))
        };
        let entries = || {
            let mut keys = narrowings(condition).into_iter();
            let (below, key, _) = keys.find(|(_, key, words)| self.hides_entries(key, words))?;
            Some((below, key.to_owned()))
        };
        match field.or_else(value).or_else(entries) {
            Some((below, field)) => Err(field_masked(&field).with("pointer", format!("{pointer}{below}"))),
            None => Ok(()),
        }
    }

    /// Takes what is hidden out of what a text can name: whoever writes a text of their own reads what it says.
    pub fn veil(&self, context: &mut Value) {
        let Some(Value::Object(fields)) = context.pointer_mut("/lead/customFields") else { return };
        for key in &self.keys {
            if let Some(value) = fields.get_mut(key).filter(|value| !value.is_null()) {
                *value = mask::DOTS.into();
            }
        }
    }

    /// Refuses filters by a hidden field.
    ///
    /// # Errors
    /// 403 `field_masked` naming the field.
    pub fn check_filters(&self, filters: &[FieldQuery]) -> Result<(), Problem> {
        self.check_keys(filters.iter().map(FieldQuery::key))
    }

    /// Refuses to write hidden custom fields.
    ///
    /// # Errors
    /// 403 `field_masked` naming the field.
    pub fn check_keys<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Result<(), Problem> {
        let hidden = keys.into_iter().find(|key| self.keys.iter().any(|hidden| hidden == key));
        hidden.map_or(Ok(()), |key| Err(field_masked(&format!("customFields.{key}"))))
    }
}

/// 403: the caller sees only a hint of the field.
#[must_use]
pub fn field_masked(field: &str) -> Problem {
    let detail = format!("You see only a hint of `{field}`: it cannot be compared or written by you.");
    Problem::new(StatusCode::FORBIDDEN, "field_masked", detail).with("field", field)
}
