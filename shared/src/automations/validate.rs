//! What can be wrong with a graph: in a step, between steps, and in the flow through them.

use std::{borrow::Cow, collections::HashSet, net::IpAddr};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    action::Action,
    graph::{Graph, SCHEDULE, Step, Trigger},
    references::condition_problems,
    span::Span,
    steps::{SendMessage, UpdateLead, Wait, Webhook},
    text,
};
use crate::{
    events::EventKind,
    http::{FieldError, Problem},
    net,
};

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GraphProblem {
    /// JSON pointer into the definition.
    pub pointer: String,
    /// Stable word.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// For people.
    #[schema(value_type = String)]
    pub detail: Cow<'static, str>,
    /// The step that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
}

impl GraphProblem {
    /// A problem that is about no single step.
    #[must_use]
    pub fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into(), step_id: None }
    }

    /// A field's error, placed below a pointer.
    pub(super) fn below(pointer: &str, step_id: Option<&str>, error: FieldError) -> Self {
        Self {
            pointer: format!("{pointer}{}", error.pointer),
            code: error.code,
            detail: error.detail,
            step_id: step_id.map(str::to_owned),
        }
    }
}

/// A 422 with all problems; `stepIds` names the steps to mark.
#[must_use]
pub fn refuse(problems: Vec<GraphProblem>) -> Problem {
    let mut steps: Vec<String> = problems.iter().filter_map(|problem| problem.step_id.clone()).collect();
    steps.dedup();
    let field = |problem: GraphProblem| FieldError {
        pointer: problem.pointer,
        code: problem.code,
        detail: problem.detail,
    };
    Problem::invalid_fields(problems.into_iter().map(field).collect()).with("stepIds", steps)
}

/// Collects what is wrong with one step.
struct Findings<'a> {
    pointer: &'a str,
    step: &'a str,
    found: Vec<GraphProblem>,
}

impl Findings<'_> {
    fn refuse(&mut self, field: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        let problem = GraphProblem::at(format!("{}{field}", self.pointer), code, detail);
        self.found.push(GraphProblem { step_id: Some(self.step.to_owned()), ..problem });
    }

    fn template(&mut self, field: &str, source: &str) {
        if let Err(error) = text::check(source) {
            self.refuse(field, "invalid_template", error);
        }
    }

    fn one_of(&mut self, fields: &'static str, given: usize) {
        if given != 1 {
            self.refuse("", "required", format!("Exactly one of {fields} is expected."));
        }
    }
}

/// What is wrong with the times of a trigger.
pub(super) fn check_schedule(trigger: &Trigger, problems: &mut Vec<GraphProblem>) {
    let mut refuse = |field: &str, code, detail: &'static str| {
        problems.push(GraphProblem::at(format!("/trigger{field}"), code, detail));
    };
    let times = usize::from(trigger.every.is_some()) + usize::from(trigger.at.is_some());
    if trigger.kind != SCHEDULE {
        if times > 0 || !trigger.days.is_empty() {
            refuse("", "unknown_field", "Only a `schedule` has `every`, `at` and `days`.");
        }
        return;
    }
    if times != 1 {
        refuse("", "required", "Exactly one of every, at is expected.");
    }
    if !trigger.days.is_empty() && trigger.at.is_none() {
        refuse("/days", "unknown_field", "Days belong to `at`.");
    }
    if trigger.every.as_ref().is_some_and(Span::is_shorter_than_a_minute) {
        refuse("/every", "out_of_range", "A minute is the shortest distance.");
    }
}

/// What is wrong with a step in itself.
pub(super) fn step_problems(step: &Step, pointer: &str) -> Vec<GraphProblem> {
    let mut findings = Findings { pointer, step: &step.id, found: Vec::new() };
    match &step.action {
        Action::SendMessage(send) => check_send(send, &mut findings),
        Action::AddTags(tags) | Action::RemoveTags(tags) => {
            if !(1..=50).contains(&tags.tags.len()) {
                findings.refuse("/tags", "too_many_values", "1 to 50 tags are taken.");
            }
        }
        Action::UpdateLead(update) => check_update(update, &mut findings),
        Action::AssignOwner(assign) => {
            let given =
                [assign.user_id.is_some(), !assign.round_robin.is_empty(), assign.policy_id.is_some()];
            findings.one_of("userId, roundRobin, policyId", given.into_iter().filter(|given| *given).count());
            if assign.round_robin.len() > 100 {
                findings.refuse("/roundRobin", "too_many_values", "At most 100 colleagues take turns.");
            }
        }
        Action::CreateActivity(activity) => {
            findings.template("/title", activity.title.as_str());
            findings.template("/body", activity.body.as_ref().map_or("", |body| body.as_str()));
        }
        Action::Notify(notify) => {
            findings.one_of(
                "userId, role",
                usize::from(notify.user_id.is_some()) + usize::from(notify.role.is_some()),
            );
            findings.template("/title", notify.title.as_ref().map_or("", |title| title.as_str()));
            findings.template("/body", notify.body.as_str());
        }
        Action::Wait(wait) => check_wait(wait, &mut findings),
        Action::Branch(branch) => {
            let below = format!("{pointer}/conditions");
            findings.found.extend(condition_problems(&branch.conditions, &below, Some(&step.id)));
        }
        Action::Split(split) => {
            if !(2..=10).contains(&split.ways.len())
                || split.ways.iter().any(|way| !(1..=10_000).contains(&way.weight))
            {
                findings.refuse(
                    "/ways",
                    "out_of_range",
                    "2 to 10 ways with weights from 1 to 10,000 are taken.",
                );
            }
        }
        Action::Webhook(webhook) => check_webhook(webhook, &mut findings),
        Action::MoveStage(_) | Action::Exit(_) => {}
    }
    findings.found
}

fn check_send(send: &SendMessage, findings: &mut Findings<'_>) {
    findings.one_of(
        "templateId, body",
        usize::from(send.template_id.is_some()) + usize::from(send.body.is_some()),
    );
    findings.template("/body", send.body.as_ref().map_or("", |body| body.as_str()));
    findings.template("/subject", send.subject.as_ref().map_or("", |subject| subject.as_str()));
}

/// The fields of a lead that a step may set, with whether each takes text (or a number).
pub(super) const SETTABLE: [(&str, &str); 7] = [
    ("firstName", "first_name"),
    ("lastName", "last_name"),
    ("status", "status"),
    ("source", "source"),
    ("score", "score"),
    ("timezone", "timezone"),
    ("locale", "locale"),
];

fn check_update(update: &UpdateLead, findings: &mut Findings<'_>) {
    if update.set.is_empty() {
        findings.refuse("/set", "required", "Say which fields to set.");
    }
    for (field, value) in &update.set {
        let pointer = format!("/set/{field}");
        let own = field.strip_prefix("cf.").or_else(|| field.strip_prefix("customFields."));
        let known = SETTABLE.iter().any(|(name, _)| name == field);
        match (own, value) {
            (Some(""), _) => findings.refuse(&pointer, "unknown_field", "Name the own field: cf.<key>."),
            (None, _) if !known => {
                findings.refuse(&pointer, "unknown_field", "A step cannot set this field.");
            }
            (None, Value::Null) if field == "status" => {
                findings.refuse(&pointer, "required", "A lead always has a status.");
            }
            (None, Value::Number(number))
                if field == "score" && number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
            (None, Value::Null)
            | (Some(_), Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {}
            (_, Value::String(source)) => findings.template(&pointer, source),
            _ => findings.refuse(&pointer, "wrong_type", "This field takes another type."),
        }
    }
}

fn check_wait(wait: &Wait, findings: &mut Findings<'_>) {
    let given =
        [wait.span.is_some(), wait.until.is_some(), wait.until_local.is_some(), wait.for_event.is_some()];
    findings.one_of("for, until, untilLocal, forEvent", given.into_iter().filter(|given| *given).count());
    if !wait.days.is_empty() && wait.until_local.is_none() {
        findings.refuse("/days", "unknown_field", "Days belong to `untilLocal`.");
    }
    match &wait.for_event {
        Some(word) if !EventKind::ALL.iter().any(|kind| kind.word() == word) => {
            findings.refuse(
                "/forEvent",
                "unsupported_trigger",
                "Nothing is known of such an event; see the catalogue.",
            );
        }
        None if wait.timeout.is_some() => {
            findings.refuse("/timeout", "unknown_field", "A time limit belongs to `forEvent`.");
        }
        _ => {}
    }
    if wait.on_timeout.is_some() && wait.timeout.is_none() {
        findings.refuse("/timeout", "required", "Say after which time `onTimeout` is taken.");
    }
}

fn check_webhook(webhook: &Webhook, findings: &mut Findings<'_>) {
    findings.template("/url", &webhook.url);
    let scheme = webhook.url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !scheme.is_some_and(|scheme| scheme == "https" || scheme == "http") || webhook.url.len() > 2_000 {
        findings.refuse("/url", "invalid_url", "A URL like https://example.com/hook is expected.");
    }
    if names_private_address(&webhook.url) {
        findings.refuse("/url", "private_address", "Addresses inside our own network cannot be called.");
    }
    for (name, value) in &webhook.headers {
        let pointer = format!("/headers/{name}");
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() || value.contains(['\r', '\n']) {
            findings.refuse(&pointer, "invalid_header", "This is no header of HTTP.");
        }
        findings.template(&pointer, value);
    }
    if webhook.headers.len() > 20 {
        findings.refuse("/headers", "too_many_values", "At most 20 headers are taken.");
    }
    if let Some(body) = &webhook.body {
        check_texts(body, "/body", findings);
    }
    if webhook.save_as.as_deref().is_some_and(|name| !is_name(name)) {
        findings.refuse(
            "/saveAs",
            "invalid_word",
            "A name of letters, digits and `_` is expected, 40 at most.",
        );
    }
}

/// Whether a URL names an address by number that no call will ever reach. Names are resolved, and their addresses judged, with each call; so is
/// loopback, which the laptop may allow.
fn names_private_address(url: &str) -> bool {
    let Ok(parsed) = url::Url::parse(url) else { return false };
    let address: IpAddr = match parsed.host() {
        Some(url::Host::Ipv4(address)) => address.into(),
        Some(url::Host::Ipv6(address)) => address.into(),
        Some(url::Host::Domain(_)) | None => return false,
    };
    !net::is_public(address) && !address.is_loopback()
}

fn check_texts(value: &Value, pointer: &str, findings: &mut Findings<'_>) {
    match value {
        Value::String(source) => findings.template(pointer, source),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, item)| check_texts(item, &format!("{pointer}/{i}"), findings)),
        Value::Object(map) => {
            map.iter().for_each(|(key, item)| check_texts(item, &format!("{pointer}/{key}"), findings));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Ids that are there twice, and links that lead nowhere. A step that could not be read still lends its id, so that one mistake is
/// reported once.
pub(super) fn check_links(raw: &[Value], steps: &[Option<Step>], problems: &mut Vec<GraphProblem>) {
    let mut ids = HashSet::new();
    for (place, step) in raw.iter().enumerate() {
        let Some(id) = step.get("id").and_then(Value::as_str) else { continue };
        if !ids.insert(id) {
            problems.push(about(place, "/id", id, "duplicate_id", format!("The id `{id}` is there twice.")));
        }
    }
    for (place, step) in steps.iter().enumerate() {
        let Some(step) = step else { continue };
        for (field, target) in step.links() {
            if !ids.contains(target) {
                let detail = format!("There is no step `{target}`.");
                problems.push(about(place, &format!("/{field}"), &step.id, "unknown_step", detail));
            }
        }
    }
}

/// Steps that nothing leads to, and circles in which a run would never rest.
pub(super) fn check_flow(graph: &Graph, problems: &mut Vec<GraphProblem>) {
    let mut reached = vec![false; graph.steps.len()];
    let mut open: Vec<usize> = if graph.steps.is_empty() { Vec::new() } else { vec![0] };
    while let Some(place) = open.pop() {
        if let Some(seen) = reached.get_mut(place)
            && !std::mem::replace(seen, true)
        {
            open.extend(graph.successors(place));
        }
    }
    for (place, step) in
        graph.steps.iter().enumerate().filter(|(place, _)| reached.get(*place) == Some(&false))
    {
        problems.push(about(
            place,
            "",
            &step.id,
            "unreachable_step",
            format!("Nothing leads to the step `{}`.", step.id),
        ));
    }
    for place in restless(graph) {
        let id = graph.step(place).map_or("", |step| step.id.as_str());
        let detail = format!("The step `{id}` is part of a circle without a wait.");
        problems.push(about(place, "", id, "unguarded_cycle", detail));
    }
}

/// The steps on circles that contain no wait: what is left when steps without a way in, or without a way out, among the rest are taken
/// away again and again.
fn restless(graph: &Graph) -> Vec<usize> {
    let mut left: HashSet<usize> = (0..graph.steps.len())
        .filter(|place| graph.step(*place).is_some_and(|step| !matches!(step.action, Action::Wait(_))))
        .collect();
    loop {
        let targets: HashSet<usize> = left.iter().flat_map(|place| graph.successors(*place)).collect();
        let keep = |place: &usize| {
            targets.contains(place) && graph.successors(*place).iter().any(|next| left.contains(next))
        };
        let kept: HashSet<usize> = left.iter().copied().filter(keep).collect();
        if kept.len() == left.len() {
            break;
        }
        left = kept;
    }
    let mut left: Vec<usize> = left.into_iter().collect();
    left.sort_unstable();
    left
}

fn about(place: usize, field: &str, id: &str, code: &'static str, detail: String) -> GraphProblem {
    GraphProblem {
        step_id: Some(id.to_owned()),
        ..GraphProblem::at(format!("/steps/{place}{field}"), code, detail)
    }
}

#[cfg(test)]
mod tests;
