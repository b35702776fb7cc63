//! The product's own rules, and rules as SQL.

use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};

use super::{Decay, Rule};
use crate::conditions::{Condition, Scope, push_condition};

/// The reason beside points that an automation gave.
const GIVEN: &str = "Given by automations";

/// What promises something in most businesses: that a person can be reached, does something, answers, buys; and what speaks
/// against it.
pub(super) fn defaults() -> Vec<Rule> {
    let did = |field: &str, narrowed: Value, days: u32| json!({"field": format!("{field}.count"), "where": narrowed, "within": days, "op": "gte", "value": 1});
    let rule = |reason: &str, points, condition| Rule {
        id: None,
        reason: reason.to_owned(),
        condition,
        points,
        decay: None,
    };
    vec![
        rule("Has an e-mail address", 5, json!({"field": "email", "op": "exists"})),
        rule("Has a telephone number", 5, json!({"field": "phone", "op": "exists"})),
        rule(
            "Filled in a form in the last 30 days",
            15,
            did("events", json!({"type": "form.submitted"}), 30),
        ),
        rule(
            "Clicked a call to action in the last 30 days",
            10,
            did("events", json!({"type": "cta.recorded", "kind": ["click", "submit"]}), 30),
        ),
        rule("Wrote in the last 30 days", 20, did("messages", json!({"direction": "inbound"}), 30)),
        rule(
            "Read a message in the last 30 days",
            5,
            did("messages", json!({"direction": "outbound", "status": "read"}), 30),
        ),
        rule(
            "Visited or booked in the last 30 days",
            20,
            did("activities", json!({"kind": ["visit", "booking"]}), 30),
        ),
        rule("Bought something in the last year", 25, did("purchases", json!({}), 365)),
        rule(
            "Could not be reached in the last 90 days",
            -10,
            did("messages", json!({"direction": "outbound", "status": "failed"}), 90),
        ),
        rule(
            "Nothing happened for 90 days",
            -15,
            json!({"not": [{"field": "lastActivityAt", "op": "within", "value": 90}]}),
        ),
        rule("Lost", -30, json!({"field": "status", "op": "eq", "value": "lost"})),
    ]
}

/// Appends a row source `p (parts, score)` for the lead that the statement calls `l`: what each rule gives, and the sum.
pub(super) fn push_score(query: &mut QueryBuilder<'_, Postgres>, rules: &[Rule], scope: Scope<'_>) {
    query.push(
        "cross join lateral (
             select coalesce(jsonb_agg(jsonb_build_object('ruleId', r.id, 'reason', r.reason, 'points', r.points) order by r.place), '[]')
                        as parts,
                    coalesce(sum(r.points), 0) as score
               from (values (0, null::text, ",
    );
    query.push_bind(GIVEN).push("::text, l.score_given::bigint)");
    for (place, rule) in rules.iter().enumerate() {
        let Ok(condition) = serde_json::from_value::<Condition>(rule.condition.clone()) else {
            tracing::error!(reason = rule.reason, "the condition of a rule cannot be read");
            continue;
        };
        query.push(format!(", ({}, ", place + 1)).push_bind(rule.id.map(|id| id.to_string()));
        query.push("::text, ").push_bind(rule.reason.clone()).push("::text, case when ");
        push_condition(query, &condition, scope);
        query.push(" then ");
        push_points(query, rule.points, rule.decay, scope);
        query.push(" else 0 end)");
    }
    query.push(") as r (place, id, reason, points) where r.points <> 0) as p");
}

/// In whole days, so that a score stays what it is for a day.
fn push_points(query: &mut QueryBuilder<'_, Postgres>, points: i32, decay: Option<Decay>, scope: Scope<'_>) {
    let Some(decay) = decay else {
        query.push_bind(i64::from(points)).push("::bigint");
        return;
    };
    let since = decay.since.column();
    // Said of the missing time by itself, because `greatest` passes over it.
    query.push(format!("case when {since} is null then 0 else round("));
    query.push_bind(points).push("::int * power(0.5::numeric, greatest(0, floor(extract(epoch from ");
    query.push_bind(scope.now).push(format!("::timestamptz - {since}) / 86400)) / "));
    query.push_bind(i32::from(decay.half_life_days)).push("::int))::bigint end");
}
