//! Triggers with a filter: the events are told, and now the conditions are asked.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock,
    conditions::{Condition, Facts, History},
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

struct Candidate {
    automation_id: Uuid,
    event_id: Uuid,
    lead_id: Option<Uuid>,
    filter: Value,
    event: Value,
    lead: Value,
}

/// Starts a run of each automation whose filter holds for its event. Pairs are (automation, event).
///
/// # Errors
/// When the database refuses.
pub async fn enrol_filtered(tx: &mut TenantTx, pairs: &[(Uuid, Uuid)]) -> DbResult<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    let now = clock::now();
    let asked: Vec<(Candidate, Condition)> =
        candidates(tx, pairs).await?.into_iter().filter_map(readable).collect();
    let people: Vec<Uuid> = asked.iter().filter_map(|(candidate, _)| candidate.lead_id).collect();
    let history = History::ask(tx, now, &people, asked.iter().map(|(_, filter)| filter)).await?;
    let matching: Vec<(Uuid, Uuid)> = asked
        .iter()
        .filter(|(candidate, filter)| matches(candidate, filter, &history, now))
        .map(|(candidate, _)| (candidate.automation_id, candidate.event_id))
        .collect();
    let tenant = tx.tenant_id();
    for run in enrol(tx, &matching).await? {
        tx.hint(Hint::now(tenant, HintKind::Run, run));
    }
    Ok(())
}

/// A filter that cannot be read matches nothing: publishing has validated it, so this is a defect, not an invitation.
fn readable(candidate: Candidate) -> Option<(Candidate, Condition)> {
    let Ok(filter) = serde_json::from_value::<Condition>(candidate.filter.clone()) else {
        tracing::error!(automation = %candidate.automation_id, "a published trigger filter cannot be read");
        return None;
    };
    Some((candidate, filter))
}

/// The event itself has been told, so it counts among what the person did.
fn matches(candidate: &Candidate, filter: &Condition, history: &History, now: DateTime<Utc>) -> bool {
    let roots = json!({"lead": candidate.lead, "event": candidate.event, "vars": {}});
    let past = candidate.lead_id.map(|lead| history.of(lead)).unwrap_or_default();
    filter.holds(&Facts { roots: &roots, now, past: &past })
}

async fn candidates(tx: &mut TenantTx, pairs: &[(Uuid, Uuid)]) -> DbResult<Vec<Candidate>> {
    let (automations, events): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
    let found = sqlx::query_as!(
        Candidate,
        r#"
        select a.id as automation_id, e.id as event_id, e.lead_id, a.trigger -> 'filter' as "filter!", e.payload as event,
               case when l.id is null then '{}'::jsonb else lead_facts(l) end as "lead!"
          from unnest($2::uuid[], $3::uuid[]) as pair (automation_id, event_id)
          join automations a on a.tenant_id = $1 and a.id = pair.automation_id
          join events e on e.tenant_id = $1 and e.id = pair.event_id
          left join leads l on l.tenant_id = $1 and l.id = e.lead_id
        "#,
        tx.tenant(),
        &automations,
        &events,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

async fn enrol(tx: &mut TenantTx, pairs: &[(Uuid, Uuid)]) -> DbResult<Vec<Uuid>> {
    let (automations, events): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
    let runs = sqlx::query_scalar!(
        "
        insert into automation_runs (tenant_id, id, automation_id, version, lead_id, trigger_event_id, entry_key, depth,
                                     status, error_code, error_message)
        select $1, new_id(), a.id, a.current_version, e.lead_id, e.id, entry_key(a.reentry, a.id, e.lead_id, e.id),
               least(e.depth + 1, 8), case when e.depth >= 8 then 'attention' else 'queued' end,
               case when e.depth >= 8 then 'loop_guard' end,
               case when e.depth >= 8 then 'Automations triggered each other eight times in a row.' end
          from unnest($2::uuid[], $3::uuid[]) as pair (automation_id, event_id)
          join automations a on a.tenant_id = $1 and a.id = pair.automation_id
          join events e on e.tenant_id = $1 and e.id = pair.event_id
        on conflict (tenant_id, automation_id, entry_key) do nothing
        returning id
        ",
        tx.tenant(),
        &automations,
        &events,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(runs)
}
