//! The `ingest-receipts` function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::lambda::serve_queue(ingest_receipts::handle).await
}
