//! Entries of a request's caller.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Entry, append};
use crate::{auth::Permission, db::DbResult, http::Cx};

/// Fields that every change moves.
const MOVING: [&str; 2] = ["updatedAt", "version"];

impl<P: Permission> Cx<P> {
    /// Notes in the audit log what the caller did to a thing, with the id of the request. Like every entry it comes last:
    /// others who add to the business's log wait until this transaction ends.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note(
        &mut self,
        action: &str,
        (object_kind, object_id): (&str, Uuid),
        (before, after): (Option<Value>, Option<Value>),
    ) -> DbResult<()> {
        let request = self.request_id().to_owned();
        let entry =
            Entry::by(&self.actor, action, object_kind, object_id).change(before, after).request(&request);
        append(&mut self.tx, &entry).await
    }

    /// Notes which fields of a thing the caller changed: their names, never what is in them, since that may be personal.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note_change<T: Serialize + Sync>(
        &mut self,
        action: &str,
        object: (&str, Uuid),
        (before, after): (&T, &T),
    ) -> DbResult<()> {
        self.note(action, object, (None, changed(before, after))).await
    }
}

/// The names of the fields in which two states of a thing differ.
fn changed<T: Serialize>(before: &T, after: &T) -> Option<Value> {
    let fields = |state: &T| match serde_json::to_value(state) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !MOVING.contains(&name.as_str()) && before.get(*name) != after.get(*name));
    Some(json!({"changed": names}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_the_names_of_its_fields_alone() {
        let before = json!({"name": "Old", "status": "active", "updatedAt": 1, "url": "https://a"});
        let after = json!({"name": "New", "status": "active", "updatedAt": 2, "extra": 1});
        assert_eq!(changed(&before, &after), Some(json!({"changed": ["extra", "name", "url"]})));
        assert_eq!(changed(&before, &before), Some(json!({"changed": []})));
    }
}
