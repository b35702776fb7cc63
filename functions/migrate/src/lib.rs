//! The `migrate` function: what only the owner of the schema may do. With nothing to say it brings the schema up to date, before a
//! new release takes traffic; with an order it suspends, reactivates or puts on trial a business.

use serde::Serialize;
use serde_json::Value;
use shared::{
    accounts::{self, StandingError, StandingReport},
    config::Config,
    db,
};

/// What a run did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// The schema is up to date.
    Migrated {
        /// Migrations applied by this run.
        applied: usize,
    },
    /// A business stands as it was ordered.
    Standing(StandingReport),
}

/// Why a run did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The owner cannot connect or a migration failed; the database is then at the last one that succeeded.
    #[error(transparent)]
    Migrate(#[from] db::MigrateError),
    /// The order was not carried out.
    #[error(transparent)]
    Standing(#[from] StandingError),
}

/// Applies what is missing, or carries out the order of the payload.
///
/// # Errors
/// When the database refuses, or when the payload is neither empty nor an order.
pub async fn run(config: &Config, payload: Value) -> Result<Report, RunError> {
    let owner_url = config.database_url.expose();
    if is_empty(&payload) {
        let applied = db::migrate(owner_url).await?;
        tracing::info!(applied, "migrated");
        return Ok(Report::Migrated { applied });
    }
    let order = accounts::read_standing_order(payload)?;
    let report = accounts::carry_out_standing_order(owner_url, &order).await?;
    tracing::warn!(tenant = %report.tenant, status = ?report.status, changed = report.changed, "an operator's order");
    Ok(Report::Standing(report))
}

fn is_empty(payload: &Value) -> bool {
    payload.is_null() || payload.as_object().is_some_and(serde_json::Map::is_empty)
}
