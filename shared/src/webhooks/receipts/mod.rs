//! Receipts: what providers posted, kept as it came, worked on afterwards.
//!
//! A receipt is committed before its sender is answered, under a key that makes a second delivery the same delivery. The
//! worker claims it with one conditional update (a lease, an epoch, one attempt more), reads it with the pure normaliser
//! and writes everything that follows in one transaction that also settles the receipt. What cannot be read is tried
//! again a few times, since a newer release may know how, and is then quarantined for a person to see.

mod intake;
mod record;
mod view;
mod work;

pub use intake::{Arrival, Limit, Taken, take};
pub use record::{Record, lead_of, note_people, record};
pub use view::{Receipt, ReceiptDetail, ReceiptFilter, find, list, replay};
pub use work::{Claim, Claimed, Outcome, Trouble, claim, put_off, settle};
