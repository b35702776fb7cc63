//! Leads: the people that a business knows or wants to know, with their identities, tags and activities.

mod activities;
mod find;
mod insert;
mod list;
mod model;
mod upsert;

pub use activities::{Activity, ActivityFilter, NewActivity, insert_activity, list_activities};
pub use find::{exists, find, owner_of_identity};
pub use insert::{IDENTITY_TAKEN, insert};
pub use list::{LeadFilter, list};
pub use model::{Identities, Lead, NewLead};
pub use upsert::{Known, Upserted, former_values, upsert};
