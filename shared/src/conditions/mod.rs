//! Conditions: one engine for triggers, branches, goals and segments.
//!
//! A condition is a tree of `all`, `any` and `not` over comparisons of a field with a value. Fields are paths into the
//! facts: `lead.status`, `lead.tags`, `lead.customFields.plan`, `event.source`, `vars.answer`; a path without a known
//! root is a field of the lead. Comparisons never fail: a missing field is null, and null satisfies only `exists:
//! false`, `ne` and equality with null.
//!
//! The same tree is evaluated in two places: here, over facts in memory, and in the database, compiled to SQL, where it
//! is asked of all leads at once. What a text must look like to count as a number or an instant is therefore
//! written down once in words (`values`) and held by a test that asks both sides the same questions.
//!
//! What a person did (`history`) is known to the database alone. Whoever evaluates in memory has those comparisons answered
//! there first, by the statement that a segment would use, and hands the answers in as [`Past`].

mod facts;
mod history;
mod named;
mod read;
mod sql;
mod values;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use self::values::{is_set, number, order, same, texts, within};
pub use self::{
    facts::{compared, lead_fields, lead_problems, narrowings},
    history::{History, HistoryField, Past, history_fields},
    named::unknown_names,
    read::read_asked,
};
pub(crate) use self::{
    sql::{Scope, push_condition},
    values::instant,
};

/// How deep a tree may nest.
const MAX_DEPTH: usize = 8;
/// Comparisons over what people did; each is a sub-select.
const MAX_HISTORY: usize = 20;

/// A condition tree.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Condition {
    /// Every part holds.
    All {
        /// The parts.
        #[schema(no_recursion)]
        all: Vec<Condition>,
    },
    /// At least one part holds.
    Any {
        /// The parts.
        #[schema(no_recursion)]
        any: Vec<Condition>,
    },
    /// None of the parts holds.
    Not {
        /// The parts.
        #[schema(no_recursion)]
        not: Vec<Condition>,
    },
    /// One comparison.
    Compare(Comparison),
}

/// A field compared with a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Path into the facts.
    pub field: String,
    /// How to compare.
    pub op: Operator,
    /// With what; not needed by `exists`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub value: Value,
    /// Fields over what a person did: which of it is meant.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub narrowed: Option<Map<String, Value>>,
    /// Fields over what a person did: only the last so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<f64>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// One of a list.
    In,
    /// The text contains the value, letter case aside.
    Contains,
    /// The list has the value as an item.
    Includes,
    /// The text starts with the value, letter case aside.
    StartsWith,
    /// The field is set (or, with `false`, not set).
    Exists,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// From the first of two values to the second, both included.
    Between,
    /// Earlier.
    Before,
    /// Later.
    After,
    /// Within so many days of now, past or to come.
    Within,
}

/// What conditions are evaluated against.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// An object with the roots `lead`, `event`, `vars`.
    pub roots: &'a Value,
    /// The instant that `within` counts from.
    pub now: DateTime<Utc>,
    /// What the database says of this person's past.
    pub past: &'a Past,
}

impl Condition {
    /// Whether the condition holds.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All { all } => all.iter().all(|part| part.holds(facts)),
            Self::Any { any } => any.iter().any(|part| part.holds(facts)),
            Self::Not { not } => !not.iter().any(|part| part.holds(facts)),
            Self::Compare(comparison) => comparison.holds(facts),
        }
    }

    /// What is wrong with the tree, as (pointer below the condition, word, sentence).
    #[must_use]
    pub fn problems(&self) -> Vec<(String, &'static str, &'static str)> {
        let mut found = Vec::new();
        self.inspect("", 1, &mut found);
        if self.comparisons().iter().filter(|(_, one)| one.is_history()).count() > MAX_HISTORY {
            found.push((
                String::new(),
                "too_many_values",
                "A tree has at most 20 comparisons over what people did.",
            ));
        }
        found
    }

    /// The comparisons of the tree, each with its pointer.
    pub(crate) fn comparisons(&self) -> Vec<(String, &Comparison)> {
        let mut found = Vec::new();
        self.collect(String::new(), &mut found);
        found
    }

    fn collect<'c>(&'c self, pointer: String, found: &mut Vec<(String, &'c Comparison)>) {
        let (name, parts) = match self {
            Self::All { all } => ("all", all),
            Self::Any { any } => ("any", any),
            Self::Not { not } => ("not", not),
            Self::Compare(comparison) => {
                found.push((pointer, comparison));
                return;
            }
        };
        for (index, part) in parts.iter().enumerate() {
            part.collect(format!("{pointer}/{name}/{index}"), found);
        }
    }

    /// Whether a comparison asks about `messages`, `purchases` and so on, which not everybody may read.
    #[must_use]
    pub fn asks_about(&self, root: &str) -> bool {
        let first =
            |field: &str| field.strip_prefix("lead.").unwrap_or(field).split('.').next() == Some(root);
        self.comparisons().iter().any(|(_, one)| first(&one.field))
    }

    fn inspect(&self, pointer: &str, depth: usize, found: &mut Vec<(String, &'static str, &'static str)>) {
        if depth > MAX_DEPTH {
            found.push((pointer.to_owned(), "too_deep", "Conditions nest at most eight deep."));
            return;
        }
        let (name, parts) = match self {
            Self::All { all } => ("all", all),
            Self::Any { any } => ("any", any),
            Self::Not { not } => ("not", not),
            Self::Compare(comparison) => {
                let problems = comparison.problems().into_iter();
                found.extend(
                    problems.map(|(below, code, detail)| (format!("{pointer}{below}"), code, detail)),
                );
                return;
            }
        };
        for (index, part) in parts.iter().enumerate() {
            part.inspect(&format!("{pointer}/{name}/{index}"), depth + 1, found);
        }
    }
}

impl Comparison {
    /// A comparison of a field with a value.
    pub(crate) const fn new(field: String, op: Operator, value: Value) -> Self {
        Self { field, op, value, narrowed: None, within: None }
    }

    /// Whether it is about what a person did.
    pub(crate) fn is_history(&self) -> bool {
        history::is_field(&self.field)
    }

    fn problems(&self) -> Vec<(String, &'static str, &'static str)> {
        if self.is_history() {
            return history::read(self).err().unwrap_or_default();
        }
        let misplaced = |there: bool, pointer: &str| {
            let detail = "Only fields over what a person did are narrowed.";
            there.then(|| (pointer.to_owned(), "unknown_field", detail))
        };
        let value = self.problem().map(|(code, detail)| ("/value".to_owned(), code, detail));
        let narrowed = misplaced(self.narrowed.is_some(), "/where");
        [value, narrowed, misplaced(self.within.is_some(), "/within")].into_iter().flatten().collect()
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        match self.op {
            Operator::In if !self.value.is_array() => Some(("wrong_type", "`in` takes a list.")),
            Operator::Between if self.value.as_array().is_none_or(|pair| pair.len() != 2) => {
                Some(("wrong_type", "`between` takes a list of two values."))
            }
            Operator::Within if number(&self.value).is_none() => {
                Some(("wrong_type", "`within` takes a number of days."))
            }
            Operator::Before | Operator::After if instant(&self.value).is_none() => {
                Some(("invalid_time", "RFC 3339 or a date is expected."))
            }
            Operator::Contains | Operator::StartsWith if !self.value.is_string() => {
                Some(("wrong_type", "A text is expected."))
            }
            _ => None,
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        if self.is_history() {
            return facts.past.holds(self);
        }
        let field = look_up(facts.roots, &self.field);
        let value = &self.value;
        match self.op {
            Operator::Eq => same(field, value),
            Operator::Ne => !same(field, value),
            Operator::In => value.as_array().is_some_and(|list| list.iter().any(|item| same(field, item))),
            Operator::Includes => {
                field.as_array().is_some_and(|list| list.iter().any(|item| same(item, value)))
            }
            Operator::Contains => texts(field, value).is_some_and(|(text, part)| text.contains(&part)),
            Operator::StartsWith => texts(field, value).is_some_and(|(text, part)| text.starts_with(&part)),
            Operator::Exists => is_set(field) != (value == &Value::Bool(false)),
            Operator::Gt | Operator::After => order(field, value).is_some_and(std::cmp::Ordering::is_gt),
            Operator::Gte => order(field, value).is_some_and(std::cmp::Ordering::is_ge),
            Operator::Lt | Operator::Before => order(field, value).is_some_and(std::cmp::Ordering::is_lt),
            Operator::Lte => order(field, value).is_some_and(std::cmp::Ordering::is_le),
            Operator::Between => match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => {
                    order(field, low).is_some_and(std::cmp::Ordering::is_ge)
                        && order(field, high).is_some_and(std::cmp::Ordering::is_le)
                }
                _ => false,
            },
            Operator::Within => within(field, value, facts.now),
        }
    }
}

/// Follows a path; what is missing on the way is null.
#[must_use]
pub fn look_up<'a>(roots: &'a Value, path: &str) -> &'a Value {
    let mut steps = path.split('.').peekable();
    let rooted = steps.peek().is_some_and(|first| matches!(*first, "lead" | "event" | "vars"));
    let start = if rooted { roots } else { roots.get("lead").unwrap_or(&Value::Null) };
    steps.fold(start, |at, step| {
        let name = if step == "cf" { "customFields" } else { step };
        at.get(name).or_else(|| at.get(step.parse::<usize>().ok()?)).unwrap_or(&Value::Null)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(condition: Value) -> bool {
        let roots = json!({
            "lead": {"status": "new", "tags": ["vip", "trial"], "score": 42, "createdAt": "2026-03-01T10:00:00Z",
                     "customFields": {"plan": "gold"}, "email": null},
            "event": {"source": "form"}, "vars": {},
        });
        let condition: Condition = serde_json::from_value(condition).unwrap();
        let past = Past::default();
        condition.holds(&Facts { roots: &roots, now: "2026-03-03T10:00:00Z".parse().unwrap(), past: &past })
    }

    #[test]
    fn comparisons_read_lead_event_and_custom_fields() {
        assert!(holds(json!({"field": "status", "op": "eq", "value": "new"})));
        assert!(holds(json!({"field": "lead.tags", "op": "includes", "value": "vip"})));
        assert!(holds(json!({"field": "cf.plan", "op": "in", "value": ["gold", "silver"]})));
        assert!(holds(json!({"field": "event.source", "op": "startsWith", "value": "FO"})));
        assert!(holds(json!({"field": "score", "op": "between", "value": [42, 50]})));
        assert!(holds(json!({"field": "createdAt", "op": "within", "value": 2})));
        assert!(!holds(json!({"field": "createdAt", "op": "within", "value": 1})));
        assert!(holds(json!({"field": "createdAt", "op": "before", "value": "2026-03-02"})));
    }

    #[test]
    fn a_missing_field_is_null_and_never_an_error() {
        assert!(holds(json!({"field": "email", "op": "exists", "value": false})));
        assert!(holds(json!({"field": "nothing.here", "op": "ne", "value": "x"})));
        assert!(!holds(json!({"field": "email", "op": "gt", "value": 1})));
    }

    #[test]
    fn trees_combine() {
        let vip = json!({"field": "tags", "op": "includes", "value": "vip"});
        let lost = json!({"field": "status", "op": "eq", "value": "lost"});
        assert!(holds(json!({"all": [vip, {"not": [lost]}]})));
        assert!(!holds(json!({"all": [vip, lost]})));
        assert!(holds(json!({"any": [lost, vip]})));
    }
}
