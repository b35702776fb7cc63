//! The black-box tests: behaviour over HTTP, as sentences, against the whole stack on a real PostgreSQL.
//!
//! All tests share one stack and one database; each makes its own tenant, which is how tenancy itself is tested all
//! the time. `support` holds the harness.

mod contract;
mod leads;
mod support;
mod tenancy;
