//! The walk, step by step.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    load::Templates,
    model::{Claimed, Facts, Next, OpenStep, Walked},
    walk::{Given, walk},
};
use crate::automations::graph::{Definition, Graph};

const NOW: &str = "2026-03-28T10:00:00Z";

#[expect(clippy::needless_pass_by_value, reason = "each caller makes its steps on the spot")]
fn graph(steps: Value) -> Graph {
    let steps = steps.as_array().unwrap().clone();
    Definition { trigger: json!({"type": "lead.created"}), steps, ..Definition::default() }.graph().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A run and its world, changed by hand between looks.
struct Scene {
    graph: Graph,
    run: Claimed,
    facts: Facts,
    now: DateTime<Utc>,
}

impl Scene {
    fn new(steps: Value) -> Self {
        let lead = Uuid::from_u128(7);
        let facts = json!({"id": lead, "firstName": "Lena", "status": "new", "tags": ["old"], "customFields": {}, "timezone": null});
        Self {
            graph: graph(steps),
            run: Claimed {
                id: Uuid::from_u128(1),
                automation_id: Uuid::from_u128(2),
                version: 1,
                lead_id: Some(lead),
                current_step: None,
                step_seq: 0,
                wake_kind: None,
                lease_epoch: 1,
                context: json!({}),
                depth: 1,
            },
            facts: Facts { lead: Some(facts), event: json!({"source": "form"}), ..Facts::default() },
            now: at(NOW),
        }
    }

    fn walk(&self) -> Walked {
        let templates = Templates::new();
        walk(&Given {
            run: &self.run,
            graph: &self.graph,
            facts: self.facts.clone(),
            now: self.now,
            zone: Tz::Europe__Berlin,
            templates: &templates,
        })
    }

    /// Walks, and takes the run to where it then stands.
    fn look(&mut self) -> Walked {
        let walked = self.walk();
        self.run.current_step.clone_from(&walked.current_step);
        self.run.step_seq = walked.step_seq;
        self.run.wake_kind = match &walked.next {
            Next::Waiting { kind, .. } => Some((*kind).to_owned()),
            Next::Calling => Some("call".to_owned()),
            _ => None,
        };
        self.facts.lead.clone_from(&walked.lead);
        walked
    }
}

fn statuses(walked: &Walked) -> Vec<(i32, &str, &str)> {
    walked.writes.steps.iter().map(|step| (step.seq, step.step_id.as_str(), step.status)).collect()
}

#[test]
fn database_steps_are_taken_together_and_see_each_other() {
    let mut scene = Scene::new(json!([
        {"id": "tag", "type": "addTags", "tags": ["vip", "old"]},
        {"id": "untag", "type": "removeTags", "tags": ["old"]},
        {"id": "set", "type": "updateLead", "set": {"status": "contacted", "cf.plan": "{{ lead.firstName }}"}},
        {"id": "ask", "type": "branch", "conditions": {"all": [{"field": "tags", "op": "includes", "value": "vip"},
                                                              {"field": "event.source", "op": "eq", "value": "form"}]},
         "then": "tell", "else": "never"},
        {"id": "never", "type": "exit"},
        {"id": "tell", "type": "notify", "role": "manager", "body": "{{ lead.firstName }} is {{ lead.status }}"}
    ]));
    let walked = scene.look();
    assert_eq!(walked.next, Next::Completed("end".to_owned()));
    assert_eq!(
        Value::Object(walked.writes.lead.clone()),
        json!({"tags": ["vip"], "status": "contacted", "custom_fields": {"plan": "Lena"}})
    );
    assert_eq!(walked.writes.notices.len(), 1);
    assert_eq!(walked.writes.notices[0].body, "Lena is contacted");
    let kinds: Vec<&str> = walked.writes.events.iter().map(|event| event.kind.word()).collect();
    assert_eq!(kinds, ["lead.tagAdded", "lead.tagRemoved", "lead.updated"]);
    assert!(
        walked
            .writes
            .events
            .iter()
            .all(|event| event.cause.run_id == Some(scene.run.id) && event.cause.depth == 1)
    );
    assert_eq!(walked.step_seq, 5);
}

#[test]
fn what_is_so_already_is_skipped_and_tells_nothing() {
    let walked = Scene::new(json!([{"id": "tag", "type": "addTags", "tags": ["old"]}])).look();
    assert_eq!(statuses(&walked), [(1, "tag", "skipped")]);
    assert!(walked.writes.events.is_empty() && walked.writes.lead.is_empty());
}

#[test]
fn a_wait_rests_and_its_row_ends_when_the_run_wakes() {
    let mut scene = Scene::new(
        json!([{"id": "pause", "type": "wait", "for": "P1D"}, {"id": "end", "type": "exit", "reason": "done"}]),
    );
    let walked = scene.look();
    // The clocks change that night, and a day later it is eleven in Berlin again.
    let until = Some(at("2026-03-29T09:00:00Z"));
    assert_eq!(walked.next, Next::Waiting { until, kind: "time", event: None });
    assert_eq!(statuses(&walked), [(1, "pause", "waiting")]);
    let walked = scene.look();
    assert_eq!(statuses(&walked), [(1, "pause", "completed"), (2, "end", "completed")]);
    assert_eq!(walked.next, Next::Completed("done".to_owned()));
}

#[test]
fn the_persons_own_zone_goes_before_the_tenants() {
    let mut scene = Scene::new(json!([{"id": "morning", "type": "wait", "untilLocal": "09:00"}]));
    scene.facts.lead.as_mut().unwrap()["timezone"] = json!("America/New_York");
    let until = Some(at("2026-03-28T13:00:00Z"));
    assert_eq!(scene.look().next, Next::Waiting { until, kind: "time", event: None });
}

#[test]
fn an_event_leads_on_and_its_absence_leads_aside() {
    let steps = json!([
        {"id": "answer", "type": "wait", "forEvent": "message.received", "timeout": "PT1H", "onTimeout": "late"},
        {"id": "good", "type": "exit", "reason": "answered"},
        {"id": "late", "type": "exit", "reason": "silent"}
    ]);
    let mut scene = Scene::new(steps);
    let waiting = Next::Waiting {
        until: Some(at("2026-03-28T11:00:00Z")),
        kind: "event",
        event: Some("message.received".to_owned()),
    };
    assert_eq!(scene.look().next, waiting);
    assert_eq!(scene.walk().next, Next::Completed("silent".to_owned()));
    scene.run.context = json!({"wokenBy": Uuid::from_u128(9)});
    assert_eq!(scene.walk().next, Next::Completed("answered".to_owned()));
}

#[test]
fn a_message_is_waited_for_and_its_failure_takes_the_way_for_errors() {
    let steps = json!([
        {"id": "hello", "type": "sendMessage", "channel": "email", "subject": "Hi", "body": "Hi {{ lead.firstName }}", "onError": "sorry"},
        {"id": "end", "type": "exit", "reason": "sent"},
        {"id": "sorry", "type": "exit", "reason": "not sent"}
    ]);
    let mut scene = Scene::new(steps);
    let walked = scene.look();
    assert_eq!(walked.next, Next::Waiting { until: None, kind: "effect", event: None });
    assert_eq!(statuses(&walked), [(1, "hello", "running")]);
    assert_eq!(walked.writes.message.as_ref().map(|message| message.body.as_str()), Some("Hi Lena"));
    let mut settle = |status: &str, error: Option<(&str, &str)>| {
        let error = error.map(|(code, message)| (code.to_owned(), message.to_owned()));
        scene.facts.open_step = Some(OpenStep { status: status.to_owned(), error });
        scene.walk().next
    };
    assert_eq!(settle("completed", None), Next::Completed("sent".to_owned()));
    assert_eq!(settle("skipped", None), Next::Completed("sent".to_owned()));
    assert_eq!(settle("failed", Some(("refused", "No."))), Next::Completed("not sent".to_owned()));
    assert_eq!(settle("running", None), Next::Waiting { until: None, kind: "effect", event: None });
}

#[test]
fn a_failure_without_a_way_out_ends_the_run_and_tells_managers() {
    let mut scene =
        Scene::new(json!([{"id": "hello", "type": "sendMessage", "channel": "sms", "body": "Hi"}]));
    scene.look();
    scene.facts.open_step =
        Some(OpenStep { status: "failed".to_owned(), error: Some(("refused".to_owned(), "No.".to_owned())) });
    let walked = scene.walk();
    assert_eq!(walked.next, Next::Failed { code: "refused".to_owned(), message: "No.".to_owned() });
    assert_eq!(walked.current_step.as_deref(), Some("hello"));
    assert_eq!(walked.writes.notices.len(), 1);
}

#[test]
fn a_request_is_filled_in_once_and_repeated_as_it_was() {
    let mut scene = Scene::new(json!([
        {"id": "call", "type": "webhook", "url": "https://example.com/{{ lead.firstName }}", "body": {"who": "{{ lead.firstName }}"}, "saveAs": "crm"}
    ]));
    let walked = scene.look();
    assert_eq!(walked.next, Next::Calling);
    let request = walked.writes.call.unwrap();
    assert_eq!(
        (request.url.as_str(), request.body.as_deref()),
        ("https://example.com/Lena", Some(r#"{"who":"Lena"}"#))
    );
    let again = scene.walk();
    assert_eq!((again.next, again.writes.call, again.writes.steps.len()), (Next::Calling, None, 0));
}

#[test]
fn a_goal_ends_a_run_at_its_next_look() {
    let mut scene =
        Scene::new(json!([{"id": "pause", "type": "wait", "for": "P1D"}, {"id": "end", "type": "exit"}]));
    scene.graph.goal =
        Some(serde_json::from_value(json!({"field": "status", "op": "eq", "value": "customer"})).unwrap());
    scene.look();
    scene.facts.lead.as_mut().unwrap()["status"] = json!("customer");
    let walked = scene.walk();
    assert_eq!(walked.next, Next::Completed("goal".to_owned()));
    assert_eq!(statuses(&walked), [(1, "pause", "skipped")]);
}

#[test]
fn a_person_who_is_gone_and_endless_circles_end_a_run() {
    let mut scene = Scene::new(json!([{"id": "tag", "type": "addTags", "tags": ["x"]}]));
    scene.facts.lead = None;
    assert_eq!(scene.walk().next, Next::Cancelled("leadGone"));
    let mut scene = Scene::new(json!([{"id": "tag", "type": "addTags", "tags": ["x"]}]));
    scene.run.step_seq = 1_000;
    assert!(matches!(scene.walk().next, Next::Attention { code: "too_many_steps", .. }));
}

#[test]
fn a_person_always_takes_the_same_way_and_the_shares_come_out() {
    let mut scene = Scene::new(json!([
        {"id": "part", "type": "split", "ways": [{"weight": 3, "then": "a"}, {"weight": 1, "then": "b"}]},
        {"id": "a", "type": "exit", "reason": "a"}, {"id": "b", "type": "exit", "reason": "b"}
    ]));
    let mut first = 0;
    for person in 0..2_000_u128 {
        scene.run.lead_id = Some(Uuid::from_u128(person));
        scene.run.id = Uuid::from_u128(person + 1_000_000);
        let next = scene.walk().next;
        scene.run.id = Uuid::from_u128(person + 2_000_000);
        assert_eq!(next, scene.walk().next);
        first += u32::from(next == Next::Completed("a".to_owned()));
    }
    assert!((1_420..1_580).contains(&first), "{first} of 2000 went the way of three quarters");
}
