//! The `run-jobs` function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::lambda::serve_queue(run_jobs::handle).await
}
