//! Mails of the product itself: invitations, resets, proofs of an address, notices about an account.
//!
//! They go to colleagues, not to leads, so they belong to no conversation. They leave by the same road all the same: an
//! effect is planned in the transaction of its cause, the worker marks it, calls the provider outside any transaction, and
//! settles it. Four things differ.
//!
//! * The text carries a token that is stored nowhere else in clear, so it waits sealed and is forgotten once the mail is gone.
//! * A mail whose answer was lost is sent again: the same link twice does no harm, a missing one does.
//! * The token is a key to somebody's account, so it never passes through what others of the business can read. The platform's
//!   account carries it ([`mark`] says what happens where there is none).
//! * Anybody can make the product write to anybody, so these mails are rationed.

mod letter;
mod owe;
mod ration;
mod work;

pub use letter::Letter;
pub use owe::{Mail, owe, tell};
pub use work::{MailJob, mark, settle};
