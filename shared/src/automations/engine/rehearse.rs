//! Rehearsals: the same walk, with time made to pass and nothing written.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    load::{Templates, read_templates, template_ids},
    model::{Claimed, Facts, Next, OpenStep, Walked, wake},
    walk::{Given, walk},
};
use crate::{
    auth::Owners,
    automations::graph::Graph,
    conditions::History,
    db::{DbResult, TenantTx},
    ids::new_id,
};

/// Looks that a rehearsal takes; a graph that waits for ever ends here.
const MAX_LOOKS: usize = 50;

/// What would happen to one person.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// The person.
    pub lead_id: Option<Uuid>,
    /// Where the run would end.
    pub status: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// The steps, in order.
    pub steps: Vec<RehearsedStep>,
}

/// One step of a rehearsal.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedStep {
    /// The step's id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How it would end.
    pub status: &'static str,
    /// When it would begin.
    pub at: DateTime<Utc>,
    /// What it would do.
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
}

/// Walks each person through the graph: waits are over at once, events do not come, messages are sent and requests answered in thought.
/// People who are not there are left out.
///
/// # Errors
/// When the database refuses.
pub async fn rehearse(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    graph: &Graph,
    people: &[Uuid],
    own_records_of: Owners<'_>,
    payload: &Map<String, Value>,
) -> DbResult<Vec<Rehearsal>> {
    let templates = read_templates(tx, template_ids(graph).collect()).await?;
    let leads = sqlx::query!(
        r#"select l.id, lead_facts(l) as "facts!" from leads l
            where l.tenant_id = $1 and l.id = any($2) and l.deleted_at is null and ($3::uuid[] is null or l.owner_id = any ($3))
            order by l.id limit 100"#,
        tx.tenant(),
        people,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut cast: Vec<(Option<Uuid>, Option<Value>)> =
        leads.into_iter().map(|row| (Some(row.id), Some(row.facts))).collect();
    if people.is_empty() {
        cast.push((None, None));
    }
    let zone = tx.zone();
    let people: Vec<Uuid> = cast.iter().filter_map(|(id, _)| *id).collect();
    let history = History::ask(tx, now, &people, graph.conditions()).await?;
    let play = |(lead_id, lead): (Option<Uuid>, Option<Value>)| {
        let past = lead_id.map(|lead| history.of(lead)).unwrap_or_default();
        let facts = Facts { lead, event: Value::Object(payload.clone()), past, ..Facts::default() };
        Play { graph, templates: &templates, now, zone, facts, preview: preview(lead_id) }.run()
    };
    Ok(cast.into_iter().map(play).collect())
}

const fn preview(lead_id: Option<Uuid>) -> Rehearsal {
    Rehearsal { lead_id, status: "waiting", reason: None, steps: Vec::new() }
}

struct Play<'a> {
    graph: &'a Graph,
    templates: &'a Templates,
    now: DateTime<Utc>,
    zone: chrono_tz::Tz,
    facts: Facts,
    preview: Rehearsal,
}

impl Play<'_> {
    fn run(mut self) -> Rehearsal {
        let mut run = Claimed {
            id: new_id(),
            automation_id: Uuid::nil(),
            version: 0,
            lead_id: self.preview.lead_id,
            current_step: None,
            step_seq: 0,
            wake_kind: None,
            lease_epoch: 0,
            context: json!({}),
            depth: 1,
        };
        for _ in 0..MAX_LOOKS {
            let given = Given {
                run: &run,
                graph: self.graph,
                facts: self.facts.clone(),
                now: self.now,
                zone: self.zone,
                templates: self.templates,
            };
            let walked = walk(&given);
            self.note(&walked);
            let kind = match walked.next {
                Next::Again => None,
                Next::Calling => Some(wake::EFFECT),
                Next::Waiting { until: None, kind: wake::EVENT, .. } => return self.preview,
                Next::Waiting { until, kind, .. } => {
                    self.now = until.unwrap_or(self.now);
                    Some(kind)
                }
                Next::Completed(reason) => {
                    return Rehearsal { status: "completed", reason: Some(reason), ..self.preview };
                }
                Next::Failed { message, .. } => {
                    return Rehearsal { status: "failed", reason: Some(message), ..self.preview };
                }
                Next::Attention { message, .. } => {
                    return Rehearsal { status: "attention", reason: Some(message), ..self.preview };
                }
                Next::Cancelled(reason) => {
                    return Rehearsal {
                        status: "cancelled",
                        reason: Some(reason.to_owned()),
                        ..self.preview
                    };
                }
            };
            run.current_step = walked.current_step;
            run.step_seq = walked.step_seq;
            run.wake_kind = kind.map(str::to_owned);
            self.facts.lead = walked.lead;
            self.facts.open_step = Some(OpenStep { status: "completed".to_owned(), error: None });
        }
        self.preview
    }

    fn note(&mut self, walked: &Walked) {
        let message = walked.writes.message.as_ref();
        for row in &walked.writes.steps {
            if let Some(open) = self
                .preview
                .steps
                .last_mut()
                .filter(|open| open.id == row.step_id && open.status != "completed")
            {
                open.status = row.status;
                continue;
            }
            let output = match (row.kind, message) {
                ("sendMessage", Some(message)) => {
                    Some(json!({"subject": message.subject, "body": message.body}))
                }
                _ => row.output.clone(),
            };
            self.preview.steps.push(RehearsedStep {
                id: row.step_id.clone(),
                kind: row.kind,
                status: row.status,
                at: self.now,
                output,
            });
        }
    }
}
