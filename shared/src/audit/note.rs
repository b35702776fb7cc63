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
        self.note(action, object, (None, changed(before, after, None))).await
    }

    /// The same where a field is never shown and so tells nothing by itself: whoever changed it says so.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn note_hidden_change<T: Serialize + Sync>(
        &mut self,
        action: &str,
        object: (&str, Uuid),
        (before, after): (&T, &T),
        hidden: Option<&str>,
    ) -> DbResult<()> {
        self.note(action, object, (None, changed(before, after, hidden))).await
    }
}

/// The names of the fields in which two states of a thing differ, and of one that is not among those.
fn changed<T: Serialize>(before: &T, after: &T, hidden: Option<&str>) -> Option<Value> {
    let fields = |state: &T| match serde_json::to_value(state) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&str> = before.keys().chain(after.keys()).map(String::as_str).collect();
    names.retain(|name| !MOVING.contains(name) && before.get(*name) != after.get(*name));
    names.extend(hidden);
    names.sort_unstable();
    names.dedup();
    Some(json!({"changed": names}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_the_names_of_its_fields_alone() {
        let before = json!({"name": "Old", "status": "active", "updatedAt": 1, "url": "https://a"});
        let after = json!({"name": "New", "status": "active", "updatedAt": 2, "extra": 1});
        assert_eq!(changed(&before, &after, None), Some(json!({"changed": ["extra", "name", "url"]})));
        assert_eq!(changed(&before, &before, None), Some(json!({"changed": []})));
    }
}
