//! A private PostgreSQL server: found on the machine, set up, started and, whatever happens, stopped again.
//!
//! The laptop stack and the tests need a real server, not a stand-in, and nobody should have to prepare one.
//! So this crate finds the server binaries, makes a data directory of our own with `initdb`, and runs
//! `postgres` on a loopback port. It depends on nothing else of the workspace: the checked SQL of `shared`
//! can only be compiled once there is a database, and this is what provides it.
//!
//! Three things are less obvious than they look.
//!
//! * **`root`.** PostgreSQL refuses to run as root, and containers run everything as root. The server's
//!   processes then run as `postgres` or `nobody` (see `account`).
//! * **Orphans.** A killed parent runs no destructors. A small `sh` watches a pipe whose other end only we
//!   hold; when it closes, for whatever reason, the server is told to stop (see `supervisor`).
//! * **Half-made directories.** A new data directory is finished under another name and renamed, so that an
//!   interrupted first start leaves nothing that looks complete.

mod account;
mod cluster;
mod error;
pub mod find;
pub mod pidfile;
mod place;
mod setup;
mod supervisor;
mod wire;

pub use cluster::{Cluster, Durability, Options};
pub use error::StartError;

/// The role that owns the database and every object in it: migrations run as it. It may create roles but is
/// no superuser.
pub const OWNER: &str = "wellspring_owner";

/// The database that the first start creates.
pub const DATABASE: &str = "wellspring";

/// The cluster's superuser, which `initdb` creates.
pub const SUPERUSER: &str = "postgres";
