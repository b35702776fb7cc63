//! A patch applied in memory, by the rules of the route that changes one lead.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Draft;
use crate::{leads::LeadChange, private::Private};

impl Draft {
    /// Applies a patch that mentions no identity.
    pub(in crate::leads) fn apply(&mut self, change: &LeadChange, currency: &str) {
        let text = |name: &str| change.fields.get(name).map(|value| value.as_str().map(str::to_owned));
        let private = |name: &str| text(name).map(|text| text.map(Private::new));
        let id = |name: &str| text(name).map(|text| text.and_then(|text| text.parse::<Uuid>().ok()));
        if let Some(Some(status)) = text("status") {
            self.set(|lead| &mut lead.status, status);
        }
        if let Some(name) = private("firstName") {
            self.set(|lead| &mut lead.first_name, name);
        }
        if let Some(name) = private("lastName") {
            self.set(|lead| &mut lead.last_name, name);
        }
        if let Some(source) = text("source") {
            self.set(|lead| &mut lead.source, source);
        }
        if let Some(owner) = id("ownerId") {
            self.set(|lead| &mut lead.owner_id, owner);
        }
        if let Some(stage) = id("stageId") {
            self.move_to(stage);
        }
        if let Some(reason) = text("wonReason") {
            self.set(|lead| &mut lead.won_reason, reason);
        }
        if let Some(reason) = text("lostReason") {
            self.set(|lead| &mut lead.lost_reason, reason);
        }
        if let Some(zone) = text("timezone") {
            self.set(|lead| &mut lead.timezone, zone);
        }
        if let Some(locale) = text("locale") {
            self.set(|lead| &mut lead.locale, locale);
        }
        if let Some(value) = change.fields.get("value") {
            self.set_value(value.as_i64(), None, currency);
        }
        if let Some(Some(given)) = text("currency") {
            self.set(|lead| &mut lead.currency, Some(given));
        }
        let kept = change.tags.clone().unwrap_or_else(|| self.lead.tags.clone());
        let gone = &change.removed_tags;
        let tags = kept
            .into_iter()
            .filter(|tag| !gone.contains(tag))
            .chain(change.added_tags.iter().filter(|tag| !gone.contains(tag)).cloned());
        self.set_tags(tags.collect());
        if change.clears_custom {
            self.set(|lead| &mut lead.custom_fields, Value::Object(Map::new()));
        }
        self.merge_custom(&change.custom);
        if !change.removed_custom.is_empty() {
            let mut custom = self.lead.custom_fields.clone();
            if let Some(fields) = custom.as_object_mut() {
                fields.retain(|key, _| !change.removed_custom.contains(key));
            }
            self.set(|lead| &mut lead.custom_fields, custom);
        }
    }

    /// A value keeps the currency it had, unless another is given; none takes the currency with it.
    pub(in crate::leads) fn set_value(&mut self, value: Option<i64>, given: Option<String>, usual: &str) {
        let currency =
            value.map(|_| given.or_else(|| self.lead.currency.clone()).unwrap_or_else(|| usual.to_owned()));
        self.set(|lead| &mut lead.value, value);
        self.set(|lead| &mut lead.currency, currency);
    }

    /// All tags, each once and in order.
    pub(in crate::leads) fn set_tags(&mut self, mut tags: Vec<String>) {
        tags.sort_unstable();
        tags.dedup();
        self.set(|lead| &mut lead.tags, tags);
    }

    /// Custom fields on top of those that are there.
    pub(in crate::leads) fn merge_custom(&mut self, given: &Map<String, Value>) {
        if given.is_empty() {
            return;
        }
        let mut custom = self.lead.custom_fields.as_object().cloned().unwrap_or_default();
        custom.extend(given.clone());
        self.set(|lead| &mut lead.custom_fields, Value::Object(custom));
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::leads::LeadPatch;

    fn changed(draft: &mut Draft, patch: Value) -> bool {
        draft.is_changed = false;
        let change = serde_json::from_value::<LeadPatch>(patch).unwrap().normalise("DE").unwrap();
        draft.apply(&change, "EUR");
        draft.is_changed
    }

    #[test]
    fn a_patch_changes_what_it_mentions_and_says_whether_it_did() {
        let mut draft = Draft::new(DateTime::UNIX_EPOCH);
        assert!(changed(
            &mut draft,
            json!({"firstName": "Ada", "value": 500, "customFields": {"goal": 1, "old": 2}})
        ));
        assert_eq!((draft.lead.value, draft.lead.currency.as_deref()), (Some(500), Some("EUR")));
        assert!(!changed(&mut draft, json!({"firstName": "Ada", "value": 500})));
        assert!(changed(&mut draft, json!({"value": null, "customFields": {"old": null}})));
        assert_eq!((draft.lead.currency.as_deref(), &draft.lead.custom_fields), (None, &json!({"goal": 1})));
        let stage = "0198a000-0000-7000-8000-000000000001";
        assert!(changed(&mut draft, json!({"stageId": stage, "wonReason": "Price"})));
        assert_eq!(draft.lead.won_reason.as_deref(), Some("Price"));
        assert!(changed(&mut draft, json!({"stageId": null})));
        assert_eq!(draft.lead.won_reason, None);
    }
}
