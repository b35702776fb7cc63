//! Which value of two leads stays.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::{Check, FieldErrors};

/// The fields that can be chosen, with their columns. `email` and `phone` choose the primary identity.
const CHOOSABLE: [(&str, &[&str]); 13] = [
    ("firstName", &["first_name"]),
    ("lastName", &["last_name"]),
    ("email", &[]),
    ("phone", &[]),
    ("status", &["status"]),
    ("source", &["source"]),
    ("ownerId", &["owner_id"]),
    ("stageId", &["stage_id", "stage_entered_at", "won_reason", "lost_reason"]),
    ("value", &["value", "currency"]),
    ("timezone", &["timezone"]),
    ("locale", &["locale"]),
    ("firstTouch", &["first_touch"]),
    ("lastTouch", &["last_touch"]),
];

/// Leads that are one person.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergeRequest {
    /// The lead that stays.
    pub survivor_id: Uuid,
    /// Those that become part of it, 1 to 10.
    pub absorbed_ids: Vec<Uuid>,
    /// Whose value stays, per field. What is not chosen is the survivor's, or, where it has none, an absorbed one's.
    #[serde(default)]
    pub field_choices: BTreeMap<String, Uuid>,
}

impl Check for MergeRequest {
    fn check(&self, errors: &mut FieldErrors) {
        if !(1..=10).contains(&self.absorbed_ids.len()) {
            errors.add("/absorbedIds", "out_of_range", "Give 1 to 10 leads.");
        }
        for (index, id) in self.absorbed_ids.iter().enumerate() {
            let again = self.absorbed_ids.iter().take(index).any(|earlier| earlier == id);
            if again || *id == self.survivor_id {
                errors.add(format!("/absorbedIds/{index}"), "duplicate_id", "The lead is named twice.");
            }
        }
        for (field, id) in &self.field_choices {
            let pointer = format!("/fieldChoices/{}", field.replace('~', "~0").replace('/', "~1"));
            if !CHOOSABLE.iter().any(|(name, _)| name == field) {
                errors.add(pointer, "unknown_field", "This field cannot be chosen.");
            } else if *id != self.survivor_id && !self.absorbed_ids.contains(id) {
                errors.add(pointer, "unknown_lead", "The lead is none of those that are merged.");
            }
        }
    }
}

/// A lead that is to be itself again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnmergeRequest {
    /// The lead that was absorbed.
    pub absorbed_id: Uuid,
}

impl Check for UnmergeRequest {}

/// The columns of the survivor after it has absorbed another lead. Both are rows as JSON.
pub(super) fn merged(
    survivor: &Value,
    absorbed: &Value,
    absorbed_id: Uuid,
    choices: &BTreeMap<String, Uuid>,
) -> Map<String, Value> {
    let mut merged = Map::new();
    for (field, columns) in CHOOSABLE {
        let fills = columns.first().is_some_and(|first| at(survivor, first).is_null());
        let from = match choices.get(field) {
            Some(chosen) if *chosen == absorbed_id => absorbed,
            None if fills => absorbed,
            Some(_) | None => survivor,
        };
        merged.extend(columns.iter().map(|column| ((*column).to_owned(), at(from, column).clone())));
    }
    let mut tags: Vec<Value> = list(survivor, "tags").chain(list(absorbed, "tags")).cloned().collect();
    tags.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    tags.dedup();
    merged.insert("tags".to_owned(), tags.into());
    let own = |row: &Value| at(row, "custom_fields").as_object().cloned().unwrap_or_default();
    let mut custom = own(absorbed);
    custom.extend(own(survivor));
    merged.insert("custom_fields".to_owned(), custom.into());
    // The score follows from the rules; what was given to either was given to the person.
    let given = |row: &Value| at(row, "score_given").as_i64().unwrap_or_default();
    let sum = (given(survivor) + given(absorbed)).clamp(i32::MIN.into(), i32::MAX.into());
    merged.insert("score_given".to_owned(), sum.into());
    for column in ["last_inbound_at", "last_activity_at"] {
        // Both are written by the database in one form and one zone, so their texts are in the order of their times.
        let later = [at(survivor, column), at(absorbed, column)].into_iter().max_by_key(|at| at.as_str());
        merged.insert(column.to_owned(), later.cloned().unwrap_or_default());
    }
    merged
}

fn at<'v>(row: &'v Value, column: &str) -> &'v Value {
    row.get(column).unwrap_or(&Value::Null)
}

fn list<'v>(row: &'v Value, column: &str) -> impl Iterator<Item = &'v Value> {
    at(row, column).as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_survivor_is_filled_and_a_choice_overrules() {
        let other = Uuid::from_u128(2);
        let survivor = json!({"first_name": "Ada", "last_name": null, "status": "new", "tags": ["b"], "custom_fields": {"a": 1},
            "last_activity_at": "2026-01-01T00:00:00+00:00"});
        let absorbed = json!({"first_name": "A.", "last_name": "Lovelace", "status": "customer", "tags": ["a", "b"],
            "custom_fields": {"a": 2, "c": 3}, "last_activity_at": "2026-02-01T00:00:00+00:00"});
        let choices = [("status".to_owned(), other)].into_iter().collect();
        let merged = merged(&survivor, &absorbed, other, &choices);
        assert_eq!(
            (&merged["first_name"], &merged["last_name"], &merged["status"]),
            (&json!("Ada"), &json!("Lovelace"), &json!("customer"))
        );
        assert_eq!(
            (&merged["tags"], &merged["custom_fields"]),
            (&json!(["a", "b"]), &json!({"a": 1, "c": 3}))
        );
        assert_eq!(merged["last_activity_at"], "2026-02-01T00:00:00+00:00");
    }
}
