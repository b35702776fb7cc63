//! Typeform: a finished form (typeform.com/developers, webhooks example payload). An answer is named by the `ref` or the
//! title of its field, both for the map of the source and for the usual names; e-mail, phone and legal questions are
//! known by their type.

use serde_json::{Map, Value};

use super::{Canonical, Consent, Event, NormaliseError, Normalised, Raw, lead, read};

pub(super) fn read(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let key = read::required(&body, "/event_id")?;
    let name = read::required(&body, "/event_type")?;
    let response = body.get("form_response").unwrap_or(&Value::Null);
    let at = read::rfc3339(response, "/submitted_at").unwrap_or(raw.received_at);
    if name != "form_response" {
        return Ok(Normalised::one(Canonical::ignored(key, at, "not_used")));
    }
    let titles = read::items(response, "/definition/fields");
    let mut answers: Map<String, Value> =
        response.get("hidden").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut consent = None;
    for answer in read::items(response, "/answers") {
        let kind = read::required(answer, "/type")?;
        let Some(value) = value(answer, &kind) else { continue };
        let label = label(answer, titles, settings);
        if read::text(answer, "/field/type").as_deref() == Some("legal") {
            consent = value.as_bool().map(|granted| Consent { granted, text: Some(label.clone()) });
        }
        let slot = match kind.as_str() {
            "email" => "email",
            "phone_number" => "phone",
            _ => "",
        };
        if slot.is_empty() || answers.contains_key(slot) || mapped(settings, &label) {
            answers.insert(label, value);
        } else {
            answers.insert(slot.to_owned(), value);
        }
    }
    let mut lead = lead::pick(answers, settings, lead::Names::Usual, "typeform")?;
    lead.consent = consent.or(lead.consent);
    Ok(Normalised::one(Canonical::new(key, at, Event::LeadCaptured(Box::new(lead)))))
}

/// What an answer is filed under: its ref if the map knows it, else the title of its question, else its ref or id.
fn label(answer: &Value, titles: &[Value], settings: &Value) -> String {
    let reference = read::text(answer, "/field/ref");
    if let Some(reference) = reference.as_ref().filter(|reference| mapped(settings, reference)) {
        return reference.clone();
    }
    let id = read::text(answer, "/field/id");
    let title = titles.iter().find(|field| id.is_some() && read::text(field, "/id") == id);
    let title = title.and_then(|field| read::text(field, "/title")).filter(|title| !title.contains("{{"));
    title.or(reference).or(id).unwrap_or_else(|| "answer".to_owned())
}

fn mapped(settings: &Value, name: &str) -> bool {
    lead::map(settings).is_some_and(|map| map.contains_key(name))
}

fn value(answer: &Value, kind: &str) -> Option<Value> {
    match kind {
        "choice" => answer.pointer("/choice/label").or_else(|| answer.pointer("/choice/other")).cloned(),
        "choices" => {
            let other = answer.pointer("/choices/other").cloned();
            let labels = read::items(answer, "/choices/labels").iter().cloned();
            Some(Value::Array(labels.chain(other).collect()))
        }
        kind => answer.get(kind).cloned(),
    }
}
