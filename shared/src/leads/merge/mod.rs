//! Merging leads that are one person, and taking it back.
//!
//! Everything that hangs on the absorbed lead moves to the survivor, whose empty fields are filled; a field choice says
//! otherwise. What both looked like, and which rows moved, is kept, so that an unmerge can restore both. Of what the two have
//! said about messages and health data the stricter word holds. The absorbed id answers with the survivor from then on.

mod apply;
mod fields;
mod undo;

pub use apply::{MergeRefusal, merge};
pub use fields::{MergeRequest, UnmergeRequest};
pub use undo::unmerge;
