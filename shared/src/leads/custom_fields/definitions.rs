//! All definitions of a business, and what they ask of a lead.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{CustomField, store::query_fields, values};
use crate::{
    auth::Role,
    db::{DbResult, TenantTx},
    http::{FieldErrors, Problem},
    leads::{ConsentPurpose, ConsentState, Lead, NewConsent, NewLead},
};

/// The fields of a business's leads.
#[derive(Clone, Debug)]
pub struct Definitions(Vec<CustomField>);

impl Definitions {
    /// Reads them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn load(tx: &mut TenantTx) -> DbResult<Self> {
        let fields = query_fields!(
            "",
            "from custom_fields f where f.tenant_id = $1 and f.entity = 'lead' and f.archived_at is null",
            tx.tenant(),
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(Self(fields))
    }

    /// Whether the business has none and writes what it likes.
    #[must_use]
    pub const fn is_free_form(&self) -> bool {
        self.0.is_empty()
    }

    /// The definition of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&CustomField> {
        self.0.iter().find(|field| field.key == key)
    }

    /// Those of a business that has none.
    #[cfg(test)]
    pub(in crate::leads) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether any field holds health data.
    pub(in crate::leads) fn has_health(&self) -> bool {
        self.0.iter().any(|field| field.is_health_data)
    }

    /// The keys, in the order of the fields.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        let mut fields: Vec<&CustomField> = self.0.iter().collect();
        fields.sort_by(|a, b| (a.position, &a.key).cmp(&(b.position, &b.key)));
        fields.into_iter().map(|field| field.key.as_str()).collect()
    }

    /// The key of the field that people call this.
    #[must_use]
    pub fn key_of_label(&self, label: &str) -> Option<&str> {
        let called = |field: &&CustomField| {
            field.key.eq_ignore_ascii_case(label) || field.label.to_lowercase() == label.to_lowercase()
        };
        self.0.iter().find(called).map(|field| field.key.as_str())
    }

    /// One value as it is stored.
    pub(in crate::leads) fn read_one(
        &self,
        key: &str,
        value: Value,
        country: &str,
    ) -> Result<Value, (&'static str, &'static str)> {
        match self.get(key) {
            None if self.is_free_form() => Ok(value),
            None => Err(("unknown_field", "Nobody has defined this field.")),
            Some(field) => values::read(field, &value, country),
        }
    }

    /// The keys that a new lead must have and that are not among the given ones.
    pub(in crate::leads) fn missing<'a>(
        &'a self,
        given: &'a Map<String, Value>,
    ) -> impl Iterator<Item = &'a str> {
        let lacks = |field: &&CustomField| field.required && !given.contains_key(&field.key);
        self.0.iter().filter(lacks).map(|field| field.key.as_str())
    }

    /// The values as they are stored. Null stays null: it removes a value.
    ///
    /// # Errors
    /// 422 at `/customFields/key` for each value that does not fit, and for each key that nobody defined.
    pub fn read(&self, given: Map<String, Value>, country: &str) -> Result<Map<String, Value>, Problem> {
        if self.is_free_form() {
            return Ok(given);
        }
        let mut errors = FieldErrors::default();
        let mut read = Map::new();
        for (key, value) in given {
            let pointer = pointer(&key);
            match self.get(&key) {
                None => errors.add(pointer, "unknown_field", "Nobody has defined this field."),
                Some(field) if value.is_null() && field.required => {
                    errors.add(pointer, "required", "This field cannot be left empty.");
                }
                Some(_) if value.is_null() => {
                    read.insert(key, value);
                }
                Some(field) => match values::read(field, &value, country) {
                    Ok(value) => {
                        read.insert(key, value);
                    }
                    Err((code, detail)) => errors.add(pointer, code, detail),
                },
            }
        }
        errors.into_result()?;
        Ok(read)
    }

    /// Brings the values of a new lead into the form in which they are stored.
    ///
    /// # Errors
    /// 422 for what [`Definitions::read`], [`Definitions::require`] and [`Definitions::require_consent`] refuse.
    pub fn read_new(&self, new: &mut NewLead, country: &str) -> Result<(), Problem> {
        let mut read = self.read(std::mem::take(&mut new.custom_fields), country)?;
        if !self.is_free_form() {
            read.retain(|_, value| !value.is_null());
        }
        self.require(|key| read.contains_key(key))?;
        let agreed = |consent: &NewConsent| {
            consent.purpose == ConsentPurpose::Health && consent.state == ConsentState::Granted
        };
        if !new.consents.iter().any(agreed) {
            self.require_consent(&read)?;
        }
        new.custom_fields = read;
        Ok(())
    }

    /// Refuses a new lead that lacks what every lead must have.
    ///
    /// # Errors
    /// 422 at `/customFields/key` for each required field that is missing.
    pub fn require(&self, has: impl Fn(&str) -> bool) -> Result<(), Problem> {
        let mut errors = FieldErrors::default();
        for field in self.0.iter().filter(|field| field.required && !has(&field.key)) {
            errors.add(pointer(&field.key), "required", "Every lead has this field.");
        }
        errors.into_result()
    }

    /// Refuses health data about a person who has not agreed to it.
    ///
    /// # Errors
    /// 422 at the first such field.
    pub fn require_consent(&self, given: &Map<String, Value>) -> Result<(), Problem> {
        match self.health_key(given) {
            Some(key) => {
                let detail = "Health data needs the person's consent with purpose `health`.";
                Err(Problem::invalid(pointer(key), "health_consent_required", detail))
            }
            None => Ok(()),
        }
    }

    /// A field among the given ones that holds health data.
    #[must_use]
    pub fn health_key<'a>(&self, given: &'a Map<String, Value>) -> Option<&'a str> {
        let is_health = |key: &str| self.get(key).is_some_and(|field| field.is_health_data);
        given.iter().find(|(key, value)| !value.is_null() && is_health(key)).map(|(key, _)| key.as_str())
    }

    /// The fields that a role sees only the end of: masked ones below manager; health data, addresses and numbers below staff.
    pub fn hidden_from(&self, role: Role) -> impl Iterator<Item = &CustomField> {
        self.0.iter().filter(move |field| {
            let is_contact = matches!(field.kind.as_str(), "email" | "phone");
            (field.masked && role < Role::Manager)
                || ((field.is_health_data || is_contact) && role < Role::Staff)
        })
    }

    /// Hides all but the end of what a role may not see.
    pub fn mask(&self, lead: &mut Lead, role: Role) {
        let Some(shown) = lead.custom_fields.as_object_mut() else { return };
        for field in self.hidden_from(role) {
            if let Some(value) = shown.get_mut(&field.key) {
                *value = masked(value).into();
            }
        }
    }
}

/// The last two characters of a text that is long enough to hide behind them.
fn masked(value: &Value) -> String {
    let letters: Vec<char> = value.as_str().map(|text| text.chars().collect()).unwrap_or_default();
    let end: String = match letters.last_chunk::<2>() {
        Some(end) if letters.len() >= 6 => end.iter().collect(),
        Some(_) | None => String::new(),
    };
    format!("••••{end}")
}

fn pointer(key: &str) -> String {
    format!("/customFields/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Whether the latest word of a person about health data is yes.
///
/// # Errors
/// When the database refuses.
pub async fn has_health_consent(tx: &mut TenantTx, lead: Uuid) -> DbResult<bool> {
    let state = sqlx::query_scalar!(
        "select state from consents where tenant_id = $1 and lead_id = $2 and purpose = 'health'
          order by effective_at desc, id desc limit 1",
        tx.tenant(),
        lead,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(state.as_deref() == Some("granted"))
}
