//! What is understood, and what is refused.

use serde_json::json;

use super::*;
use crate::conditions::Condition;

fn problems(comparison: Value) -> Vec<(String, &'static str)> {
    let condition: Condition = serde_json::from_value(comparison).unwrap();
    condition.problems().into_iter().map(|(pointer, code, _)| (pointer, code)).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    for (comparison, expected) in [
        (
            json!({"field": "events.count", "where": {"type": "cta.recorded", "ctaId": "hero"}, "within": 7, "op": "gte", "value": 3}),
            vec![],
        ),
        (json!({"field": "events.count", "op": "gte", "value": 3}), one("/where/type", "required")),
        (
            json!({"field": "events.total", "where": {"type": "cta.recorded"}, "op": "gte", "value": 3}),
            one("/field", "unknown_field"),
        ),
        (
            json!({"field": "events.count", "where": {"type": "cta.seen"}, "op": "gte", "value": 3}),
            [one("/where/type", "unknown_value"), one("/where/type", "required")].concat(),
        ),
        (
            json!({"field": "events.count", "where": {"type": "lead.created", "tag": "vip"}, "op": "gte", "value": 3}),
            one("/where/tag", "unsupported_field"),
        ),
        (
            json!({"field": "messages.count", "where": {"chanel": "sms"}, "op": "gte", "value": 3}),
            one("/where/chanel", "unknown_field"),
        ),
        (
            json!({"field": "messages.count", "op": "contains", "value": "3"}),
            one("/op", "unsupported_operator"),
        ),
        (json!({"field": "messages.count", "op": "exists"}), one("/op", "unsupported_operator")),
        (json!({"field": "messages.count", "op": "eq", "value": "3"}), one("/value", "wrong_type")),
        (json!({"field": "messages.lastAt", "op": "within", "value": 3}), vec![]),
        (json!({"field": "messages.lastAt", "op": "before", "value": "soon"}), one("/value", "invalid_time")),
        (
            json!({"field": "messages.count", "within": 0, "op": "eq", "value": 3}),
            one("/within", "out_of_range"),
        ),
        (json!({"field": "purchases.sum", "op": "gte", "value": 3}), one("/where/currency", "required")),
        (
            json!({"field": "purchases.sum", "where": {"currency": "eur"}, "op": "gte", "value": 3}),
            [one("/where/currency", "unknown_value"), one("/where/currency", "required")].concat(),
        ),
        (
            json!({"field": "metrics.last", "where": {"type": "weight", "unit": "kg"}, "op": "gt", "value": 80}),
            vec![],
        ),
        (
            json!({"field": "metrics.count", "where": {"type": "weight", "unit": "kg"}, "op": "gt", "value": 80}),
            one("/where/unit", "unsupported_field"),
        ),
        (
            json!({"field": "status", "within": 3, "op": "eq", "value": "new"}),
            one("/within", "unknown_field"),
        ),
    ] {
        assert_eq!(problems(comparison.clone()), expected, "{comparison}");
    }
    let many: Vec<Value> =
        (0..21).map(|n| json!({"field": "messages.count", "op": "eq", "value": n})).collect();
    assert_eq!(problems(json!({"any": many})), one("", "too_many_values"));
}

#[test]
fn nobody_did_nothing_zero_times_and_never() {
    for (comparison, holds) in [
        (json!({"field": "messages.count", "op": "eq", "value": 0}), true),
        (json!({"field": "messages.count", "op": "lte", "value": 2}), true),
        (json!({"field": "messages.count", "op": "gte", "value": 1}), false),
        (json!({"field": "messages.count", "op": "ne", "value": 1}), true),
        (json!({"field": "messages.lastAt", "op": "exists", "value": false}), true),
        (json!({"field": "messages.lastAt", "op": "eq", "value": null}), true),
        (json!({"field": "messages.lastAt", "op": "ne", "value": "2026-01-01"}), true),
        (json!({"field": "messages.lastAt", "op": "before", "value": "2026-01-01"}), false),
        (json!({"field": "metrics.avg", "where": {"type": "weight"}, "op": "lt", "value": 5}), false),
    ] {
        let read: Comparison = serde_json::from_value(comparison.clone()).unwrap();
        assert_eq!(Past::default().holds(&read), holds, "{comparison}");
    }
}
