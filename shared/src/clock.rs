//! The one place that reads the wall clock.
//!
//! Handlers and workers take `now` from their context and pass it down, so that one request sees one instant and a
//! test can choose it. Claims, leases and due times do not use it at all: they compare against the database's clock,
//! which all environments share.

use chrono::{DateTime, SubsecRound, Utc};

/// The wall clock, cut to the microseconds that PostgreSQL keeps.
///
/// A value that is answered to a caller equals the one that is read back later.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
