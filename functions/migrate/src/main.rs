//! The `migrate` function.

use std::process::ExitCode;

use shared::config::Needs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::lambda::serve_task(Needs::Migrate, migrate::run).await
}
