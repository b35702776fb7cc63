//! The same for many leads: tags, owners, stages, fields, the bin, segments, automations.
//!
//! Who is meant is asked once, when the job begins, and written down (`job_leads`): a change that takes leads out of its own filter, or leads that
//! come to match it meanwhile, do not move the ground under the work. Each portion holds its leads, changes those that are still there and still
//! among the records of whoever asked, and tells the events that the single routes tell. By whom nothing changes is `skipped`; what a rule
//! refuses is `failed`, with the lead's id.

mod op;
mod work;

pub use op::{BulkOp, BulkRequest, BulkWord, check};
pub use work::{Portion, begin, give_up, portion};
