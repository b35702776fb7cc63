//! Jobs: long work that a person asked for. Imports, exports, changes of many leads at once.
//!
//! The row is the queue and the progress at once. A worker takes it by lease and epoch ([`claim`]) and works in portions. A portion is one
//! transaction that ends in [`advance`]: what was done, what it counts for, and the place that the job has come to are committed together, and only
//! by whoever holds the epoch. So a portion is done once, whoever is killed when, and the counts are what happened.
//!
//! Claims are counted before the work and forgotten with each portion: a job that kills its worker five times in a row ends as `failed`
//! (`stalled`). Whoever sees only some records sees only the jobs that they asked for, and a job sees no more than who asked for it did.

mod errors;
mod model;
mod parts;
mod store;
mod work;

pub use errors::{ErrorFilter, MOST_ERRORS, RowError, list_errors, note};
pub use model::{Job, JobActor, JobFilter, JobKind, JobTrouble, NewJob};
pub use parts::{
    MOST_PARTS, MOST_UPLOADED, NotStarted, PART_BYTES, Part, PartRefusal, digest_outputs, find_output,
    forget_inputs, insert_part, part_sizes, put_part, read_part, start,
};
pub use store::{Cancelled, cancel, find, insert, list, seen_by};
pub use work::{
    Advance, Claim, Held, Progress, advance, claim, fail, finish, purge, put_off, release, set_total,
};
