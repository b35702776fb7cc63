//! Why a private server could not be started, said so that the reader knows what to do next.

use std::path::PathBuf;

/// Why a private server could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No usable server binaries anywhere.
    #[error(
        "no PostgreSQL server of version {minimum} or newer was found (looked in {looked_in}). Run `make setup` \
         (it installs one), or set PG_BIN_DIR to the folder that holds `postgres` and `initdb`, or set \
         DATABASE_URL to use a server of your own"
    )]
    NoServer {
        /// The oldest major version that will do.
        minimum: u32,
        /// Where we looked.
        looked_in: String,
    },
    /// The data directory was made by another major version than any server found.
    #[error(
        "the data in {} was made by PostgreSQL {made_by}, and only version {found} was found. Install version \
         {made_by}, or move that folder away to start with an empty database", dir.display()
    )]
    OtherVersion {
        /// The data directory.
        dir: PathBuf,
        /// The major version that made it.
        made_by: u32,
        /// The newest major version found.
        found: u32,
    },
    /// We are root and there is no user to become.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as. \
         Create one with `useradd --system postgres`, or run as an ordinary user"
    )]
    NoAccount,
    /// The folder is there but belongs to someone else.
    #[error(
        "{} belongs to another user (was it made with sudo?). Run as that user, or remove the folder to start \
         with an empty database", dir.display()
    )]
    ForeignDirectory {
        /// The folder.
        dir: PathBuf,
    },
    /// The requested port is taken.
    #[error(
        "port {port} is already in use. Set PGPORT to another port, or leave PGPORT unset to take a free one"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// A program of the server failed.
    #[error("{what} failed:\n{output}")]
    Step {
        /// What we were doing.
        what: String,
        /// What the program said.
        output: String,
    },
    /// A file or process could not be handled.
    #[error("cannot {what}: {source}")]
    Io {
        /// What we were doing.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Names what was being done when an I/O error came up.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StartError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StartError> {
        self.map_err(|source| StartError::Io { what: what(), source })
    }
}
