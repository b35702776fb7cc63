//! The fields of a lead that a condition can name when it is asked of all leads.
//!
//! A branch of an automation also sees the event that started it and the variables of its run; a segment has neither, so
//! naming them there is refused rather than being silently never true.

use serde_json::Value;

use super::{Comparison, Condition};

/// The most comparisons of one tree.
const MAX_COMPARISONS: usize = 200;

/// Where a field of a lead lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A text column that may be null.
    Text(&'static str),
    /// An id column that may be null.
    Id(&'static str),
    /// A time column that may be null.
    Time(&'static str),
    /// Any other column or expression.
    Other(&'static str),
    /// The list of tags.
    Tags,
    /// A JSON column, in which the rest of the path is followed.
    Json(&'static str),
}

const COLUMNS: [(&str, Source); 24] = [
    ("id", Source::Id("l.id")),
    ("status", Source::Text("l.status")),
    ("source", Source::Text("l.source")),
    ("firstName", Source::Text("l.first_name")),
    ("lastName", Source::Text("l.last_name")),
    ("name", Source::Other("nullif(concat_ws(' ', l.first_name, l.last_name), '')")),
    ("email", Source::Text("l.email")),
    ("phone", Source::Text("l.phone")),
    ("ownerId", Source::Id("l.owner_id")),
    ("stageId", Source::Id("l.stage_id")),
    ("stageEnteredAt", Source::Time("l.stage_entered_at")),
    ("wonReason", Source::Text("l.won_reason")),
    ("lostReason", Source::Text("l.lost_reason")),
    ("value", Source::Other("l.value")),
    ("currency", Source::Other("l.currency::text")),
    ("tags", Source::Tags),
    ("customFields", Source::Json("l.custom_fields")),
    ("score", Source::Other("l.score")),
    ("timezone", Source::Text("l.timezone")),
    ("locale", Source::Text("l.locale")),
    ("firstTouch", Source::Json("l.first_touch")),
    ("lastTouch", Source::Json("l.last_touch")),
    ("createdAt", Source::Time("l.created_at")),
    ("updatedAt", Source::Time("l.updated_at")),
];

const LATE_COLUMNS: [(&str, Source); 2] = [
    ("lastActivityAt", Source::Time("l.last_activity_at")),
    ("lastInboundAt", Source::Time("l.last_inbound_at")),
];

/// Finds a field: where it lives, and the path within it.
pub(super) fn locate(field: &str) -> Option<(Source, Vec<String>)> {
    let mut steps = field.strip_prefix("lead.").unwrap_or(field).split('.');
    let first = match steps.next()? {
        "cf" => "customFields",
        name => name,
    };
    let (_, source) = COLUMNS.iter().chain(&LATE_COLUMNS).find(|(name, _)| *name == first)?;
    let path: Vec<String> = steps.map(ToOwned::to_owned).collect();
    let fits = match source {
        Source::Json(_) => !path.is_empty() && path.iter().all(|step| is_step(step)),
        _ => path.is_empty(),
    };
    fits.then_some((*source, path))
}

/// Digits would count items of a list, which the two evaluations need not do alike.
fn is_step(step: &str) -> bool {
    !step.is_empty()
        && step != "cf"
        && !step.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'))
}

/// What keeps a tree from being asked of all leads, as (pointer below the condition, word, sentence), besides what
/// [`Condition::problems`] finds.
#[must_use]
pub fn lead_problems(condition: &Condition) -> Vec<(String, &'static str, &'static str)> {
    let comparisons = condition.comparisons();
    if comparisons.len() > MAX_COMPARISONS {
        return vec![(String::new(), "too_many_values", "A tree has at most 200 comparisons.")];
    }
    let refused = comparisons.into_iter().filter_map(|(pointer, comparison)| {
        let (code, detail) = problem(comparison)?;
        Some((format!("{pointer}/field"), code, detail))
    });
    refused.collect()
}

/// Every field of a lead that a tree compares, as (pointer below the condition, name with its path). `lead.cf.plan` is
/// `customFields.plan`.
#[must_use]
pub fn lead_fields(condition: &Condition) -> Vec<(String, String)> {
    let named = condition.comparisons().into_iter().map(|(pointer, comparison)| {
        let field = comparison.field.strip_prefix("lead.").unwrap_or(&comparison.field);
        let field = match field.strip_prefix("cf.") {
            Some(key) => format!("customFields.{key}"),
            None => field.to_owned(),
        };
        (format!("{pointer}/field"), field)
    });
    named.collect()
}

/// What a tree compares with, as (pointer below the condition, field, its words).
#[must_use]
pub fn compared(condition: &Condition) -> Vec<(String, &str, Vec<&str>)> {
    let comparisons = condition.comparisons().into_iter();
    comparisons
        .map(|(pointer, one)| (format!("{pointer}/value"), one.field.as_str(), words(&one.value)))
        .collect()
}

/// Which of people's past a tree means, as (pointer below the condition, key of `where`, its words).
#[must_use]
pub fn narrowings(condition: &Condition) -> Vec<(String, &str, Vec<&str>)> {
    let narrowed = condition.comparisons().into_iter().flat_map(|(pointer, comparison)| {
        let keys = comparison.narrowed.iter().flatten();
        keys.map(move |(key, value)| (format!("{pointer}/where/{key}"), key.as_str(), words(value)))
    });
    narrowed.collect()
}

fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        word => word.as_str().into_iter().collect(),
    }
}

fn problem(comparison: &Comparison) -> Option<(&'static str, &'static str)> {
    if comparison.is_history() || locate(&comparison.field).is_some() {
        return None;
    }
    match comparison.field.split('.').next() {
        Some("event" | "vars") => {
            Some(("unsupported_field", "Only a branch or trigger has an event and variables."))
        }
        Some("segments") => Some(("unsupported_field", "A condition cannot ask for another segment.")),
        _ => Some(("unknown_field", "A lead has no such field.")),
    }
}
