//! The walk: the pure heart of the engine.
//!
//! Given a run, its graph, the facts and the time, [`walk`] takes as many steps as need nothing but the database and says what is to be
//! written and where the run then stands. It does nothing itself, so it can be tested step by step, repeated after a
//! crash, and run for a rehearsal.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{
    load::Templates,
    model::{Claimed, Facts, HttpRequest, Next, Notice, NoticeTo, StepRow, Walked, Writes, wake},
    times,
};
use crate::{
    auth::Role,
    automations::{
        action::Action,
        graph::{Graph, Step},
        steps::{Split, Wait, Webhook},
        text,
    },
    conditions::{self, Condition},
    crypto::sha256,
};

/// A run that takes more steps goes to a person: it goes in circles.
const MAX_STEPS: i32 = 1_000;
/// Steps at one look; then others have their turn.
const STEPS_PER_LOOK: usize = 100;

/// What a walk is given.
pub(super) struct Given<'a> {
    /// The run.
    pub run: &'a Claimed,
    /// Its graph.
    pub graph: &'a Graph,
    /// The world.
    pub facts: Facts,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The tenant's zone; the person's own goes first.
    pub zone: Tz,
    /// The templates that the graph names.
    pub templates: &'a Templates,
}

/// What a single step leads to.
pub(super) enum Flow {
    /// On to the next place (`None`: the end).
    Go(Option<usize>, Value),
    /// The same, but the step had nothing to do.
    Skip(Option<usize>, Value),
    /// The run stops here with the step open.
    Rest(Next),
    /// The run ends here.
    End(String),
    /// The step failed.
    Fail(String, String),
}

/// A walk under way.
pub(super) struct Walk<'a> {
    pub(super) given: &'a Given<'a>,
    pub(super) roots: Value,
    pub(super) writes: Writes,
    pub(super) seq: i32,
    pub(super) zone: Tz,
}

/// Walks as far as the database alone allows.
#[must_use]
pub(super) fn walk(given: &Given<'_>) -> Walked {
    let vars = given.run.context.get("vars").cloned().unwrap_or_else(|| json!({}));
    let lead = given.facts.lead.clone();
    let zone =
        lead.as_ref().and_then(|lead| lead.get("timezone")?.as_str()?.parse().ok()).unwrap_or(given.zone);
    let roots = json!({
        "lead": lead, "event": given.facts.event, "vars": vars, "tenant": given.facts.tenant,
    });
    let mut walk = Walk { given, roots, writes: Writes::default(), seq: given.run.step_seq, zone };
    let (place, next) = walk.go();
    if let Next::Failed { code, message } = &next {
        walk.tell_managers(place, code, message);
    }
    let current_step = place.and_then(|place| given.graph.step(place)).map(|step| step.id.clone());
    let lead = walk.roots.get_mut("lead").map(Value::take).filter(|lead| !lead.is_null());
    Walked { writes: walk.writes, next, current_step, step_seq: walk.seq, lead }
}

impl Walk<'_> {
    /// Where the walk stops, and why.
    fn go(&mut self) -> (Option<usize>, Next) {
        let run = self.given.run;
        let first = if self.given.graph.steps.is_empty() { None } else { Some(0) };
        let mut place = match &run.current_step {
            None => first,
            Some(id) => match self.given.graph.place(id) {
                Some(place) => Some(place),
                None => {
                    let message = format!("The version has no step `{id}`.");
                    return (None, Next::Attention { code: "unknown_step", message });
                }
            },
        };
        if run.lead_id.is_some() && self.given.facts.lead.is_none() {
            self.close_open(place, "skipped", json!({}));
            return (place, Next::Cancelled("leadGone"));
        }
        if self.given.graph.goal.as_ref().is_some_and(|goal| self.holds(goal)) {
            self.close_open(place, "skipped", json!({"reason": "goal"}));
            return (place, Next::Completed("goal".to_owned()));
        }
        if let (Some(kind), Some(open)) = (run.wake_kind.as_deref(), place) {
            match self.resume(kind, open) {
                Flow::Go(next, _) | Flow::Skip(next, _) => place = next,
                Flow::Rest(next) => return (place, next),
                Flow::End(reason) => return (None, Next::Completed(reason)),
                Flow::Fail(code, message) => match self.on_error(open) {
                    Some(next) => place = Some(next),
                    None => return (Some(open), Next::Failed { code, message }),
                },
            }
        }
        self.step_on(place)
    }

    fn step_on(&mut self, mut place: Option<usize>) -> (Option<usize>, Next) {
        let graph = self.given.graph;
        for _ in 0..STEPS_PER_LOOK {
            let Some((at, step)) = place.and_then(|at| Some((at, graph.step(at)?))) else {
                return (None, Next::Completed("end".to_owned()));
            };
            if self.seq >= MAX_STEPS {
                let message = format!("The run has taken {MAX_STEPS} steps; it goes in circles.");
                return (place, Next::Attention { code: "too_many_steps", message });
            }
            self.seq += 1;
            match self.perform(at, step) {
                Flow::Go(next, output) => {
                    self.record(step, "completed", Some(output), None);
                    place = next;
                }
                Flow::Skip(next, output) => {
                    self.record(step, "skipped", Some(output), None);
                    place = next;
                }
                Flow::Rest(next) => {
                    let status = if matches!(next, Next::Waiting { kind: wake::TIME | wake::EVENT, .. }) {
                        "waiting"
                    } else {
                        "running"
                    };
                    self.record(step, status, None, None);
                    return (place, next);
                }
                Flow::End(reason) => {
                    self.record(step, "completed", None, None);
                    return (place, Next::Completed(reason));
                }
                Flow::Fail(code, message) => {
                    self.record(step, "failed", None, Some((code.clone(), message.clone())));
                    match self.on_error(at) {
                        Some(next) => place = Some(next),
                        None => return (place, Next::Failed { code, message }),
                    }
                }
            }
        }
        (place, Next::Again)
    }

    fn perform(&mut self, at: usize, step: &Step) -> Flow {
        let after = self.given.graph.after(at);
        let place = |id: &str| self.given.graph.place(id);
        match &step.action {
            Action::Wait(wait) => self.wait(wait, after),
            Action::Branch(branch) => {
                let held = self.holds(&branch.conditions);
                let to = match (&branch.otherwise, held) {
                    (_, true) => place(&branch.then),
                    (Some(otherwise), false) => place(otherwise),
                    (None, false) => after,
                };
                Flow::Go(to, json!({"result": held}))
            }
            Action::Split(split) => {
                let way = self.way(step, split);
                Flow::Go(way.and_then(place), json!({"then": way}))
            }
            Action::Exit(exit) => {
                Flow::End(exit.reason.as_ref().map_or_else(|| "exit".to_owned(), ToString::to_string))
            }
            Action::Webhook(webhook) => match self.request(webhook) {
                Ok(request) => {
                    self.writes.call = Some(request);
                    Flow::Rest(Next::Calling)
                }
                Err(message) => Flow::Fail("invalid_template".to_owned(), message),
            },
            _ => self.act(step, after).unwrap_or_else(|(code, message)| Flow::Fail(code.to_owned(), message)),
        }
    }

    /// Ends the step that had begun before the run slept.
    fn resume(&mut self, kind: &str, open: usize) -> Flow {
        let after = self.given.graph.after(open);
        let settled = self.given.facts.open_step.clone();
        match kind {
            wake::TIME => {
                self.close_open(Some(open), "completed", json!({}));
                Flow::Go(after, Value::Null)
            }
            wake::EVENT => {
                let woken_by = self.given.run.context.get("wokenBy").cloned();
                let limit = match self.given.graph.step(open).map(|step| &step.action) {
                    Some(Action::Wait(wait)) => {
                        wait.on_timeout.as_deref().and_then(|id| self.given.graph.place(id))
                    }
                    _ => None,
                };
                let output = woken_by
                    .as_ref()
                    .map_or_else(|| json!({"timedOut": true}), |event| json!({"eventId": event}));
                self.close_open(Some(open), "completed", output);
                Flow::Go(if woken_by.is_some() { after } else { limit.or(after) }, Value::Null)
            }
            wake::RETRY | wake::CALL => Flow::Rest(Next::Calling),
            _ => match settled {
                Some(step) if step.status == "failed" => {
                    let (code, message) =
                        step.error.unwrap_or_else(|| ("failed".to_owned(), "The step failed.".to_owned()));
                    Flow::Fail(code, message)
                }
                Some(step) if step.status == "running" => {
                    Flow::Rest(Next::Waiting { until: None, kind: wake::EFFECT, event: None })
                }
                Some(_) | None => Flow::Go(after, Value::Null),
            },
        }
    }

    fn wait(&self, wait: &Wait, after: Option<usize>) -> Flow {
        if let Some(event) = &wait.for_event {
            let until = wait.timeout.as_ref().and_then(|span| span.after(self.given.now, self.zone));
            return Flow::Rest(Next::Waiting { until, kind: wake::EVENT, event: Some(event.clone()) });
        }
        match times::wake_at(wait, self.given.now, self.zone) {
            Some(at) if at > self.given.now => {
                Flow::Rest(Next::Waiting { until: Some(at), kind: wake::TIME, event: None })
            }
            Some(_) => Flow::Go(after, json!({})),
            None => {
                Flow::Fail("invalid_time".to_owned(), "The time to wait for cannot be computed.".to_owned())
            }
        }
    }

    fn request(&self, webhook: &Webhook) -> Result<HttpRequest, String> {
        let headers = webhook.headers.iter().map(|(name, value)| Ok((name.clone(), self.render(value)?)));
        let body = match &webhook.body {
            _ if matches!(webhook.method.word(), "GET" | "DELETE") && webhook.body.is_none() => None,
            Some(body) => Some(text::render_value(body, &self.roots)?.to_string()),
            None => {
                let part = |name: &str| self.roots.get(name).cloned();
                let run = self.given.run;
                Some(json!({"runId": run.id, "automationId": run.automation_id, "lead": part("lead"), "event": part("event")}).to_string())
            }
        };
        Ok(HttpRequest {
            method: webhook.method.word().to_owned(),
            url: self.render(&webhook.url)?,
            headers: headers.collect::<Result<_, String>>()?,
            body,
            save_as: webhook.save_as.clone(),
        })
    }

    /// The way of a person through a split depends on who they are, not on chance, so it is the same every time.
    fn way<'s>(&self, step: &Step, split: &'s Split) -> Option<&'s str> {
        let run = self.given.run;
        let who = run.lead_id.unwrap_or(run.id);
        let hash = sha256(format!("{}/{}/{who}", run.automation_id, step.id).as_bytes());
        let (head, _) = hash.split_first_chunk::<8>()?;
        let total: u64 = split.ways.iter().map(|way| u64::from(way.weight)).sum();
        let mut left = u64::from_be_bytes(*head).checked_rem(total)?;
        for way in &split.ways {
            match left.checked_sub(u64::from(way.weight)) {
                Some(rest) => left = rest,
                None => return Some(&way.then),
            }
        }
        None
    }

    pub(super) fn render(&self, source: &str) -> Result<String, String> {
        text::render(source, &self.roots)
    }

    fn holds(&self, condition: &Condition) -> bool {
        let past = &self.given.facts.past;
        condition.holds(&conditions::Facts { roots: &self.roots, now: self.given.now, past })
    }

    fn on_error(&self, place: usize) -> Option<usize> {
        let target = match &self.given.graph.step(place)?.action {
            Action::SendMessage(send) => send.on_error.as_deref(),
            Action::Webhook(webhook) => webhook.on_error.as_deref(),
            _ => None,
        };
        self.given.graph.place(target?)
    }

    fn record(
        &mut self,
        step: &Step,
        status: &'static str,
        output: Option<Value>,
        error: Option<(String, String)>,
    ) {
        let (error_code, error_message) = error.unzip();
        self.writes.steps.push(StepRow {
            run_id: self.given.run.id,
            seq: self.seq,
            step_id: step.id.clone(),
            kind: step.action.word(),
            status,
            output: output.filter(|output| !output.is_null()),
            error_code,
            error_message,
            ended: !matches!(status, "running" | "waiting"),
        });
    }

    /// Ends the row of the step that had begun, if one had.
    fn close_open(&mut self, place: Option<usize>, status: &'static str, output: Value) {
        let graph = self.given.graph;
        if let (Some(step), Some(_)) = (place.and_then(|place| graph.step(place)), &self.given.run.wake_kind)
        {
            self.record(step, status, Some(output), None);
        }
    }

    fn tell_managers(&mut self, place: Option<usize>, code: &str, message: &str) {
        let run = self.given.run;
        let step = place.and_then(|place| self.given.graph.step(place)).map(|step| step.id.as_str());
        self.writes.notices.push(Notice {
            to: NoticeTo::Role(Role::Manager),
            kind: "automation.failed",
            title: Some("An automation run failed".to_owned()),
            body: message.to_owned(),
            lead_id: run.lead_id,
            data: json!({"runId": run.id, "automationId": run.automation_id, "step": step, "code": code}),
            dedupe_key: format!("run:{}:{}:failed", run.id, self.seq),
        });
    }
}
