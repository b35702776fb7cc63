//! The `jobs` function.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    shared::lambda::serve_api(jobs::api).await
}
