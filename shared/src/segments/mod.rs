//! Segments: saved questions about leads, in the language of conditions.
//!
//! A live segment is asked anew each time it is read. Who belongs to it is stored besides, because coming and going are
//! events: the `sweep` asks each live segment about once a minute, compares the answer with what is stored, and tells
//! `segment.entered` and `segment.exited` in the transaction that stores the difference. Who belongs to a segment when it
//! is made, or when its conditions change, has not come by any act of theirs, so nothing is told then. A static segment
//! is the answer of the moment in which it was made.

mod evaluate;
mod members;
mod model;
mod store;

pub(crate) use evaluate::push_membership;
pub use evaluate::{Evaluation, due, evaluate, fill, members, preview, rest};
pub use members::{add_members, remove_members};
pub use model::{NewSegment, Preview, Segment, SegmentKind, SegmentPatch};
pub use store::{SegmentFilter, delete, find, find_many, insert, list, update};
