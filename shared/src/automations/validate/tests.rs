//! Broken graphs, and what is said of each.

use serde_json::json;

use super::super::graph::Definition;
use super::*;

#[expect(clippy::needless_pass_by_value, reason = "each caller makes its steps on the spot")]
fn problems(steps: Value) -> Vec<(String, String)> {
    let steps = steps.as_array().unwrap().clone();
    let definition = Definition { trigger: json!({"type": "lead.created"}), steps, ..Definition::default() };
    let found = definition.graph().err().unwrap_or_default();
    found.into_iter().map(|problem| (problem.pointer, problem.code.into_owned())).collect()
}

fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

#[test]
fn a_graph_of_every_kind_of_step_is_right() {
    let steps = json!([
        {"id": "hello", "type": "sendMessage", "channel": "email", "subject": "Hi", "body": "Hi {{ lead.firstName }}", "onError": "told"},
        {"id": "tag", "type": "addTags", "tags": ["Welcome"]},
        {"id": "untag", "type": "removeTags", "tags": ["cold"]},
        {"id": "set", "type": "updateLead", "set": {"status": "contacted", "cf.plan": "gold", "score": 3}},
        {"id": "pause", "type": "wait", "for": "PT2S"},
        {"id": "morning", "type": "wait", "untilLocal": "09:00", "days": ["mon", "fri"]},
        {"id": "answer", "type": "wait", "forEvent": "message.received", "timeout": "P1D", "onTimeout": "told"},
        {"id": "ask", "type": "branch", "conditions": {"field": "status", "op": "eq", "value": "new"}, "then": "pause", "else": "part"},
        {"id": "part", "type": "split", "ways": [{"weight": 1, "then": "call"}, {"weight": 1, "then": "told"}]},
        {"id": "call", "type": "webhook", "url": "https://example.com/{{ lead.id }}", "saveAs": "crm", "onError": "told"},
        {"id": "told", "type": "notify", "role": "manager", "body": "{{ lead.name }} is here"},
        {"id": "task", "type": "createActivity", "kind": "task", "title": "Call", "dueIn": "P1D"},
        {"id": "end", "type": "exit", "reason": "done"}
    ]);
    assert_eq!(problems(steps), vec![]);
}

#[test]
fn each_mistake_is_named_with_its_place() {
    assert_eq!(
        problems(json!([{"id": "a", "type": "wait", "for": "soon"}])),
        one("/steps/0/for", "invalid_duration")
    );
    assert_eq!(problems(json!([{"id": "a", "type": "wait"}])), one("/steps/0", "required"));
    assert_eq!(problems(json!([{"id": "a", "type": "dance"}])), one("/steps/0/type", "unsupported_step"));
    assert_eq!(
        problems(json!([{"id": "a", "type": "addTags", "tags": ["x"], "next": "b"}])),
        one("/steps/0/next", "unknown_step")
    );
    assert_eq!(
        problems(json!([{"id": "a", "type": "exit", "when": 1}])),
        one("/steps/0/when", "unknown_field")
    );
    assert_eq!(
        problems(json!([{"id": "a", "type": "notify", "role": "owner", "body": "{{ lead."}])),
        one("/steps/0/body", "invalid_template")
    );
    assert_eq!(
        problems(json!([{"id": "a", "type": "updateLead", "set": {"email": "x"}}])),
        one("/steps/0/set/email", "unknown_field")
    );
    assert_eq!(
        problems(json!([{"id": "a", "type": "webhook", "url": "http://169.254.169.254/x"}])),
        one("/steps/0/url", "private_address")
    );
    assert_eq!(
        problems(json!([{"id": "a", "type": "exit"}, {"id": "a", "type": "exit"}, 7])),
        [one("/steps/2", "wrong_type"), one("/steps/1/id", "duplicate_id")].concat()
    );
}

#[test]
fn what_nothing_leads_to_and_circles_without_rest_are_found() {
    assert_eq!(
        problems(json!([{"id": "a", "type": "exit"}, {"id": "b", "type": "exit"}])),
        one("/steps/1", "unreachable_step")
    );
    let circle = json!([
        {"id": "start", "type": "addTags", "tags": ["x"]},
        {"id": "a", "type": "addTags", "tags": ["x"]},
        {"id": "b", "type": "addTags", "tags": ["y"], "next": "a"}
    ]);
    assert_eq!(
        problems(circle),
        [one("/steps/1", "unguarded_cycle"), one("/steps/2", "unguarded_cycle")].concat()
    );
    let rests = json!([{"id": "a", "type": "addTags", "tags": ["x"]}, {"id": "b", "type": "wait", "for": "P1D", "next": "a"}]);
    assert_eq!(problems(rests), vec![]);
}

#[test]
fn the_times_of_a_schedule_are_exactly_one_and_no_other_trigger_has_any() {
    let found = |trigger: Value| {
        let definition = Definition {
            trigger,
            steps: vec![json!({"id": "end", "type": "exit"})],
            ..Definition::default()
        };
        let found = definition.graph().err().unwrap_or_default();
        found.into_iter().map(|problem| (problem.pointer, problem.code.into_owned())).collect::<Vec<_>>()
    };
    assert_eq!(found(json!({"type": "schedule", "at": "09:00", "days": ["mon"]})), vec![]);
    assert_eq!(found(json!({"type": "schedule", "every": "P1W"})), vec![]);
    assert_eq!(found(json!({"type": "schedule"})), one("/trigger", "required"));
    assert_eq!(
        found(json!({"type": "schedule", "every": "PT1H", "at": "09:00"})),
        one("/trigger", "required")
    );
    assert_eq!(found(json!({"type": "schedule", "every": "PT59S"})), one("/trigger/every", "out_of_range"));
    assert_eq!(
        found(json!({"type": "schedule", "every": "P1D", "days": ["mon"]})),
        one("/trigger/days", "unknown_field")
    );
    assert_eq!(found(json!({"type": "schedule", "at": "9 o'clock"})), one("/trigger/at", "invalid_time"));
    assert_eq!(found(json!({"type": "lead.created", "every": "PT1H"})), one("/trigger", "unknown_field"));
}
