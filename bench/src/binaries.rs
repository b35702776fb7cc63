//! The release binaries.

use std::{path::PathBuf, process::Command};

use crate::{Failure, table};

/// Builds them all in one call: building one alone would change the features of its dependencies.
pub(crate) fn build() -> Result<(), Failure> {
    table::note("building the release binaries (fat LTO: some minutes the first time)");
    let functions = local::functions::names().flat_map(|name| ["-p", name]);
    let built = Command::new("cargo").args(["build", "--release", "--bins"]).args(functions).status()?;
    if built.success() { Ok(()) } else { Err("the release build failed; see above".into()) }
}

/// Where a function's binary is.
pub(crate) fn path(function: &str) -> Result<PathBuf, Failure> {
    // .../target/<profile>/bench
    let bench = std::env::current_exe()?;
    let target = bench.ancestors().nth(2).ok_or("the bench binary has no folder")?;
    Ok(target.join("release").join(function))
}
