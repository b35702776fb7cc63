//! The database, behind three locks.
//!
//! **Why not a pool.** A Lambda environment serves one request at a time and is frozen between requests. A pool would
//! ping before use, ping on release and run background tasks that thaw in somebody else's request: three round trips
//! where one is needed. [`Db`] keeps as many bare connections as the process may use at once (one in Lambda, a few on
//! the laptop), opens them when needed, and pings only after a long idle time.
//!
//! **Why transactions are types.** The only ways to run a statement are [`TenantTx`], which exists only for a tenant
//! that a credential or a queue message named, and [`SystemTx`], which needs a [`SystemReason`] that a test keeps on a
//! golden list. PostgreSQL holds the same line a second time with row-level security on `app.tenant_id`, which is set
//! for one transaction at a time and never per session, so it is safe behind a transaction pooler.

pub mod catalogue;
mod connection;
mod constraint;
mod error;
pub(crate) mod keyset;
mod migrations;
mod open;
mod patience;
mod system;
mod tenant;
mod toll;
pub mod walls;

pub use connection::Db;
pub use constraint::OnConstraint;
pub use error::{DbError, DbResult};
pub use migrations::{MigrateError, allow_login, migrate, pending};
pub use open::{
    KeyGrant, Opened, RefreshGrant, RefreshMatch, SessionGrant, SourceGrant, TenantSettings, TokenGrant,
    TokenUse,
};
pub use patience::Patience;
pub use system::{SystemReason, SystemTx};
pub use tenant::TenantTx;
pub(crate) use toll::{give_guess_back, knows_network, take_guess, take_one_within, take_within};
