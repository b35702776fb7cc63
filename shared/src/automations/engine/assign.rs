//! Steps that ask whose turn it is: the turns of a whole batch, taken rotation by rotation.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    load::Batch,
    model::{Claimed, Turns, WantedTurn},
};
use crate::{
    assignment::{self, Assigned, Rotation, Taken, Turn},
    db::{DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent},
};

/// What came of one step.
pub(super) struct Outcome {
    pub(super) run_id: Uuid,
    /// How the step ended.
    pub(super) status: &'static str,
    pub(super) output: Value,
    pub(super) event: Option<NewEvent>,
    /// What is to be written down: nothing when it is the colleague's already.
    pub(super) assigned: Option<Assigned>,
}

/// Takes the turns. The people are held already; the rotations are held in one order, so that two workers never wait for each
/// other. What changes on a person is added to `leads`.
///
/// # Errors
/// When the database refuses.
pub(super) async fn take_turns(
    tx: &mut TenantTx,
    batch: &mut Batch,
    leads: &mut HashMap<Uuid, Map<String, Value>>,
    wanted: Vec<(Claimed, WantedTurn)>,
) -> DbResult<Vec<Outcome>> {
    let mut by_rotation: BTreeMap<Turns, Vec<(Claimed, WantedTurn)>> = BTreeMap::new();
    for (run, turn) in wanted {
        by_rotation.entry(turn.of.clone()).or_default().push((run, turn));
    }
    let mut outcomes = Vec::new();
    for (of, wanted) in by_rotation {
        let rotation = match &of {
            Turns::Policy(id) => assignment::find_policy(tx, *id).await?.map(|policy| policy.rotation()),
            Turns::List(users) => Some(Rotation::of(users)),
        };
        let taken = match &rotation {
            Some(rotation) => assignment::take(tx, batch.now, rotation, wanted.len()).await?,
            // The policy is gone: nobody takes turns by it.
            None => Taken { turns: vec![Turn::Nobody; wanted.len()], absent: Vec::new() },
        };
        let policy_id = rotation.as_ref().and_then(|rotation| rotation.policy_id);
        for ((run, turn), outcome) in wanted.into_iter().zip(&taken.turns) {
            let assigned = Assigned {
                lead_id: turn.lead_id,
                owner: outcome.owner(),
                previous: None,
                policy_id,
                absent: taken.absent.clone(),
                actor: ("automation", Some(run.id)),
            };
            outcomes.push(settle(batch, leads, (&run, &turn), assigned));
        }
    }
    Ok(outcomes)
}

fn settle(
    batch: &mut Batch,
    leads: &mut HashMap<Uuid, Map<String, Value>>,
    (run, turn): (&Claimed, &WantedTurn),
    assigned: Assigned,
) -> Outcome {
    let facts = batch.leads.get_mut(&turn.lead_id).and_then(Value::as_object_mut);
    let before = facts.as_ref().and_then(|facts| facts.get("ownerId").cloned()).unwrap_or_default();
    let assigned = Assigned { previous: before.as_str().and_then(|id| id.parse().ok()), ..assigned };
    let Some(owner) = assigned.owner else {
        let output = json!({"assigned": false, "absent": assigned.absent});
        let assigned = Assigned { owner: None, previous: None, ..assigned };
        return Outcome { run_id: run.id, status: "skipped", output, event: None, assigned: Some(assigned) };
    };
    let mut event = None;
    if let Some(facts) = facts.filter(|_| assigned.previous != Some(owner)) {
        facts.insert("ownerId".to_owned(), json!(owner));
        leads.entry(turn.lead_id).or_default().insert("owner_id".to_owned(), json!(owner));
        event = Some(NewEvent {
            kind: EventKind::LeadUpdated,
            subject_id: turn.lead_id,
            lead_id: Some(turn.lead_id),
            payload: Value::Object(facts.clone()),
            previous: Some(json!({"ownerId": before})),
            source: "automation",
            dedupe_key: format!("run:{}:{}:owner", run.id, turn.seq),
            cause: Cause { run_id: Some(run.id), depth: run.depth },
            occurred_at: batch.now,
        });
    }
    let assigned = event.is_some().then_some(assigned);
    Outcome { run_id: run.id, status: "completed", output: json!({"ownerId": owner}), event, assigned }
}
