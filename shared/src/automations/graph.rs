//! The graph of an automation: a trigger and steps that know where they lead.
//!
//! A definition is kept as the JSON that its author wrote; [`Definition::graph`] turns it into a [`Graph`], which exists only when nothing is
//! wrong with it. Everything that is wrong is named at once, each with its place and its step. Steps run in the order of
//! the list unless `next` (or a branch) says otherwise, and end after the last one.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    action::Action,
    references::condition_problems,
    schedule::Schedule,
    span::Span,
    steps::{Day, LocalTime},
    validate::{self, GraphProblem},
};
use crate::{conditions::Condition, crypto::sha256, events::EventKind, http::locate_field, json::Shape};

/// The shape of stored graphs. A new shape gets a new number, and every number ever shipped stays readable.
pub const GRAPH_SCHEMA: i16 = 1;
/// A trigger that only a person or the API pulls.
pub const MANUAL: &str = "manual";
/// A trigger that the clock pulls.
pub const SCHEDULE: &str = "schedule";
const MAX_STEPS: usize = 200;

/// A definition as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// `{type, filter?}`
    pub trigger: Value,
    /// The steps.
    pub steps: Vec<Value>,
    /// When a person may enter again.
    pub reentry: Option<Value>,
    /// The condition that ends a run early, as a success.
    pub goal: Option<Value>,
    /// Limits.
    pub caps: Option<Value>,
}

/// A definition that is right.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What starts it.
    pub trigger: Trigger,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The condition that ends a run early, as a success.
    pub goal: Option<Condition>,
    index: HashMap<String, usize>,
}

/// What starts a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// The type of the event, or `manual`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Only events for which this holds. `schedule`: a run for each person for whom it holds, else one that is about nobody.
    #[serde(default)]
    pub filter: Option<Condition>,
    /// `schedule`: the distance of two slots, from publishing on.
    #[serde(default)]
    pub every: Option<Span>,
    /// `schedule`: the time of day in the business's zone, `HH:MM`.
    #[serde(default)]
    pub at: Option<LocalTime>,
    /// With `at`: only on these days, `mon` to `sun`.
    #[serde(default)]
    pub days: Vec<Day>,
}

impl Trigger {
    /// When it pulls itself.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule { every: self.every.clone(), at: self.at, days: self.days.clone() }
    }
}

/// When a person may enter again.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reentry {
    /// The rule.
    pub mode: ReentryMode,
    /// `window`: its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// The rule of re-entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReentryMode {
    /// Once.
    #[default]
    Never,
    /// Once the last run has ended.
    AfterExit,
    /// With every event.
    Always,
    /// Once in so many days.
    Window,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name within the graph.
    pub id: String,
    /// Where to go on, unless the list's order is right.
    pub next: Option<String>,
    /// What it does.
    pub action: Action,
}

impl Definition {
    /// Reads the stored form.
    #[must_use]
    pub fn from_graph(graph: &Value) -> Self {
        let part = |name: &str| graph.get(name).filter(|value| !value.is_null()).cloned();
        Self {
            trigger: part("trigger").unwrap_or_default(),
            steps: graph.get("steps").and_then(Value::as_array).cloned().unwrap_or_default(),
            reentry: part("reentry"),
            goal: part("goal"),
            caps: part("caps"),
        }
    }

    /// The stored form and its SHA-256, which is the same for the same content.
    #[must_use]
    pub fn to_graph(&self) -> (Value, [u8; 32]) {
        let graph = json!({
            "trigger": self.trigger, "steps": self.steps, "reentry": self.reentry, "goal": self.goal, "caps": self.caps,
        });
        let hash = sha256(graph.to_string().as_bytes());
        (graph, hash)
    }

    /// The graph, when nothing is wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn graph(&self) -> Result<Graph, Vec<GraphProblem>> {
        let mut problems = Vec::new();
        let trigger = self.read_trigger(&mut problems);
        self.check_reentry(&mut problems);
        let goal = read_condition(self.goal.as_ref(), "/goal", &mut problems);
        if self.caps.as_ref().is_some_and(|caps| caps.as_object().is_none_or(|caps| !caps.is_empty())) {
            problems.push(GraphProblem::at(
                "/caps",
                "unsupported_caps",
                "Limits of single automations are not offered.",
            ));
        }
        if self.steps.len() > MAX_STEPS {
            problems.push(GraphProblem::at(
                "/steps",
                "too_many_values",
                "An automation has at most 200 steps.",
            ));
            return Err(problems);
        }
        let steps: Vec<Option<Step>> = self
            .steps
            .iter()
            .enumerate()
            .map(|(place, step)| read_step(place, step, &mut problems))
            .collect();
        validate::check_links(&self.steps, &steps, &mut problems);
        let all: Option<Vec<Step>> = steps.into_iter().collect();
        let (Some(trigger), Some(steps)) = (trigger, all) else { return Err(problems) };
        let graph = Graph::new(trigger, steps, goal);
        if problems.is_empty() {
            validate::check_flow(&graph, &mut problems);
        }
        if problems.is_empty() { Ok(graph) } else { Err(problems) }
    }

    fn read_trigger(&self, problems: &mut Vec<GraphProblem>) -> Option<Trigger> {
        let mut plain = self.trigger.clone();
        let filter = plain
            .as_object_mut()
            .and_then(|trigger| trigger.remove("filter"))
            .filter(|filter| !filter.is_null());
        let read = serde_path_to_error::deserialize::<_, Trigger>(Shape::of(plain));
        let filter = read_condition(filter.as_ref(), "/trigger/filter", problems);
        let trigger = match read {
            Ok(trigger) => Trigger { filter, ..trigger },
            Err(error) => {
                problems.push(GraphProblem::below("/trigger", None, locate_field(&error)));
                return None;
            }
        };
        validate::check_schedule(&trigger, problems);
        let by_itself = [MANUAL, SCHEDULE].contains(&trigger.kind.as_str());
        if !by_itself && !EventKind::ALL.iter().any(|kind| kind.word() == trigger.kind) {
            let detail = format!("Nothing is known of an event `{}`; see the catalogue.", trigger.kind);
            problems.push(GraphProblem::at("/trigger/type", "unsupported_trigger", detail));
        }
        Some(trigger)
    }

    fn check_reentry(&self, problems: &mut Vec<GraphProblem>) {
        let Some(reentry) = &self.reentry else { return };
        match serde_path_to_error::deserialize::<_, Reentry>(Shape::of(reentry.clone())) {
            Err(error) => problems.push(GraphProblem::below("/reentry", None, locate_field(&error))),
            Ok(Reentry { mode: ReentryMode::Window, days })
                if days.is_none_or(|days| !(1..=3_660).contains(&days)) =>
            {
                problems.push(GraphProblem::at(
                    "/reentry/days",
                    "required",
                    "Say how many days the window has, 1 to 3660.",
                ));
            }
            Ok(Reentry { mode, days: Some(_) }) if mode != ReentryMode::Window => {
                problems.push(GraphProblem::at("/reentry/days", "unknown_field", "Only a window has days."));
            }
            Ok(_) => {}
        }
    }
}

impl Graph {
    fn new(trigger: Trigger, steps: Vec<Step>, goal: Option<Condition>) -> Self {
        let index = steps.iter().enumerate().map(|(place, step)| (step.id.clone(), place)).collect();
        Self { trigger, steps, goal, index }
    }

    /// The place of a step.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The step at a place.
    #[must_use]
    pub fn step(&self, place: usize) -> Option<&Step> {
        self.steps.get(place)
    }

    /// Where the run goes on after the step at `place`; `None` is the end.
    #[must_use]
    pub fn after(&self, place: usize) -> Option<usize> {
        match self.step(place)?.next.as_deref() {
            Some(next) => self.place(next),
            None => Some(place + 1).filter(|next| *next < self.steps.len()),
        }
    }

    /// Everywhere that the step at `place` may lead.
    pub(super) fn successors(&self, place: usize) -> Vec<usize> {
        let Some(step) = self.step(place) else { return Vec::new() };
        let mut ids: Vec<&str> = step.links().into_iter().map(|(_, id)| id).collect();
        ids.retain(|id| step.next.as_deref() != Some(id));
        let mut found: Vec<usize> = ids.into_iter().filter_map(|id| self.place(id)).collect();
        if step.falls_through() {
            found.extend(self.after(place));
        }
        found
    }
}

impl Step {
    /// Whether the step can end by going on in order.
    fn falls_through(&self) -> bool {
        match &self.action {
            Action::Exit(_) | Action::Split(_) => false,
            Action::Branch(branch) => branch.otherwise.is_none(),
            _ => true,
        }
    }

    /// The steps that this one names, with the field that names them.
    pub(super) fn links<'a>(&'a self) -> Vec<(String, &'a str)> {
        let named =
            |field: &'static str, id: &'a Option<String>| id.as_deref().map(|id| (field.to_owned(), id));
        let mut links: Vec<(String, &str)> = named("next", &self.next).into_iter().collect();
        match &self.action {
            Action::SendMessage(send) => links.extend(named("onError", &send.on_error)),
            Action::Webhook(webhook) => links.extend(named("onError", &webhook.on_error)),
            Action::Wait(wait) => links.extend(named("onTimeout", &wait.on_timeout)),
            Action::Branch(branch) => {
                links.push(("then".to_owned(), &branch.then));
                links.extend(named("else", &branch.otherwise));
            }
            Action::Split(split) => {
                links.extend(
                    split
                        .ways
                        .iter()
                        .enumerate()
                        .map(|(i, way)| (format!("ways/{i}/then"), way.then.as_str())),
                );
            }
            _ => {}
        }
        links
    }
}

/// A condition whose own check has found nothing.
fn read_condition(
    value: Option<&Value>,
    pointer: &str,
    problems: &mut Vec<GraphProblem>,
) -> Option<Condition> {
    match serde_json::from_value::<Condition>(value?.clone()) {
        Ok(condition) => {
            problems.extend(condition_problems(&condition, pointer, None));
            Some(condition)
        }
        Err(_) => {
            let detail = "A condition is {field, op, value} or {all|any|not: [conditions]}.";
            problems.push(GraphProblem::at(pointer, "invalid_condition", detail));
            None
        }
    }
}

fn read_step(place: usize, step: &Value, problems: &mut Vec<GraphProblem>) -> Option<Step> {
    let pointer = format!("/steps/{place}");
    let mut refuse = |field: &str, id: Option<&str>, code: &'static str, detail: String| {
        problems.push(GraphProblem {
            step_id: id.map(str::to_owned),
            ..GraphProblem::at(format!("{pointer}{field}"), code, detail)
        });
    };
    let Some(mut fields) = step.as_object().cloned() else {
        refuse("", None, "wrong_type", "A step is an object.".to_owned());
        return None;
    };
    let id = match fields.remove("id") {
        Some(Value::String(id)) if is_id(&id) => id,
        Some(_) => {
            refuse(
                "/id",
                None,
                "invalid_word",
                "Letters, digits, `_` and `-` are taken, 60 at most.".to_owned(),
            );
            return None;
        }
        None => {
            refuse("/id", None, "required", "Each step needs an id.".to_owned());
            return None;
        }
    };
    let next = match fields.remove("next") {
        None | Some(Value::Null) => None,
        Some(Value::String(next)) => Some(next),
        Some(_) => {
            refuse("/next", Some(&id), "wrong_type", "The id of a step is expected.".to_owned());
            return None;
        }
    };
    let Some(Value::String(word)) = fields.remove("type") else {
        refuse("/type", Some(&id), "required", "Each step needs a type.".to_owned());
        return None;
    };
    match Action::parse(&word, fields) {
        None => {
            refuse(
                "/type",
                Some(&id),
                "unsupported_step",
                format!("There is no kind of step `{word}`; see the catalogue."),
            );
            None
        }
        Some(Err(error)) => {
            problems.push(GraphProblem::below(&pointer, Some(&id), error));
            None
        }
        Some(Ok(action)) => {
            let step = Step { id, next, action };
            problems.extend(validate::step_problems(&step, &pointer));
            Some(step)
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=60).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
