//! What automations are built from, as data: read by editors and by people who write definitions by hand.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    action::Action,
    graph::{MANUAL, SCHEDULE},
};
use crate::{
    conditions::{HistoryField, history_fields},
    events::EventKind,
};

/// Everything that a definition may name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Catalog {
    /// What starts a run.
    pub triggers: Vec<TriggerEntry>,
    /// What a step can do.
    pub actions: Vec<ActionEntry>,
    /// What conditions can ask about what a person did, besides the fields of the lead, `event.…` and `vars.…`.
    pub conditions: Vec<HistoryField>,
}

/// A type of trigger.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerEntry {
    /// The word in `trigger.type`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// JSON Schema of `event` in conditions and texts.
    #[schema(value_type = Object)]
    pub payload_schema: Value,
}

/// A type of step.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionEntry {
    /// The word in a step's `type`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// For people.
    pub title: &'static str,
    /// For people.
    pub description: &'static str,
    /// JSON Schema of the step's own fields, besides `id`, `type` and `next`.
    #[schema(value_type = Object)]
    pub config_schema: Value,
}

/// The catalogue.
#[must_use]
pub fn catalog() -> Catalog {
    let events = EventKind::ALL.iter().map(|kind| trigger(kind.word(), kind.subject()));
    let manual = TriggerEntry {
        kind: MANUAL,
        title: "By hand".to_owned(),
        description: "Started by a colleague or through the API.".to_owned(),
        payload_schema: json!({"type": "object", "description": "The `payload` of the call."}),
    };
    let schedule = TriggerEntry {
        kind: SCHEDULE,
        title: "By the clock".to_owned(),
        description: "Every so often (`every`, an ISO 8601 duration of a minute or more, from publishing on) or at a time of day of the \
                      business (`at`, on all `days` or some). With a `filter`, for each person for whom it holds; else once, about nobody."
            .to_owned(),
        payload_schema: json!({"type": "object", "properties": {"scheduledFor": {"type": "string", "format": "date-time"}}}),
    };
    let actions = Action::catalog().into_iter().map(|(kind, title, description, schema)| ActionEntry {
        kind,
        title,
        description,
        config_schema: serde_json::to_value(schema).unwrap_or_default(),
    });
    Catalog {
        triggers: events.chain([schedule, manual]).collect(),
        actions: actions.collect(),
        conditions: history_fields(),
    }
}

/// The title is made of the word: `lead.tagAdded` → `Lead tag added`.
fn trigger(word: &'static str, subject: &str) -> TriggerEntry {
    let mut title = String::new();
    for (place, letter) in word.chars().enumerate() {
        match letter {
            '.' => title.push(' '),
            _ if letter.is_uppercase() => {
                title.push(' ');
                title.extend(letter.to_lowercase());
            }
            _ if place == 0 => title.extend(letter.to_uppercase()),
            _ => title.push(letter),
        }
    }
    TriggerEntry {
        kind: word,
        description: format!("Happens to a {subject}; `event` is the {subject} as the API shows it."),
        title,
        payload_schema: payload_schema(subject),
    }
}

fn payload_schema(subject: &str) -> Value {
    let fields: &[&str] = match subject {
        "lead" => &[
            "status",
            "source",
            "firstName",
            "lastName",
            "name",
            "email",
            "phone",
            "ownerId",
            "stageId",
            "tags",
            "customFields",
            "score",
            "tag",
        ],
        "message" => &["conversationId", "leadId", "direction", "channel", "status", "subject", "body"],
        "invoice" => &["number", "status", "leadId", "currency", "total", "balance", "dueDate"],
        "payment" => &["invoiceId", "leadId", "amount", "currency", "tender", "status"],
        "metric" => &["leadId", "type", "value", "unit", "startAt", "source"],
        "cta" => &["surface", "ctaId", "kind", "visitorId", "leadId", "page", "utm", "variant", "value"],
        "segment" => &["segmentId", "name", "leadId"],
        _ => &[],
    };
    let mut properties = serde_json::Map::new();
    properties.insert("id".to_owned(), json!({"type": "string", "format": "uuid"}));
    properties.extend(fields.iter().map(|field| ((*field).to_owned(), json!({}))));
    json!({"type": "object", "properties": properties, "additionalProperties": true})
}
