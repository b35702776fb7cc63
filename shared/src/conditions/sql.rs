//! Conditions as SQL: the same tree, asked of the table of leads.
//!
//! Every value is a parameter. What an index can answer is written as a plain comparison of the column; everything else
//! goes through the functions `condition_…`, which hold the meaning that `values` has in memory. No part is ever null, so
//! that `not` means in SQL what it means in memory.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    Comparison, Condition, Operator,
    facts::{Source, locate},
    history,
    values::{instant, number},
};
use crate::mask::SearchFields;

pub(super) type Query<'q> = QueryBuilder<'q, Postgres>;

/// Of whom a statement asks, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The business.
    pub(crate) tenant: Uuid,
    /// The instant that `within` counts from.
    pub(crate) now: DateTime<Utc>,
    /// The leads that the statement is about, when it is only about a few: what they did is then looked up by them.
    pub(crate) leads: Option<&'a [Uuid]>,
    /// What comparisons see. To whoever sees hints of addresses a text that holds one is absent: comparing it letter by letter would
    /// tell the address.
    pub(crate) fields: SearchFields,
}

impl<'a> Scope<'a> {
    /// Of all leads.
    pub(crate) const fn all(tenant: Uuid, now: DateTime<Utc>) -> Self {
        Self { tenant, now, leads: None, fields: SearchFields::All }
    }

    /// Of a few.
    pub(crate) const fn of(tenant: Uuid, now: DateTime<Utc>, leads: &'a [Uuid]) -> Self {
        Self { tenant, now, leads: Some(leads), fields: SearchFields::All }
    }

    /// As far as somebody may compare the fields.
    pub(crate) const fn through(self, fields: SearchFields) -> Self {
        Self { fields, ..self }
    }
}

/// Where a comparison looks.
#[derive(Clone, Copy)]
struct Place<'p> {
    source: Source,
    path: &'p [String],
    fields: SearchFields,
}

/// Appends the condition on the lead that the statement calls `l`.
pub(crate) fn push_condition(query: &mut Query<'_>, condition: &Condition, scope: Scope<'_>) {
    match condition {
        Condition::All { all } => push_parts(query, all, (" and ", "true"), scope),
        Condition::Any { any } => push_parts(query, any, (" or ", "false"), scope),
        Condition::Not { not } => {
            query.push("not ");
            push_parts(query, not, (" or ", "false"), scope);
        }
        Condition::Compare(comparison) if comparison.is_history() => {
            history::push(query, comparison, scope);
        }
        Condition::Compare(comparison) => match locate(&comparison.field) {
            Some((source, path)) => {
                push_comparison(
                    query,
                    comparison,
                    Place { source, path: &path, fields: scope.fields },
                    scope.now,
                );
            }
            None => {
                let nowhere = Place { source: Source::Other("null::text"), path: &[], fields: scope.fields };
                push_generic(query, comparison, nowhere, scope.now);
            }
        },
    }
}

fn push_parts(query: &mut Query<'_>, parts: &[Condition], (between, none): (&str, &str), scope: Scope<'_>) {
    query.push("(");
    if parts.is_empty() {
        query.push(none);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            query.push(between);
        }
        push_condition(query, part, scope);
    }
    query.push(")");
}

fn push_comparison(query: &mut Query<'_>, asked: &Comparison, place: Place<'_>, now: DateTime<Utc>) {
    let pushed = match place.source {
        Source::Text(column) => push_text(query, asked, column, place.fields),
        Source::Id(column) => push_id(query, asked, column),
        Source::Time(column) => push_time(query, asked, column),
        Source::Tags => push_tag(query, asked),
        Source::Other(_) | Source::Json(_) => false,
    };
    if !pushed {
        push_generic(query, asked, place, now);
    }
}

/// Equality of texts, unless the value could also be meant as a number or an instant.
fn push_text(query: &mut Query<'_>, asked: &Comparison, column: &str, fields: SearchFields) -> bool {
    let Some(words) = alternatives(asked) else { return false };
    if words.iter().any(|word| number(word).is_some() || instant(word).is_some()) {
        return false;
    }
    let texts: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(ToOwned::to_owned)).collect();
    let Some(texts) = texts else { return false };
    query.push(format!("({column} is not null and {column} = any(")).push_bind(texts).push(")");
    if fields == SearchFields::Names {
        query.push(format!(" and not holds_address({column})"));
    }
    query.push(")");
    true
}

/// Equality of ids; a text that is no id equals none.
fn push_id(query: &mut Query<'_>, asked: &Comparison, column: &str) -> bool {
    let Some(words) = alternatives(asked) else { return false };
    let ids: Option<Vec<Uuid>> = words
        .iter()
        .map(|word| {
            word.as_str().and_then(|text| text.parse().ok().filter(|id: &Uuid| id.to_string() == text))
        })
        .collect();
    let Some(ids) = ids else { return false };
    query.push(format!("({column} is not null and {column} = any(")).push_bind(ids).push("))");
    true
}

/// Order of instants.
fn push_time(query: &mut Query<'_>, asked: &Comparison, column: &str) -> bool {
    let sign = match asked.op {
        Operator::Gt | Operator::After => ">",
        Operator::Gte => ">=",
        Operator::Lt | Operator::Before => "<",
        Operator::Lte => "<=",
        _ => return false,
    };
    let Some(at) = instant(&asked.value) else { return false };
    query.push(format!("({column} is not null and {column} {sign} ")).push_bind(at).push(")");
    true
}

fn push_tag(query: &mut Query<'_>, asked: &Comparison) -> bool {
    match &asked.value {
        Value::String(tag) if asked.op == Operator::Includes && instant(&asked.value).is_none() => {
            query.push("(").push_bind(tag.clone()).push(" = any(l.tags))");
            true
        }
        _ => false,
    }
}

/// The values that `eq` and `in` offer; none for other operators.
fn alternatives(asked: &Comparison) -> Option<&[Value]> {
    match asked.op {
        Operator::Eq => Some(std::slice::from_ref(&asked.value)),
        Operator::In => asked.value.as_array().map(Vec::as_slice),
        _ => None,
    }
}

/// The comparison by the functions that know all kinds of values.
fn push_generic(query: &mut Query<'_>, asked: &Comparison, place: Place<'_>, now: DateTime<Utc>) {
    let value = &asked.value;
    match asked.op {
        Operator::Eq => push_same(query, place, value),
        Operator::Ne => {
            query.push("not ");
            push_same(query, place, value);
        }
        Operator::In => {
            query.push("(false");
            for item in value.as_array().into_iter().flatten() {
                query.push(" or ");
                push_same(query, place, item);
            }
            query.push(")");
        }
        Operator::Includes => push_call(query, "condition_includes", place, value),
        Operator::Contains => push_call(query, "condition_contains", place, value),
        Operator::StartsWith => push_call(query, "condition_starts_with", place, value),
        Operator::Exists => {
            query.push(if value == &Value::Bool(false) {
                "not condition_is_set("
            } else {
                "condition_is_set("
            });
            push_field(query, Place { fields: SearchFields::All, ..place });
            query.push(")");
        }
        Operator::Gt | Operator::After => push_order(query, place, value, "> 0"),
        Operator::Gte => push_order(query, place, value, ">= 0"),
        Operator::Lt | Operator::Before => push_order(query, place, value, "< 0"),
        Operator::Lte => push_order(query, place, value, "<= 0"),
        Operator::Between => match value.as_array().map(Vec::as_slice) {
            Some([low, high]) => {
                query.push("(");
                push_order(query, place, low, ">= 0");
                query.push(" and ");
                push_order(query, place, high, "<= 0");
                query.push(")");
            }
            _ => {
                query.push("false");
            }
        },
        Operator::Within => {
            query.push("condition_within(");
            push_field(query, place);
            query.push(", ").push_bind(value.clone()).push(", ").push_bind(now).push(")");
        }
    }
}

fn push_same(query: &mut Query<'_>, place: Place<'_>, value: &Value) {
    push_call(query, "condition_same", place, value);
}

fn push_call(query: &mut Query<'_>, function: &str, place: Place<'_>, value: &Value) {
    query.push(function).push("(");
    push_field(query, place);
    query.push(", ").push_bind(value.clone()).push(")");
}

fn push_order(query: &mut Query<'_>, place: Place<'_>, value: &Value, holds: &str) {
    query.push("coalesce(");
    push_call(query, "condition_order", place, value);
    query.push(format!(" {holds}, false)"));
}

/// The field as JSON, null included.
fn push_field(query: &mut Query<'_>, Place { source, path, fields }: Place<'_>) {
    let is_text = matches!(source, Source::Text(_) | Source::Other(_) | Source::Json(_));
    let is_hidden = is_text && fields == SearchFields::Names;
    if is_hidden {
        query.push("without_address(");
    }
    match source {
        Source::Text(column) | Source::Id(column) | Source::Time(column) | Source::Other(column) => {
            query.push(format!("coalesce(to_jsonb({column}), 'null')"));
        }
        Source::Tags => {
            query.push("to_jsonb(l.tags)");
        }
        Source::Json(column) => {
            query.push(format!("coalesce({column} #> ")).push_bind(path.to_vec()).push(", 'null')");
        }
    }
    if is_hidden {
        query.push(")");
    }
}
