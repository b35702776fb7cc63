//! Where the built binaries are.

use std::path::{Path, PathBuf};

/// The binary has not been built; the message says how to build it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} does not exist. The emulator runs the real binaries and `cargo test -p …` builds those of the tested packages \
     only: run `cargo build --workspace --bins` first (with `--release` if this process was built so).",
    .0.display()
)]
pub struct MissingBinary(PathBuf);

/// The binary `name` from the target directory of the running executable, so that a debug test finds debug binaries
/// and a release benchmark finds release binaries.
pub fn find_binary(name: &str) -> Result<PathBuf, MissingBinary> {
    find_in(&target_directory(), name)
}

/// The example `name` of this crate; Cargo builds examples together with the tests.
#[cfg(test)]
pub(crate) fn find_example(name: &str) -> Result<PathBuf, MissingBinary> {
    find_in(&target_directory().join("examples"), name)
}

fn find_in(directory: &Path, name: &str) -> Result<PathBuf, MissingBinary> {
    let path = directory.join(name);
    if path.is_file() { Ok(path) } else { Err(MissingBinary(path)) }
}

/// `target/debug` or `target/release`: tests run in `deps` below it, examples in `examples`, binaries in it.
fn target_directory() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let directory = executable.parent().unwrap_or(Path::new("."));
    let nested = directory.ends_with("deps") || directory.ends_with("examples");
    let top = if nested { directory.parent().unwrap_or(directory) } else { directory };
    top.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_says_how_to_build_it() {
        let message = find_binary("no-such-function").unwrap_err().to_string();
        assert!(message.contains("no-such-function"), "{message}");
        assert!(message.contains("cargo build --workspace --bins"), "{message}");
    }
}
