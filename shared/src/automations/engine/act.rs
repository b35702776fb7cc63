//! Steps that change something: the lead, the list of activities, somebody's notifications, the messages to send.

use serde_json::{Map, Value, json};

use super::{
    model::{ActivityRow, Next, Notice, NoticeTo, Outgoing, Turns, WantedTurn, wake},
    walk::{Flow, Walk},
};
use crate::{
    assignment::Assigned,
    automations::{
        action::Action,
        graph::Step,
        steps::{AssignOwner, CreateActivity, Notify, SendMessage, UpdateLead},
        text, validate,
    },
    events::{Cause, EventKind, NewEvent},
    ids::new_id,
    templates,
    values::{Line, Prose, Tag},
};

/// Why a step failed: a stable word and a sentence.
type Failure = (&'static str, String);

const NO_LEAD: &str = "This step needs a person, and the run is about nobody.";

impl Walk<'_> {
    pub(super) fn act(&mut self, step: &Step, after: Option<usize>) -> Result<Flow, Failure> {
        let output = match &step.action {
            Action::SendMessage(send) => return self.send(send),
            Action::AddTags(tags) => self.change_tags(&tags.tags, EventKind::LeadTagAdded)?,
            Action::RemoveTags(tags) => self.change_tags(&tags.tags, EventKind::LeadTagRemoved)?,
            Action::UpdateLead(update) => self.update_lead(update)?,
            Action::MoveStage(stage) => {
                self.set_field("stageId", "stage_id", &json!(stage.stage_id), EventKind::LeadStageChanged)?
            }
            Action::AssignOwner(assign) => match assign.user_id {
                Some(owner) => self.assign(owner)?,
                None => return self.take_turn(assign),
            },
            Action::CreateActivity(activity) => self.create_activity(activity)?,
            Action::Notify(notify) => self.notify(notify)?,
            Action::Wait(_) | Action::Branch(_) | Action::Split(_) | Action::Webhook(_) | Action::Exit(_) => {
                Value::Null
            }
        };
        Ok(match output {
            Value::Null => Flow::Skip(after, json!({"changed": false})),
            output => Flow::Go(after, output),
        })
    }

    fn send(&mut self, send: &SendMessage) -> Result<Flow, Failure> {
        let lead_id = self.given.run.lead_id.ok_or_else(|| ("no_lead", NO_LEAD.to_owned()))?;
        let template = match send.template_id {
            None => None,
            Some(id) => {
                let found = self.given.templates.get(&id);
                Some((id, found.ok_or_else(|| ("unknown_template", "The template is gone.".to_owned()))?))
            }
        };
        let subject = send
            .subject
            .as_ref()
            .map(Line::as_str)
            .or_else(|| template.and_then(|(_, text)| text.subject.as_deref()));
        let body =
            send.body.as_ref().map(Prose::as_str).or_else(|| template.map(|(_, text)| text.body.as_str()));
        let composed = templates::compose(send.channel, subject, body.unwrap_or_default(), &self.roots)
            .map_err(|(_, error)| ("invalid_template", error.to_string()))?;
        let outgoing = Outgoing {
            lead_id,
            channel: send.channel,
            purpose: template.map_or(send.purpose, |(_, text)| text.purpose),
            template: template.map(|(id, text)| (id, text.version)),
            subject: composed.subject,
            body: composed.body,
            html: composed.html,
            seq: self.seq,
        };
        self.writes.message = Some(outgoing);
        Ok(Flow::Rest(Next::Waiting { until: None, kind: wake::EFFECT, event: None }))
    }

    fn change_tags(&mut self, tags: &[Tag], kind: EventKind) -> Result<Value, Failure> {
        let adds = kind == EventKind::LeadTagAdded;
        let lead = self.lead_mut()?;
        let before: Vec<String> =
            lead.get("tags").and_then(|tags| serde_json::from_value(tags.clone()).ok()).unwrap_or_default();
        let changed: Vec<&str> = tags
            .iter()
            .map(Tag::as_str)
            .filter(|tag| before.iter().any(|known| known == tag) != adds)
            .collect();
        if changed.is_empty() {
            return Ok(Value::Null);
        }
        let mut after = before.clone();
        if adds {
            after.extend(changed.iter().map(|tag| (*tag).to_owned()));
        } else {
            after.retain(|tag| !changed.contains(&tag.as_str()));
        }
        lead.insert("tags".to_owned(), json!(after));
        self.writes.lead.insert("tags".to_owned(), json!(after));
        for tag in &changed {
            self.tell(kind, json!({"tags": before}), Some(tag));
        }
        Ok(json!({ "tags": changed }))
    }

    fn update_lead(&mut self, update: &UpdateLead) -> Result<Value, Failure> {
        let mut previous = Map::new();
        for (field, value) in &update.set {
            let value =
                text::render_value(value, &self.roots).map_err(|error| ("invalid_template", error))?;
            let own = field.strip_prefix("cf.").or_else(|| field.strip_prefix("customFields."));
            match own {
                Some(key) => self.set_own_field(key, &value, &mut previous)?,
                None => self.set_plain_field(field, value, &mut previous)?,
            }
        }
        if previous.is_empty() {
            return Ok(Value::Null);
        }
        let fields: Vec<String> = previous.keys().cloned().collect();
        self.tell(EventKind::LeadUpdated, Value::Object(previous), None);
        Ok(json!({ "fields": fields }))
    }

    fn set_plain_field(
        &mut self,
        field: &str,
        value: Value,
        previous: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        let column = validate::SETTABLE.iter().find(|(name, _)| *name == field).map(|(_, column)| *column);
        let column = column.ok_or_else(|| ("unknown_field", format!("A step cannot set `{field}`.")))?;
        let value = checked(field, value)?;
        let lead = self.lead_mut()?;
        let before = lead.insert(field.to_owned(), value.clone()).unwrap_or_default();
        if before != value {
            previous.insert(field.to_owned(), before);
            self.writes.lead.insert(column.to_owned(), value);
        }
        Ok(())
    }

    fn set_own_field(
        &mut self,
        key: &str,
        value: &Value,
        previous: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        let lead = self.lead_mut()?;
        let mut own = lead.get("customFields").and_then(Value::as_object).cloned().unwrap_or_default();
        let before =
            if value.is_null() { own.remove(key) } else { own.insert(key.to_owned(), value.clone()) };
        if before.as_ref().unwrap_or(&Value::Null) != value {
            previous.insert(format!("customFields.{key}"), before.unwrap_or_default());
            lead.insert("customFields".to_owned(), Value::Object(own.clone()));
            self.writes.lead.insert("custom_fields".to_owned(), Value::Object(own));
        }
        Ok(())
    }

    fn set_field(
        &mut self,
        field: &str,
        column: &str,
        value: &Value,
        kind: EventKind,
    ) -> Result<Value, Failure> {
        let lead = self.lead_mut()?;
        let before = lead.insert(field.to_owned(), value.clone()).unwrap_or_default();
        if before == *value {
            return Ok(Value::Null);
        }
        self.writes.lead.insert(column.to_owned(), value.clone());
        self.tell(kind, json!({field: before}), None);
        Ok(json!({field: value}))
    }

    fn assign(&mut self, owner: uuid::Uuid) -> Result<Value, Failure> {
        let before = self.lead_mut()?.get("ownerId").cloned().unwrap_or_default();
        let changed = self.set_field("ownerId", "owner_id", &json!(owner), EventKind::LeadUpdated)?;
        let run = self.given.run;
        if let Some(lead_id) = run.lead_id.filter(|_| !changed.is_null()) {
            self.writes.assigned.push(Assigned {
                lead_id,
                owner: Some(owner),
                previous: before.as_str().and_then(|id| id.parse().ok()),
                policy_id: None,
                absent: Vec::new(),
                actor: ("automation", Some(run.id)),
            });
        }
        Ok(changed)
    }

    /// Whose turn it is, is known when the rotation is held: the run stops here, and is due again at once.
    fn take_turn(&mut self, assign: &AssignOwner) -> Result<Flow, Failure> {
        let lead_id = self.given.run.lead_id.ok_or_else(|| ("no_lead", NO_LEAD.to_owned()))?;
        let of = assign.policy_id.map_or_else(|| Turns::List(assign.round_robin.clone()), Turns::Policy);
        self.writes.turn = Some(WantedTurn { lead_id, of, seq: self.seq });
        Ok(Flow::Rest(Next::Waiting { until: None, kind: wake::EFFECT, event: None }))
    }

    fn create_activity(&mut self, activity: &CreateActivity) -> Result<Value, Failure> {
        let run = self.given.run;
        let id = new_id();
        let row = ActivityRow {
            id,
            lead_id: run.lead_id.ok_or_else(|| ("no_lead", NO_LEAD.to_owned()))?,
            kind: activity.kind.as_str().to_owned(),
            title: self.text(activity.title.as_str())?,
            body: activity.body.as_ref().map(|body| self.text(body.as_str())).transpose()?,
            due_at: activity.due_in.as_ref().and_then(|span| span.after(self.given.now, self.zone)),
            assignee_id: activity.assignee_id,
            run_id: run.id,
            dedupe_key: format!("run:{}:{}", run.id, self.seq),
        };
        self.writes.activities.push(row);
        Ok(json!({"activityId": id}))
    }

    fn notify(&mut self, notify: &Notify) -> Result<Value, Failure> {
        let run = self.given.run;
        let to = match (notify.user_id, notify.role) {
            (Some(user), _) => NoticeTo::User(user),
            (None, Some(role)) => NoticeTo::Role(role),
            (None, None) => return Ok(Value::Null),
        };
        let notice = Notice {
            to,
            kind: "automation",
            title: notify.title.as_ref().map(|title| self.text(title.as_str())).transpose()?,
            body: self.text(notify.body.as_str())?,
            lead_id: run.lead_id,
            data: json!({"runId": run.id, "automationId": run.automation_id}),
            dedupe_key: format!("run:{}:{}", run.id, self.seq),
        };
        self.writes.notices.push(notice);
        Ok(json!({"notified": true}))
    }

    fn text(&self, source: &str) -> Result<String, Failure> {
        self.render(source).map_err(|error| ("invalid_template", error))
    }

    fn lead_mut(&mut self) -> Result<&mut Map<String, Value>, Failure> {
        let lead = self.roots.get_mut("lead").and_then(Value::as_object_mut);
        lead.ok_or_else(|| ("no_lead", NO_LEAD.to_owned()))
    }

    fn tell(&mut self, kind: EventKind, previous: Value, tag: Option<&str>) {
        let run = self.given.run;
        let Some(lead_id) = run.lead_id else { return };
        let mut payload = self.roots.get("lead").cloned().unwrap_or_default();
        if let (Some(tag), Some(fields)) = (tag, payload.as_object_mut()) {
            fields.insert("tag".to_owned(), json!(tag));
        }
        self.writes.events.push(NewEvent {
            kind,
            subject_id: lead_id,
            lead_id: Some(lead_id),
            payload,
            previous: Some(previous),
            source: "automation",
            dedupe_key: format!("run:{}:{}:{}", run.id, self.seq, self.writes.events.len()),
            cause: Cause { run_id: Some(run.id), depth: run.depth },
            occurred_at: self.given.now,
        });
    }
}

/// A value that the column takes.
fn checked(field: &str, value: Value) -> Result<Value, Failure> {
    let refuse = |detail: &str| ("invalid_value", format!("`{field}`: {detail}"));
    match (field, &value) {
        ("score", Value::String(text)) => {
            text.trim().parse::<i32>().map(Value::from).map_err(|_| refuse("a whole number is expected."))
        }
        ("status" | "source", Value::String(word)) => {
            let fits = word.len() <= 40
                && word.starts_with(|c: char| c.is_ascii_lowercase())
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if fits { Ok(value) } else { Err(refuse("a plain word is expected.")) }
        }
        ("timezone", Value::String(zone)) if zone.parse::<chrono_tz::Tz>().is_err() => {
            Err(refuse("an IANA zone is expected."))
        }
        (_, Value::String(text)) if text.chars().count() > 200 => {
            Err(refuse("at most 200 characters are taken."))
        }
        (_, Value::String(_) | Value::Null) | ("score", Value::Number(_)) => Ok(value),
        _ => Err(refuse("a text is expected.")),
    }
}
