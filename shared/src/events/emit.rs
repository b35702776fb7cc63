//! The one statement that tells events and writes down everything that follows from them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Cause, EventKind, MAX_DEPTH};
use crate::{
    assignment,
    automations::triggers,
    clock,
    db::{DbResult, TenantTx},
    ids::new_id,
    leads::Lead,
    queue::{Hint, HintKind},
};

/// Who says so when no automation is to begin with it.
pub const SILENT: &str = "silentImport";

/// An event that is about to be told.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which row.
    pub subject_id: Uuid,
    /// The person it is about, if any. Automations act on this lead.
    pub lead_id: Option<Uuid>,
    /// The subject as the API shows it.
    pub payload: Value,
    /// Changed fields with their former values.
    pub previous: Option<Value>,
    /// Who says so: `api`, `automation`, `stripe` …
    pub source: &'static str,
    /// Unique within the source: the same fact told twice is one event.
    pub dedupe_key: String,
    /// The run behind it.
    pub cause: Cause,
    /// When it happened, by the clock of whoever says so.
    pub occurred_at: DateTime<Utc>,
}

impl NewEvent {
    /// Something that a person did through the API.
    #[must_use]
    pub fn by_api(
        kind: EventKind,
        now: DateTime<Utc>,
        subject_id: Uuid,
        lead_id: Option<Uuid>,
        payload: Value,
    ) -> Self {
        Self {
            kind,
            subject_id,
            lead_id,
            payload,
            previous: None,
            source: "api",
            dedupe_key: new_id().to_string(),
            cause: Cause::default(),
            occurred_at: now,
        }
    }
}

/// Tells events. What they start is hinted to the queues when the transaction commits.
///
/// # Errors
/// When the database refuses.
pub async fn emit(tx: &mut TenantTx, events: &[NewEvent]) -> DbResult<()> {
    emit_newcomers(tx, events).await.map(drop)
}

/// The same, for those who answer with a lead that they have just made: a policy may have put a colleague in charge of it,
/// which is told as well. Answers the leads of which that is so.
///
/// # Errors
/// When the database refuses.
pub async fn emit_newcomers(tx: &mut TenantTx, events: &[NewEvent]) -> DbResult<Vec<Lead>> {
    let (mut filtered, unowned) = tell(tx, events).await?;
    let mut assigned = Vec::new();
    if !unowned.is_empty() {
        let (leads, mut news) = assignment::welcome(tx, clock::now(), unowned).await?;
        // Whoever was to come in silence gets a colleague in silence.
        let silent: HashSet<Uuid> =
            events.iter().filter(|event| event.source == SILENT).filter_map(|event| event.lead_id).collect();
        for event in &mut news {
            if event.lead_id.is_some_and(|lead| silent.contains(&lead)) {
                event.source = SILENT;
            }
        }
        // Telling that a lead has a colleague makes no new one.
        filtered.extend(tell(tx, &news).await?.0);
        assigned = leads;
    }
    triggers::enrol_filtered(tx, &filtered).await?;
    Ok(assigned)
}

/// Automations with a filter and the events they may start with, and new leads that a policy could give away.
type Told = (Vec<(Uuid, Uuid)>, Vec<Uuid>);

async fn tell(tx: &mut TenantTx, events: &[NewEvent]) -> DbResult<Told> {
    let (mut filtered, mut unowned) = Told::default();
    if events.is_empty() {
        return Ok((filtered, unowned));
    }
    let tenant = tx.tenant_id();
    for owed in insert(tx, events).await? {
        match owed.kind.as_str() {
            "run" => tx.hint(Hint::now(tenant, HintKind::Run, owed.id)),
            "delivery" => tx.hint(Hint::now(tenant, HintKind::Delivery, owed.id)),
            "unowned" => unowned.push(owed.id),
            _ => filtered.extend(owed.event_id.map(|event| (owed.id, event))),
        }
    }
    Ok((filtered, unowned))
}

struct Owed {
    kind: String,
    id: Uuid,
    event_id: Option<Uuid>,
}

/// Automations with a filter are only named here; their conditions are evaluated by the engine that segments and
/// branches use, in a second statement that most events do not need.
async fn insert(tx: &mut TenantTx, events: &[NewEvent]) -> DbResult<Vec<Owed>> {
    let ids: Vec<Uuid> = events.iter().map(|_| new_id()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.word()).collect();
    let subject_kinds: Vec<&str> = events.iter().map(|event| event.kind.subject()).collect();
    let subjects: Vec<Uuid> = events.iter().map(|event| event.subject_id).collect();
    let leads: Vec<Option<Uuid>> = events.iter().map(|event| event.lead_id).collect();
    let payloads: Vec<Value> = events.iter().map(|event| event.payload.clone()).collect();
    let previous: Vec<Option<Value>> = events.iter().map(|event| event.previous.clone()).collect();
    let sources: Vec<&str> = events.iter().map(|event| event.source).collect();
    let keys: Vec<&str> = events.iter().map(|event| event.dedupe_key.as_str()).collect();
    let causes: Vec<Option<Uuid>> = events.iter().map(|event| event.cause.run_id).collect();
    let depths: Vec<i16> = events.iter().map(|event| event.cause.depth.min(MAX_DEPTH)).collect();
    let times: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    let owed = sqlx::query_as!(
        Owed,
        r#"
        with told as (
            insert into events (tenant_id, id, type, subject_kind, subject_id, lead_id, payload, previous, source,
                                dedupe_key, cause_run_id, depth, occurred_at)
            select $1, e.id, e.type, e.subject_kind, e.subject_id, e.lead_id, e.payload, e.previous, e.source,
                   e.dedupe_key, e.cause_run_id, e.depth, e.occurred_at
              from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::jsonb[], $8::jsonb[],
                          $9::text[], $10::text[], $11::uuid[], $12::int2[], $13::timestamptz[])
                as e (id, type, subject_kind, subject_id, lead_id, payload, previous, source,
                      dedupe_key, cause_run_id, depth, occurred_at)
            on conflict (tenant_id, source, dedupe_key) do nothing
            returning id, type, lead_id, depth, source
        ), triggered as (
            select a.id as automation_id, a.current_version, a.reentry, a.has_filter,
                   told.id as event_id, told.lead_id, told.depth
              from told join automations a
                on a.tenant_id = $1 and a.trigger_type = told.type and a.status = 'active' and told.source <> $14
        ), enrolled as (
            insert into automation_runs (tenant_id, id, automation_id, version, lead_id, trigger_event_id, entry_key,
                                         depth, status, error_code, error_message)
            select $1, new_id(), t.automation_id, t.current_version, t.lead_id, t.event_id,
                   entry_key(t.reentry, t.automation_id, t.lead_id, t.event_id),
                   least(t.depth + 1, 8), case when t.depth >= 8 then 'attention' else 'queued' end,
                   case when t.depth >= 8 then 'loop_guard' end,
                   case when t.depth >= 8 then 'Automations triggered each other eight times in a row.' end
              from triggered t where not t.has_filter
            on conflict (tenant_id, automation_id, entry_key) do nothing
            returning id, status
        ), woken as (
            update automation_runs r
               set wake_at = now(), context = r.context || jsonb_build_object('wokenBy', told.id)
              from told
             where r.tenant_id = $1 and r.status = 'waiting' and r.wait_event = told.type and r.lead_id = told.lead_id
            returning r.id
        ), owed as (
            insert into webhook_deliveries (tenant_id, id, endpoint_id, event_id)
            select $1, new_id(), w.id, told.id
              from told join webhook_endpoints w
                on w.tenant_id = $1 and w.status = 'active'
               and exists (select from unnest(w.events) p where told.type like replace(p, '*', '%'))
            returning id
        ), unowned as (
            select l.id from told join leads l on l.tenant_id = $1 and l.id = told.lead_id
             where told.type = 'lead.created' and l.owner_id is null
               and exists (select from assignment_policies p where p.tenant_id = $1 and p.for_new_leads)
        )
        select 'run' as "kind!", id as "id!", null::uuid as event_id from enrolled where status = 'queued'
        union all select 'run', id, null from woken
        union all select 'delivery', id, null from owed
        union all select 'filtered', automation_id, event_id from triggered where has_filter
        union all select 'unowned', id, null from unowned
        "#,
        tx.tenant(),
        &ids,
        &kinds as &[&str],
        &subject_kinds as &[&str],
        &subjects,
        &leads as &[Option<Uuid>],
        &payloads,
        &previous as &[Option<Value>],
        &sources as &[&str],
        &keys as &[&str],
        &causes as &[Option<Uuid>],
        &depths,
        &times,
        SILENT,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(owed)
}
