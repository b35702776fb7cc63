//! Deliveries: one event owed to one endpoint, each with its own tries, so that one dead endpoint delays nobody.
//!
//! A try is claimed with one conditional update (a lease, an epoch, one attempt more), committed, made, and settled under
//! the same epoch. Every try carries the event's id as `webhook-id`, so that a receiver who saw an earlier one that we
//! believe lost can tell.

mod attempt;
mod body;
mod schedule;
mod view;
mod work;

pub use attempt::{Refused, attempt, verdict};
pub use body::{Body, SCHEMA_VERSION};
pub use schedule::{ATTEMPTS, next_delay};
pub use view::{Delivery, DeliveryFilter, Redelivered, Redelivery, list, redeliver};
pub use work::{Claim, Failure, Owed, Try, Verdict, claim, settle};
