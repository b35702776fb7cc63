//! The `migrate` function: brings the schema up to date, before a new release takes traffic.

use serde::Serialize;
use shared::{config::Config, db};

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Migrations applied by this run.
    pub applied: usize,
}

/// Applies what is missing.
///
/// # Errors
/// When the owner cannot connect or a migration fails; the database is then at the last one that succeeded.
pub async fn run(config: &Config) -> Result<Report, db::MigrateError> {
    let applied = db::migrate(config.database_url.expose()).await?;
    tracing::info!(applied, "migrated");
    Ok(Report { applied })
}
