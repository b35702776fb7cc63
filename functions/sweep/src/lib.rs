//! The `sweep` schedule.

use shared::{app::App, work::WorkResult};

/// One tick.
///
/// # Errors
/// When the database cannot be reached.
pub async fn tick(_app: &App) -> WorkResult {
    Ok(())
}
