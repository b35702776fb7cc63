//! Assignment: which colleague a lead goes to.
//!
//! A policy names colleagues who take turns, each for their share, and may leave out those who are off duty or have enough
//! to do. Whose turn it is stands in one row per rotation. Taking a turn locks that row until the transaction ends, so
//! ninety leads that come at once are thirty for each of three, and a lead that is not kept takes no turn. People are
//! locked before turns, everywhere, so that nobody waits in a circle.
//!
//! A lead that comes and that nobody owns is offered to the policies for new leads. That happens where the news of it is told
//! (`events::emit`), because every way into the product passes there. When nobody can take it, it stays, with the reason
//! in its history.

mod availability;
mod model;
mod newcomers;
mod note;
mod store;
mod take;
mod turns;

pub use availability::{Availability, WorkingHours, find_availability, set_availability};
pub use model::{AssignmentPolicy, Member, NewPolicy, PolicyPatch, Rotation, Strategy};
pub(crate) use newcomers::welcome;
pub use note::{Assigned, note};
pub use store::{
    PolicyFilter, delete_policy, find_policy, insert_policy, list_policies, lock_lead, update_policy,
};
pub use take::{Absent, Taken, Turn, UNKNOWN, take};
