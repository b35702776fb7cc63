//! People who left their details, wrote or paid: one lead each, however often and however spelled.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json, to_value};
use shared::{
    auth::Role,
    events::EventKind,
    leads::{self, Definitions, Identities, Known, Lead, NewLead, Upserted},
    private::Private,
    values::{Email, Line, Phone, Tag, Word},
    webhooks::{
        Provider,
        normalise::{Canonical, Identity, LeadCaptured},
        receipts::{self, Record},
    },
};

use crate::apply::{Failed, Ingest, joined};

/// What stands in an activity for an answer that the lead keeps from some.
const HIDDEN: &str = "•••••";

/// What is known about a person before it is known whether we know them.
#[derive(Default)]
pub(crate) struct Who<'a> {
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) first_name: Option<&'a str>,
    pub(crate) last_name: Option<&'a str>,
    /// The name in one piece.
    pub(crate) name: Option<&'a str>,
    pub(crate) source: &'a str,
    pub(crate) tags: Vec<Tag>,
    pub(crate) custom_fields: Map<String, Value>,
    pub(crate) touch: Option<Map<String, Value>>,
}

impl Ingest<'_> {
    /// Finds or makes the lead, and tells which. `None` when nothing that we have identifies anybody.
    pub(crate) async fn meet(&mut self, canonical: &Canonical, who: Who<'_>) -> Result<Option<Lead>, Failed> {
        let identities = self.identities(who.identity);
        if identities.email.is_none() && identities.phone.is_none() {
            return Ok(None);
        }
        let (first_name, last_name) = names(&who);
        let new = NewLead {
            first_name: first_name.and_then(|name| Line::try_from(name).ok()),
            last_name: last_name.and_then(|name| Line::try_from(name).ok()),
            source: source_word(who.source),
            tags: who.tags,
            custom_fields: who.custom_fields,
            first_touch: who.touch,
            ..NewLead::default()
        };
        let (lead, outcome) = leads::upsert(
            self.tx,
            self.now,
            new,
            &identities,
            ("system", Some(self.receipt.id)),
            Known::Fill,
        )
        .await?;
        match outcome {
            Upserted::Created => {
                let key = self.key(canonical, "lead.created");
                let payload = to_value(&lead).unwrap_or_default();
                self.event(EventKind::LeadCreated, (lead.id, Some(lead.id)), key, self.now, payload);
            }
            // A visit alone is told by its own event (the form, the message); only changed fields make an update.
            Upserted::Updated { previous } if previous.keys().any(|field| field != "lastTouch") => {
                let key = self.key(canonical, "lead.updated");
                self.changed(&lead, key, Value::Object(previous));
            }
            Upserted::Updated { .. } => {}
        }
        self.person = Some(lead.id);
        self.people.insert(lead.id);
        Ok(Some(lead))
    }

    /// Normalised; what cannot be normalised identifies nobody. A number that a network told us is taken as it is.
    fn identities(&self, identity: Option<&Identity>) -> Identities {
        let Some(identity) = identity else { return Identities::default() };
        let country = &self.tx.settings().country;
        let from_network = matches!(self.receipt.provider, Provider::Twilio | Provider::Meta);
        Identities {
            email: identity.email.clone().and_then(|email| Email::try_from(email).ok()),
            phone: identity.phone.as_ref().and_then(|phone| {
                let known = Phone::parse(phone, country).ok();
                known.or_else(|| from_network.then(|| Phone::from_network(phone))?)
            }),
        }
    }

    /// Somebody left their details.
    pub(crate) async fn capture(
        &mut self,
        canonical: &Canonical,
        captured: &LeadCaptured,
    ) -> Result<(), Failed> {
        let details = self.details(captured);
        let who = who(captured, &details, self.touch(canonical, captured));
        let Some(lead) = self.meet(canonical, who).await? else {
            return Err(Failed::element("unusable_identity", "the address and the number cannot be real"));
        };
        let (event, kind, title) = match self.receipt.provider {
            Provider::Forms | Provider::Typeform | Provider::Meta => {
                (Some(EventKind::FormSubmitted), "form", "Form submitted")
            }
            // The same body is also told as a signal under the sender's own name.
            Provider::Generic | Provider::Standard | Provider::Github | Provider::Slack => {
                (None, "system", "Details received")
            }
            _ => (Some(EventKind::WebhookReceived), "system", "Details received"),
        };
        let shown = self.shown_answers(&details).await?;
        let data = joined(self.origin(), details.activity);
        let key = self.key(canonical, "activity");
        let written = receipts::record(
            self.tx,
            Record {
                lead_id: lead.id,
                kind,
                title,
                body: captured.message.clone().map(Private::new),
                data: Private::new(joined(data.clone(), shown)),
                dedupe_key: &key,
                occurred_at: canonical.occurred_at,
                visitor_id: captured.visitor_id.as_deref(),
                consent: captured.consent.as_ref().map(|consent| {
                    let proof = json!({"text": consent.text, "receiptId": self.receipt.id, "at": canonical.occurred_at});
                    (consent.granted, proof)
                }),
            },
        )
        .await?;
        if let (true, Some(event)) = (written, event) {
            let payload = joined(data, json!({"type": event.word(), "message": captured.message}));
            let key = self.key(canonical, event.word());
            self.event(event, (self.receipt.id, Some(lead.id)), key, canonical.occurred_at, payload);
        }
        Ok(())
    }

    /// The answers as everybody may read them: what is hidden of a lead stands with the lead alone, where roles are asked.
    async fn shown_answers(&mut self, details: &Details) -> Result<Value, Failed> {
        let mut fields = details.activity.get("fields").cloned().unwrap_or_default();
        if !details.custom_fields.is_empty() {
            let definitions = Definitions::load(self.tx).await?;
            let hidden = definitions.hidden_from(Role::Viewer);
            for field in hidden.filter(|field| details.custom_fields.contains_key(&field.key)) {
                if let Some(answer) = fields.get_mut(&field.key) {
                    *answer = HIDDEN.into();
                }
            }
        }
        Ok(json!({"fields": fields}))
    }

    /// Sorts the answers: what the source's map names is about the person, the rest about this submission.
    fn details(&self, captured: &LeadCaptured) -> Details {
        let map = self.receipt.settings.get("map").and_then(Value::as_object);
        let targets: Vec<&str> = map
            .into_iter()
            .flat_map(|map| map.values().filter_map(Value::as_str))
            .map(|target| target.strip_prefix("customFields.").unwrap_or(target))
            .collect();
        let mut details = Details::default();
        for (name, value) in &captured.fields {
            match name.as_str() {
                "tags" if targets.contains(&"tags") => details.tags = tags(value),
                mapped if targets.contains(&mapped) => {
                    details.custom_fields.insert(name.clone(), value.clone());
                }
                _ => {}
            }
        }
        details.activity = json!({
            "fields": captured.fields,
            "source": captured.source,
            "utm": captured.utm,
            "ctaId": captured.cta_id,
            "visitorId": captured.visitor_id,
        });
        details
    }

    /// Where this visit came from, for the lead's first and last touch.
    fn touch(&self, canonical: &Canonical, captured: &LeadCaptured) -> Map<String, Value> {
        // Networks name their clicks gclid, fbclid, msclkid …; the campaign is something else.
        let is_click = |name: &String| name.ends_with("clid") || name.ends_with("clkid");
        let (clicks, utm): (BTreeMap<_, _>, BTreeMap<_, _>) =
            captured.utm.iter().partition(|(name, _)| is_click(name));
        let given = [
            ("at", json!(canonical.occurred_at)),
            ("source", json!(captured.source)),
            ("provider", json!(self.receipt.provider)),
            ("utm", json!(utm)),
            ("clickIds", json!(clicks)),
            ("ctaId", json!(captured.cta_id)),
            ("visitorId", json!(captured.visitor_id)),
        ];
        given
            .into_iter()
            .filter(|(_, value)| !is_empty(value))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// The answers of a submission, sorted.
#[derive(Default)]
struct Details {
    tags: Vec<Tag>,
    custom_fields: Map<String, Value>,
    activity: Value,
}

fn who<'a>(captured: &'a LeadCaptured, details: &Details, touch: Map<String, Value>) -> Who<'a> {
    Who {
        identity: Some(&captured.identity),
        first_name: captured.first_name.as_deref(),
        last_name: captured.last_name.as_deref(),
        name: captured.name.as_deref(),
        source: &captured.source,
        tags: details.tags.clone(),
        custom_fields: details.custom_fields.clone(),
        touch: Some(touch),
    }
}

/// A name in one piece is split at its first space, which is right for most and keeps the whole name right for all.
fn names(who: &Who<'_>) -> (Option<String>, Option<String>) {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    match (who.first_name, who.last_name, who.name) {
        (None, None, Some(name)) => match name.trim().split_once(' ') {
            Some((first, last)) => (Some(first.to_owned()), Some(last.trim().to_owned())),
            None => (Some(name.to_owned()), None),
        },
        (first, last, _) => (owned(first), owned(last)),
    }
}

/// Sources are words that programs compare; people write them as they please.
fn source_word(text: &str) -> Option<Word> {
    let mut word = String::new();
    for char in text.trim().chars().flat_map(char::to_lowercase).take(40) {
        match char {
            'a'..='z' | '0'..='9' | '_' | '.' => word.push(char),
            _ if word.is_empty() || word.ends_with('-') => {}
            _ => word.push('-'),
        }
    }
    Word::try_from(word.trim_matches(['-', '_', '.']).to_owned()).ok()
}

fn tags(value: &Value) -> Vec<Tag> {
    let texts: Vec<String> = match value {
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter_map(|text| Tag::try_from(text).ok()).take(20).collect()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_one_piece_keeps_its_pieces() {
        let split = |name| names(&Who { name: Some(name), ..Who::default() });
        assert_eq!(split("Ada King Lovelace"), (Some("Ada".to_owned()), Some("King Lovelace".to_owned())));
        assert_eq!(split("Plato"), (Some("Plato".to_owned()), None));
        let given = Who { first_name: Some("Ada"), name: Some("Somebody Else"), ..Who::default() };
        assert_eq!(names(&given), (Some("Ada".to_owned()), None));
    }

    #[test]
    fn sources_become_words() {
        for (text, word) in [
            ("Facebook Ads", "facebook-ads"),
            (" Instagram ", "instagram"),
            ("Mund-zu-Mund!", "mund-zu-mund"),
        ] {
            assert_eq!(source_word(text).unwrap().as_str(), word);
        }
        assert_eq!(source_word("…"), None);
    }
}
