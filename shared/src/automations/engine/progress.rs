//! One transaction of progress for a batch of claimed runs.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    assign,
    calls::Call,
    flush::{self, CallRow, RunRow},
    load::{self, Batch, Ready},
    model::{Claimed, Next, StepRow, Walked, WantedTurn, Writes, wake},
    walk::{Given, walk},
};
use crate::{
    assignment::{self, Assigned},
    crypto::AddressHasher,
    db::{DbError, DbResult, TenantTx},
    events,
    queue::{Hint, HintKind},
};

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests that are marked as begun and must now be made.
    pub calls: Vec<Call>,
    /// Whether a run of the batch is due again at once.
    pub again: bool,
    /// Runs that are completed, which nothing can ever make due again.
    pub completed: Vec<Uuid>,
}

/// Moves the claimed runs, each as far as the database alone allows. Nothing is kept unless the caller commits.
///
/// # Errors
/// When the database refuses something; then nothing of the batch is written and its runs can be tried one at a time. Given a
/// `failure`, a single run is failed with it instead of being walked.
pub async fn progress(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    claimed: Vec<Claimed>,
    failure: Option<&DbError>,
) -> DbResult<Progress> {
    let mut batch = load::load(tx, claimed).await?;
    let zone = tx.zone();
    let mut done = Vec::with_capacity(batch.runs.len());
    let mut leads: HashMap<Uuid, Map<String, Value>> = HashMap::new();
    for ready in std::mem::take(&mut batch.runs) {
        let mut walked = match failure {
            Some(error) => failed(&ready.run, error),
            None => walk_safely(&ready, &batch, zone),
        };
        if let Some(id) = ready.run.lead_id {
            leads.entry(id).or_default().append(&mut walked.writes.lead);
            if let Some(lead) = walked.lead.take() {
                batch.leads.insert(id, lead);
            }
        }
        done.push((ready.run, walked));
    }
    write(tx, hasher, &mut batch, leads, done).await
}

fn walk_safely(ready: &Ready, batch: &Batch, zone: chrono_tz::Tz) -> Walked {
    let run = &ready.run;
    if ready.cancelled {
        return stopped(run, Next::Cancelled("cancelled"));
    }
    let Some(graph) = &ready.graph else {
        let message = "The published version cannot be read.".to_owned();
        return stopped(run, Next::Attention { code: "unreadable_graph", message });
    };
    let mut facts = ready.facts.clone();
    facts.lead = run.lead_id.and_then(|id| batch.leads.get(&id)).cloned();
    let given = Given { run, graph, facts, now: batch.now, zone, templates: &batch.templates };
    catch_unwind(AssertUnwindSafe(|| walk(&given))).unwrap_or_else(|_| {
        tracing::error!(run = %run.id, "a walk panicked");
        stopped(
            run,
            Next::Attention { code: "internal_error", message: "The engine failed at this run.".to_owned() },
        )
    })
}

/// A run that goes no further than where it stands.
fn stopped(run: &Claimed, next: Next) -> Walked {
    Walked {
        writes: Writes::default(),
        next,
        current_step: run.current_step.clone(),
        step_seq: run.step_seq,
        lead: None,
    }
}

/// A run whose writes the database refuses.
fn failed(run: &Claimed, error: &DbError) -> Walked {
    let (code, message) = match error.constraint() {
        Some("leads_stage_id_fkey") => ("unknown_stage", "The stage is gone."),
        Some("leads_owner_id_fkey" | "activities_assignee_id_fkey") => {
            ("unknown_user", "The colleague is gone.")
        }
        Some("automation_runs_context_check") => {
            ("context_too_large", "The variables of the run take more than 64 KiB.")
        }
        _ => ("refused", "The database refused what the step wanted written."),
    };
    tracing::warn!(run = %run.id, %error, "a run is failed because its writes were refused");
    stopped(run, Next::Failed { code: code.to_owned(), message: message.to_owned() })
}

async fn write(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    batch: &mut Batch,
    mut leads: HashMap<Uuid, Map<String, Value>>,
    done: Vec<(Claimed, Walked)>,
) -> DbResult<Progress> {
    let mut sheet = Sheet::default();
    for (run, walked) in done {
        sheet.add(run, walked);
    }
    let wanted = std::mem::take(&mut sheet.turns);
    for outcome in assign::take_turns(tx, batch, &mut leads, wanted).await? {
        sheet.turn_taken(outcome);
    }
    flush::leads(tx, &leads).await?;
    assignment::note(tx, batch.now, &sheet.assigned).await?;
    flush::activities(tx, &sheet.activities).await?;
    flush::notices(tx, &sheet.notices).await?;
    let senders: Vec<Uuid> = sheet.outgoing.iter().map(|(run, _)| *run).collect();
    let planned = flush::messages(tx, hasher, batch.now, std::mem::take(&mut sheet.outgoing)).await?;
    for (run, (output, waits)) in senders.into_iter().zip(planned) {
        sheet.planned(run, output, waits);
    }
    let calls = flush::calls(tx, &sheet.calls).await?;
    flush::steps(tx, &sheet.steps).await?;
    flush::runs(tx, &sheet.runs).await?;
    hint_wakes(tx, batch, &sheet.runs);
    events::emit(tx, &sheet.events).await?;
    let completed = sheet.runs.iter().filter(|run| run.status == "completed").map(|run| run.id).collect();
    Ok(Progress { calls, again: sheet.runs.iter().any(|run| run.due_now), completed })
}

/// A wait that ends soon is hinted with its delay; longer ones are left to the sweep.
fn hint_wakes(tx: &mut TenantTx, batch: &Batch, runs: &[RunRow]) {
    let tenant = tx.tenant_id();
    for run in runs {
        let delay = run.wake_at.and_then(|at| (at - batch.now).to_std().ok());
        if let Some(hint) = delay.and_then(|delay| Hint::now(tenant, HintKind::Run, run.id).after(delay)) {
            tx.hint(hint);
        }
    }
}

/// Everything that a batch wants written, by kind.
#[derive(Default)]
struct Sheet {
    runs: Vec<RunRow>,
    steps: Vec<StepRow>,
    activities: Vec<super::model::ActivityRow>,
    notices: Vec<super::model::Notice>,
    outgoing: Vec<(Uuid, super::model::Outgoing)>,
    calls: Vec<CallRow>,
    events: Vec<events::NewEvent>,
    turns: Vec<(Claimed, WantedTurn)>,
    assigned: Vec<Assigned>,
}

impl Sheet {
    fn add(&mut self, run: Claimed, walked: Walked) {
        let Walked { writes, next, current_step, step_seq, .. } = walked;
        if next == Next::Calling {
            self.calls.push(CallRow::new(run.id, step_seq, run.lease_epoch, writes.call));
        }
        self.outgoing.extend(writes.message.map(|message| (run.id, message)));
        self.steps.extend(writes.steps);
        self.activities.extend(writes.activities);
        self.notices.extend(writes.notices);
        self.events.extend(writes.events);
        self.assigned.extend(writes.assigned);
        self.turns.extend(writes.turn.map(|turn| (run.clone(), turn)));
        let mut context = run.context;
        if let Some(fields) = context.as_object_mut() {
            // The walk has used it; the next wait needs its own.
            fields.remove("wokenBy");
        }
        let row = RunRow {
            id: run.id,
            epoch: run.lease_epoch,
            current_step,
            step_seq,
            context,
            ..RunRow::default()
        };
        self.runs.push(standing(row, next));
    }

    /// A message that a rule forbids is an answer too: the run goes on at once.
    fn planned(&mut self, run: Uuid, output: Value, waits: bool) {
        self.answered(run, output, if waits { None } else { Some("skipped") });
    }

    /// Whoever was found or not: the run goes on at once.
    fn turn_taken(&mut self, outcome: assign::Outcome) {
        self.answered(outcome.run_id, outcome.output, Some(outcome.status));
        self.events.extend(outcome.event);
        self.assigned.extend(outcome.assigned);
    }

    /// The answer to the step that a run stopped at, and how the step ended, if it did.
    fn answered(&mut self, run: Uuid, output: Value, ended: Option<&'static str>) {
        let Some(row) = self.runs.iter_mut().find(|row| row.id == run) else { return };
        let step = self.steps.iter_mut().find(|step| step.run_id == run && step.seq == row.step_seq);
        if let Some(step) = step {
            step.output = Some(output);
            step.status = ended.unwrap_or(step.status);
            step.ended = ended.is_some();
        }
        if ended.is_some() {
            row.status = "queued";
            row.due_now = true;
        }
    }
}

fn standing(row: RunRow, next: Next) -> RunRow {
    match next {
        Next::Again => RunRow { status: "queued", due_now: true, ..row },
        Next::Waiting { until, kind, event } => {
            RunRow { status: "waiting", wake_at: until, wake_kind: Some(kind), wait_event: event, ..row }
        }
        Next::Calling => RunRow { status: "running", wake_kind: Some(wake::CALL), ..row },
        Next::Completed(reason) => {
            RunRow { status: "completed", exit_reason: Some(reason), ended: true, ..row }
        }
        Next::Failed { code, message } => RunRow {
            status: "failed",
            error_code: Some(code),
            error_message: Some(message),
            ended: true,
            ..row
        },
        Next::Attention { code, message } => RunRow {
            status: "attention",
            error_code: Some(code.to_owned()),
            error_message: Some(message),
            ..row
        },
        Next::Cancelled(reason) => {
            RunRow { status: "cancelled", exit_reason: Some(reason.to_owned()), ended: true, ..row }
        }
    }
}
