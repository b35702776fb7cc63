//! What a batch of walks is told: runs still held, events, people, graphs, templates. A handful of statements for any number of runs.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::model::{Claimed, Facts, OpenStep};
use crate::{
    automations::{
        action::Action,
        graph::{Definition, Graph},
    },
    conditions::{History, Past},
    db::{DbResult, TenantTx},
    messages::Purpose,
};

/// How many graphs a process keeps; versions never change, so they never go stale.
const KEPT_GRAPHS: usize = 500;

type Graphs = HashMap<(Uuid, Uuid, i32), Option<Arc<Graph>>>;
static GRAPHS: LazyLock<Mutex<Graphs>> = LazyLock::new(Mutex::default);

/// The templates that the graphs of a batch name.
pub(super) type Templates = HashMap<Uuid, TemplateText>;

/// A template's text.
#[derive(Clone, Debug)]
pub(super) struct TemplateText {
    /// Its version.
    pub version: i32,
    /// What its messages are for.
    pub purpose: Purpose,
    /// Subject of an e-mail.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
}

/// A batch that is ready to walk. Runs that are no longer held are left out.
pub(super) struct Batch {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The runs.
    pub runs: Vec<Ready>,
    /// The people, locked until the transaction ends.
    pub leads: HashMap<Uuid, Value>,
    /// The templates.
    pub templates: Templates,
}

/// A run that is ready to walk.
pub(super) struct Ready {
    /// The run.
    pub run: Claimed,
    /// What it is told, but for the lead, whom other walks of the batch may change first.
    pub facts: Facts,
    /// Whether somebody has called it off.
    pub cancelled: bool,
    /// Its graph; none when it cannot be read.
    pub graph: Option<Arc<Graph>>,
}

/// Locks the runs that are still held, and their people, and reads what the walks need.
///
/// # Errors
/// When the database refuses.
pub(super) async fn load(tx: &mut TenantTx, claimed: Vec<Claimed>) -> DbResult<Batch> {
    let (now, mut runs) = lock_runs(tx, claimed).await?;
    let leads = lock_leads(tx, &runs).await?;
    let graphs = graphs(tx, &runs).await?;
    for ready in &mut runs {
        ready.graph = graphs.get(&(ready.run.automation_id, ready.run.version)).cloned().flatten();
    }
    ask_history(tx, now, &mut runs).await?;
    let templates = templates(tx, &runs).await?;
    Ok(Batch { now, runs, leads, templates })
}

async fn lock_runs(tx: &mut TenantTx, claimed: Vec<Claimed>) -> DbResult<(DateTime<Utc>, Vec<Ready>)> {
    let (ids, epochs): (Vec<Uuid>, Vec<i64>) = claimed.iter().map(|run| (run.id, run.lease_epoch)).unzip();
    let rows = sqlx::query!(
        r#"select r.id, r.cancel_requested_at is not null as "cancelled!", coalesce(e.payload, r.context -> 'event') as event,
                  s.status as "step_status?", s.error_code as "step_code?", s.error_message as "step_message?", now() as "now!",
                  (select jsonb_build_object('id', t.id, 'name', t.name, 'slug', t.slug, 'timezone', t.timezone,
                                             'country', t.country, 'currency', t.currency, 'locale', t.locale)
                     from tenants t where t.id = $1) as tenant
             from unnest($2::uuid[], $3::bigint[]) as held (id, epoch)
             join automation_runs r on r.tenant_id = $1 and r.id = held.id and r.lease_epoch = held.epoch and r.status = 'running'
             left join events e on e.tenant_id = $1 and e.id = r.trigger_event_id
             left join automation_run_steps s on s.tenant_id = $1 and s.run_id = r.id and s.seq = r.step_seq
              for update of r"#,
        tx.tenant(),
        &ids,
        &epochs,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut by_id: HashMap<Uuid, Claimed> = claimed.into_iter().map(|run| (run.id, run)).collect();
    let now = rows.first().map_or(DateTime::UNIX_EPOCH, |row| row.now);
    let ready = rows.into_iter().filter_map(|row| {
        let error = row.step_code.map(|code| (code, row.step_message.unwrap_or_default()));
        let facts = Facts {
            lead: None,
            event: row.event.unwrap_or_default(),
            past: Past::default(),
            tenant: row.tenant.unwrap_or_default(),
            open_step: row.step_status.map(|status| OpenStep { status, error }),
        };
        Some(Ready { run: by_id.remove(&row.id)?, facts, cancelled: row.cancelled, graph: None })
    });
    Ok((now, ready.collect()))
}

/// What the graphs ask about the past of their people: a statement for each graph that asks for any.
async fn ask_history(tx: &mut TenantTx, now: DateTime<Utc>, runs: &mut [Ready]) -> DbResult<()> {
    let mut people: HashMap<(Uuid, i32), (Arc<Graph>, Vec<Uuid>)> = HashMap::new();
    for ready in runs.iter() {
        if let (Some(graph), Some(lead)) = (&ready.graph, ready.run.lead_id) {
            let key = (ready.run.automation_id, ready.run.version);
            people.entry(key).or_insert_with(|| (Arc::clone(graph), Vec::new())).1.push(lead);
        }
    }
    let mut history = History::default();
    for (graph, leads) in people.into_values() {
        history.extend(History::ask(tx, now, &leads, graph.conditions()).await?);
    }
    for ready in runs {
        ready.facts.past = ready.run.lead_id.map(|lead| history.of(lead)).unwrap_or_default();
    }
    Ok(())
}

/// In order of their ids, so that two workers never wait for each other.
async fn lock_leads(tx: &mut TenantTx, runs: &[Ready]) -> DbResult<HashMap<Uuid, Value>> {
    let ids: Vec<Uuid> = runs.iter().filter_map(|ready| ready.run.lead_id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select l.id, lead_facts(l) as "facts!" from leads l
            where l.tenant_id = $1 and l.id = any($2) and l.deleted_at is null and l.merged_into_id is null
            order by l.id for no key update"#,
        tx.tenant(),
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.facts)).collect())
}

type BatchGraphs = HashMap<(Uuid, i32), Option<Arc<Graph>>>;

async fn graphs(tx: &mut TenantTx, runs: &[Ready]) -> DbResult<BatchGraphs> {
    let tenant = tx.tenant();
    let wanted: HashSet<(Uuid, i32)> =
        runs.iter().map(|ready| (ready.run.automation_id, ready.run.version)).collect();
    let mut found: BatchGraphs = {
        let kept = GRAPHS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = wanted
            .iter()
            .filter_map(|(id, version)| Some(((*id, *version), kept.get(&(tenant, *id, *version))?.clone())));
        known.collect()
    };
    let missing: Vec<(Uuid, i32)> = wanted.into_iter().filter(|key| !found.contains_key(key)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let read = read_graphs(tx, &missing).await?;
    let mut kept = GRAPHS.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() + read.len() > KEPT_GRAPHS {
        kept.clear();
    }
    for ((id, version), graph) in read {
        kept.insert((tenant, id, version), graph.clone());
        found.insert((id, version), graph);
    }
    Ok(found)
}

async fn read_graphs(tx: &mut TenantTx, wanted: &[(Uuid, i32)]) -> DbResult<BatchGraphs> {
    let (ids, versions): (Vec<Uuid>, Vec<i32>) = wanted.iter().copied().unzip();
    let rows = sqlx::query!(
        "select v.automation_id, v.version, v.graph
           from unnest($2::uuid[], $3::int[]) as wanted (id, version)
           join automation_versions v on v.tenant_id = $1 and v.automation_id = wanted.id and v.version = wanted.version",
        tx.tenant(),
        &ids,
        &versions,
    )
    .fetch_all(tx.conn())
    .await?;
    let graphs = rows.into_iter().map(|row| {
        let graph = Definition::from_graph(&row.graph).graph();
        if let Err(problems) = &graph {
            let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_ref()).collect();
            tracing::error!(automation = %row.automation_id, row.version, ?codes, "a published graph cannot be read");
        }
        ((row.automation_id, row.version), graph.ok().map(Arc::new))
    });
    Ok(graphs.collect())
}

async fn templates(tx: &mut TenantTx, runs: &[Ready]) -> DbResult<Templates> {
    let graphs = runs.iter().filter_map(|ready| ready.graph.as_deref());
    let ids: HashSet<Uuid> = graphs.flat_map(template_ids).collect();
    read_templates(tx, ids.into_iter().collect()).await
}

/// The templates that a graph names.
pub(super) fn template_ids(graph: &Graph) -> impl Iterator<Item = Uuid> {
    graph.steps.iter().filter_map(|step| match &step.action {
        Action::SendMessage(send) => send.template_id,
        _ => None,
    })
}

pub(super) async fn read_templates(tx: &mut TenantTx, ids: Vec<Uuid>) -> DbResult<Templates> {
    if ids.is_empty() {
        return Ok(Templates::new());
    }
    let rows = sqlx::query!(
        "select id, purpose, subject, body, current_version from templates where tenant_id = $1 and id = any($2)",
        tx.tenant(),
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let text = |purpose: &str, subject, body, version| TemplateText {
        version,
        purpose: Purpose::parse(purpose).unwrap_or_default(),
        subject,
        body,
    };
    Ok(rows
        .into_iter()
        .map(|row| (row.id, text(&row.purpose, row.subject, row.body, row.current_version)))
        .collect())
}
