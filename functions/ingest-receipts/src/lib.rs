//! The `ingest-receipts` worker.

use shared::{app::App, queue::Hint, work::WorkResult};

/// Looks at one row.
///
/// # Errors
/// When the row cannot be read or claimed.
pub async fn handle(_app: &App, _hint: &Hint) -> WorkResult {
    Ok(())
}
