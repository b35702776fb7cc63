//! Runs as people see them: listed, read with their steps, cancelled, tried again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{Check, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    mask::Masked,
    messages::Status,
    private::Private,
    queue::{Hint, HintKind},
};

/// The statuses of a run.
const STATUSES: [&str; 8] =
    ["queued", "running", "waiting", "completed", "failed", "cancelled", "skipped", "attention"];

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run.
    pub id: Uuid,
    /// `queued`, `running`, `waiting`, `completed`, `failed`, `cancelled`, `skipped` or `attention`.
    pub status: String,
    /// Its automation.
    pub automation_id: Uuid,
    /// The version that it stays on.
    pub version: i32,
    /// The person, if it is about one.
    pub lead_id: Option<Uuid>,
    /// The step that it stands at.
    pub current_step: Option<String>,
    /// When it goes on by itself.
    pub wake_at: Option<DateTime<Utc>>,
    /// Why it stopped.
    pub error: Option<RunError>,
    /// Completed: `end`, `exit`, `goal` …
    pub exit_reason: Option<String>,
    /// When it came into being.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// A single run: its steps, in order of execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<RunStep>>,
}

/// Why a run or a step stopped.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunError {
    /// Stable word.
    pub code: String,
    /// For people.
    pub message: Option<String>,
    /// The step's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// One execution of one step.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStep {
    /// The step's id in the graph.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `pending`, `running`, `waiting`, `completed`, `skipped` or `failed`.
    pub status: String,
    /// How often it was tried.
    pub attempt: i32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    pub output: Private<Option<Value>>,
    /// Why it did not work.
    pub error: Option<RunError>,
}

impl Masked for Run {
    fn masked(self) -> Self {
        let steps = self.steps.map(|steps| steps.into_iter().map(RunStep::masked).collect());
        Self { error: self.error.masked(), steps, ..self }
    }
}

impl Masked for RunStep {
    fn masked(self) -> Self {
        Self { output: self.output.masked(), error: self.error.masked(), ..self }
    }
}

impl Masked for RunError {
    fn masked(self) -> Self {
        Self { message: self.message.masked(), ..self }
    }
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    status: String,
    automation_id: Uuid,
    version: i32,
    lead_id: Option<Uuid>,
    current_step: Option<String>,
    wake_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_step: Option<String>,
    exit_reason: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Row> for Run {
    fn from(row: Row) -> Self {
        let error =
            row.error_code.map(|code| RunError { code, message: row.error_message, step: row.error_step });
        Self {
            id: row.id,
            status: row.status,
            automation_id: row.automation_id,
            version: row.version,
            lead_id: row.lead_id,
            current_step: row.current_step,
            wake_at: row.wake_at,
            error,
            exit_reason: row.exit_reason,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            steps: None,
        }
    }
}

/// What runs can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Automations.
    pub automation_id: Vec<Uuid>,
    /// People.
    pub lead_id: Vec<Uuid>,
    /// Made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Made before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for RunFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            status: params.choices("status", &STATUSES),
            automation_id: params.ids("automationId"),
            lead_id: params.ids("leadId"),
            from,
            to,
        }
    }
}

/// One page of runs, without their steps. Who may only see their own records sees the runs about these.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    query: &ListQuery<RunFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Run>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select r.id, r.status, r.automation_id, r.version, r.lead_id, r.current_step, r.wake_at, r.error_code,
                r.error_message, r.error_step, r.exit_reason, r.created_at, r.started_at, r.finished_at
           from automation_runs r where r.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "r.status", &query.filter.status);
        push_any(&mut select, "r.automation_id", &query.filter.automation_id);
        push_any(&mut select, "r.lead_id", &query.filter.lead_id);
        push_range(&mut select, "r.created_at", (query.filter.from, query.filter.to));
        if let Some(owner) = own_records_of {
            select.push(" and exists (select from leads l where l.tenant_id = r.tenant_id and l.id = r.lead_id and l.owner_id = any (");
            select.push_bind(owner.to_vec()).push("))");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "r", &query.page);
    let rows = select.build_query_as::<Row>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page.map(Run::from))
}

/// The run with its steps.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<Option<Run>> {
    let row = sqlx::query_as!(
        Row,
        "select r.id, r.status, r.automation_id, r.version, r.lead_id, r.current_step, r.wake_at, r.error_code,
                r.error_message, r.error_step, r.exit_reason, r.created_at, r.started_at, r.finished_at
           from automation_runs r
          where r.tenant_id = $1 and r.id = $2
            and ($3::uuid[] is null or exists (
                 select from leads l where l.tenant_id = $1 and l.id = r.lead_id and l.owner_id = any ($3)))",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let steps = steps(tx, id).await?;
    Ok(Some(Run { steps: Some(steps), ..Run::from(row) }))
}

async fn steps(tx: &mut TenantTx, run: Uuid) -> DbResult<Vec<RunStep>> {
    let rows = sqlx::query!(
        r#"select step_id, type as kind, status, attempt, started_at, ended_at, output as "output: Private<Value>",
                  error_code, error_message
             from automation_run_steps where tenant_id = $1 and run_id = $2 order by seq limit 1001"#,
        tx.tenant(),
        run,
    )
    .fetch_all(tx.conn())
    .await?;
    let steps = rows.into_iter().map(|row| RunStep {
        id: row.step_id,
        kind: row.kind,
        status: row.status,
        attempt: row.attempt,
        started_at: row.started_at,
        ended_at: row.ended_at,
        output: Private::new(row.output.map(Private::into_inner)),
        error: row.error_code.map(|code| RunError { code, message: row.error_message, step: None }),
    });
    Ok(steps.collect())
}

/// Cancels runs: one that rests ends at once, one that a worker holds ends at its next look. What was planned and not yet begun is called back.
/// Ended runs are left as they are.
///
/// # Errors
/// When the database refuses.
pub(super) async fn cancel_all(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<()> {
    sqlx::query!(
        "with asked as (
             update automation_runs
                set cancel_requested_at = coalesce(cancel_requested_at, now()),
                    status = case when status = 'running' then status else 'cancelled' end,
                    finished_at = case when status = 'running' then finished_at else now() end,
                    wake_at = case when status = 'running' then wake_at end
              where tenant_id = $1 and id = any($2) and status in ('queued', 'waiting', 'running', 'attention')
             returning id, status
         ), closed as (
             update automation_run_steps set status = 'skipped', ended_at = now()
              where tenant_id = $1 and run_id in (select id from asked where status = 'cancelled')
                and status in ('pending', 'running', 'waiting')
         ), suppressed as (
             update effects set state = 'suppressed'
              where tenant_id = $1 and run_id in (select id from asked) and state = 'planned'
             returning message_id
         )
         update messages
            set status = 'canceled', status_rank = $3,
                history = history || jsonb_build_array(jsonb_build_object('status', 'canceled', 'at', now()))
          where tenant_id = $1 and id in (select message_id from suppressed)",
        tx.tenant(),
        ids,
        Status::Canceled.rank(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Cancels one run. The caller has looked whether it has ended.
///
/// # Errors
/// When the database refuses.
pub async fn cancel(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    cancel_all(tx, &[id]).await
}

/// How a run is tried again.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retry {
    /// `failedStep` or `start`.
    pub from: RetryFrom,
    /// `pinned` or `latest`.
    pub version: RetryVersion,
}

impl Check for Retry {}

/// Where a retry begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryFrom {
    /// At the step that failed; done steps keep their effects.
    #[default]
    FailedStep,
    /// At the first step.
    Start,
}

/// Which version a retry runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryVersion {
    /// The one that the run began with.
    #[default]
    Pinned,
    /// The published one.
    Latest,
}

/// Makes a stopped run due again. False when it has not stopped.
///
/// # Errors
/// When the database refuses.
pub async fn retry(tx: &mut TenantTx, id: Uuid, retry: Retry) -> DbResult<bool> {
    let again = sqlx::query_scalar!(
        "update automation_runs r
            set status = 'queued', wake_at = now(), wake_kind = null, wait_event = null, claims_since_progress = 0,
                cancel_requested_at = null, finished_at = null, error_code = null, error_message = null, error_step = null,
                current_step = case when $3 then null else coalesce(r.error_step, r.current_step) end,
                version = case when $4 then coalesce(a.current_version, r.version) else r.version end
           from automations a
          where r.tenant_id = $1 and r.id = $2 and a.tenant_id = $1 and a.id = r.automation_id
            and r.status in ('failed', 'attention', 'cancelled')
         returning r.id",
        tx.tenant(),
        id,
        retry.from == RetryFrom::Start,
        retry.version == RetryVersion::Latest,
    )
    .fetch_optional(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    if let Some(run) = again {
        tx.hint(Hint::now(tenant, HintKind::Run, run));
    }
    Ok(again.is_some())
}
