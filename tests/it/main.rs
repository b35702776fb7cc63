//! The black-box tests: behaviour over HTTP, as sentences, against the whole stack on a real PostgreSQL.
//!
//! All tests share one stack and one database; each makes its own tenant, which is how tenancy itself is tested all
//! the time. `support` holds the harness.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that meets what it did not expect has failed, and says where"
)]

mod analytics;
mod audit;
mod auth;
mod automations;
mod contract;
mod deeds;
mod docs;
mod finance;
mod lambda;
mod law;
mod leads;
mod limits;
mod messages;
mod outage;
mod support;
mod tenancy;
mod webhooks;
mod wellness;
