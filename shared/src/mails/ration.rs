//! How many mails about accounts may leave: anybody can make this product write to anybody.
//!
//! Whoever registers a business names an address, forgets a password for one, or invites one. So one address gets so many mails of a
//! kind within an hour, whichever businesses send them; and a business writes to so many addresses of its own choice. Kinds are
//! counted apart: invitations from a stranger's business must not use up what a forgotten password needs, and no amount of noise may keep a
//! warning from its reader.

use std::time::Duration;

use super::Letter;
use crate::{
    db::{DbResult, TenantTx},
    limits::{Bucket, Class, Limits},
};

/// In what time a ration comes back.
const SPAN: Duration = Duration::from_hours(1);

/// Takes a mail from the rations of its recipient and, when the business has picked the recipient, of the business; how long to
/// wait when either is used up.
pub(super) async fn take(
    tx: &mut TenantTx,
    limits: &Limits,
    letter: Letter<'_>,
    to: &str,
) -> DbResult<Option<Duration>> {
    let quota = limits.quota(Class::Mail);
    // The recipient's first: what nobody gets must not cost the business anything.
    let key = format!("mail:{}:{}", letter.word(), limits.hidden(to));
    let recipient = Bucket { key, quota: quota.caller, span: SPAN };
    let wait = limits.take_one(tx, Class::Mail, &recipient).await?;
    if wait.is_some() || !letter.goes_to_anybody() {
        return Ok(wait);
    }
    let business = Bucket { key: format!("mail:t:{}", tx.tenant()), quota: quota.whole, span: SPAN };
    limits.take_one(tx, Class::Mail, &business).await
}
