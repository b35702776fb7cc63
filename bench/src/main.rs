//! `make bench`: what the product costs, measured on the release binaries.
//!
//! The functions run as Lambda runs them, fed over the Runtime API by the emulator of the tests, against a private
//! PostgreSQL on loopback behind a proxy that counts round trips. CPU and memory are the function's own, read from the
//! kernel. Nothing is asserted: machines differ, and only ratios within one run mean something.

mod binaries;
mod cases;
mod data;
mod engine;
mod neighbour;
mod server;
mod table;
mod world;

use std::process::ExitCode;

use world::World;

/// What can stop a run.
pub(crate) type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run() -> Result<(), Failure> {
    binaries::build()?;
    let world = World::start().await?;
    let rows = cases::measure_all(&world).await?;
    table::print(&rows);
    neighbour::measure(&world).await?;
    engine::measure(&world).await?;
    table::print_pgbench(&world)?;
    table::print_binaries()?;
    Ok(())
}

fn fail(error: &Failure) -> ExitCode {
    table::note(&format!("bench: {error}"));
    ExitCode::FAILURE
}
