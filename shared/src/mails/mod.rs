//! Mails of the product itself: invitations, resets, proofs of an address, notices about an account.
//!
//! They go to colleagues, not to leads, so they belong to no conversation. They leave by the same road all the same: an
//! effect is planned in the transaction of its cause, the worker marks it, calls the business's e-mail provider, or the platform's where
//! the business has none, outside any transaction, and settles it. Two things differ. The text carries a token that is stored nowhere else in clear, so it
//! waits sealed and is forgotten once the mail is gone. And a mail whose answer was lost is sent again: the same link
//! twice does no harm, a missing one does.

mod letter;
mod owe;
mod work;

pub use letter::Letter;
pub use owe::{Mail, owe};
pub use work::{MailJob, mark, settle};
