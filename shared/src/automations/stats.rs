//! How an automation is doing.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// Runs by status and steps by how they ended.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Stats {
    /// All runs.
    pub total: i64,
    /// Runs by status.
    pub runs: BTreeMap<String, i64>,
    /// Steps, in order of their ids.
    pub steps: Vec<StepStats>,
}

/// One step over all runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepStats {
    /// The step's id.
    pub id: String,
    /// How often it was begun.
    pub entered: i64,
    /// How often it is under way.
    pub waiting: i64,
    /// How often it ended well.
    pub passed: i64,
    /// How often it was left out.
    pub skipped: i64,
    /// How often it failed.
    pub failed: i64,
}

/// Counts runs and steps. Who may only see their own records counts the runs about these.
///
/// # Errors
/// When the database refuses.
pub async fn stats(tx: &mut TenantTx, automation: Uuid, own_records_of: Owners<'_>) -> DbResult<Stats> {
    let runs = sqlx::query!(
        r#"select r.status, count(*) as "count!" from automation_runs r
            where r.tenant_id = $1 and r.automation_id = $2
              and ($3::uuid[] is null or exists (
                   select from leads l where l.tenant_id = $1 and l.id = r.lead_id and l.owner_id = any ($3)))
            group by r.status order by r.status"#,
        tx.tenant(),
        automation,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    let steps = sqlx::query_as!(
        StepStats,
        r#"select s.step_id as id, count(*) as "entered!",
                  count(*) filter (where s.status in ('pending', 'running', 'waiting')) as "waiting!",
                  count(*) filter (where s.status = 'completed') as "passed!",
                  count(*) filter (where s.status = 'skipped') as "skipped!",
                  count(*) filter (where s.status = 'failed') as "failed!"
             from automation_runs r join automation_run_steps s on s.tenant_id = $1 and s.run_id = r.id
            where r.tenant_id = $1 and r.automation_id = $2
              and ($3::uuid[] is null or exists (
                   select from leads l where l.tenant_id = $1 and l.id = r.lead_id and l.owner_id = any ($3)))
            group by s.step_id order by s.step_id"#,
        tx.tenant(),
        automation,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    let runs: BTreeMap<String, i64> = runs.into_iter().map(|row| (row.status, row.count)).collect();
    Ok(Stats { total: runs.values().sum(), runs, steps })
}
