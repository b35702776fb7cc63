//! Finds the server binaries on this machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use crate::StartError;

/// The oldest major version whose SQL we rely on (`nulls not distinct`, `security_invoker`).
pub const MINIMUM_MAJOR: u32 = 15;

/// Folders in which packagers put `<version>/bin` or `<name>/bin`, with the prefix of the entry.
const SHELVES: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql"),
    ("/usr/local/opt", "postgresql"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// The folder of one installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder that holds `postgres` and `initdb`.
    pub dir: PathBuf,
    /// The server's major version.
    pub major: u32,
}

/// Finds a server: the one in `bin_dir` if given, else the newest installed one. A data directory can only be
/// opened by the major version that made it, so `made_by` (the directory and its version) narrows the choice.
pub fn find(bin_dir: Option<&Path>, made_by: Option<(&Path, u32)>) -> Result<Binaries, StartError> {
    let dirs = bin_dir.map_or_else(candidates, |dir| BTreeSet::from([dir.to_owned()]));
    let found: Vec<Binaries> = dirs.iter().filter_map(|dir| inspect(dir)).collect();
    let usable = || found.iter().filter(|b| b.major >= MINIMUM_MAJOR);
    let Some(newest) = usable().max_by_key(|b| b.major) else {
        let looked_in = bin_dir.map_or_else(
            || "/usr/lib/postgresql, Homebrew, Postgres.app and PATH".to_owned(),
            |dir| format!("PG_BIN_DIR={}", dir.display()),
        );
        return Err(StartError::NoServer { minimum: MINIMUM_MAJOR, looked_in });
    };
    let Some((dir, wanted)) = made_by else { return Ok(newest.clone()) };
    usable().find(|b| b.major == wanted).cloned().ok_or_else(|| StartError::OtherVersion {
        dir: dir.to_owned(),
        made_by: wanted,
        found: newest.major,
    })
}

/// Every folder that may hold a server. Links are resolved: distributions link `initdb` into PATH without
/// the files that lie beside the real one.
fn candidates() -> BTreeSet<PathBuf> {
    let shelved = SHELVES.iter().flat_map(|(shelf, prefix)| {
        let entries = std::fs::read_dir(shelf).into_iter().flatten().flatten();
        entries
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().join("bin"))
    });
    shelved
        .chain(search_path())
        .filter_map(|dir| std::fs::canonicalize(dir.join("initdb")).ok()?.parent().map(Path::to_owned))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "PATH describes the machine; it is not configuration of ours")]
fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// Asks the server in `dir` for its version; `None` if there is none that runs.
fn inspect(dir: &Path) -> Option<Binaries> {
    let dir = std::fs::canonicalize(dir).ok()?;
    if !dir.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { dir, major })
}

/// Reads the major version from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` or `… 18beta1`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_packager() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("postgres (PostgreSQL) 17"), Some(17));
        assert_eq!(parse_major("something else"), None);
    }

    #[test]
    fn a_wrong_folder_is_named_and_the_remedy_told() {
        let error = find(Some(Path::new("/nowhere")), None).unwrap_err().to_string();
        assert!(error.contains("PG_BIN_DIR=/nowhere") && error.contains("make setup"), "{error}");
    }

    #[test]
    fn data_of_another_version_is_not_opened() {
        let error = find(None, Some((Path::new("/data"), 9))).unwrap_err();
        assert!(matches!(error, StartError::OtherVersion { made_by: 9, .. }), "{error}");
    }
}
