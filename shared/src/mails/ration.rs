//! How many mails about accounts may leave: anybody can make this product write to anybody.
//!
//! Whoever registers a business names an address, forgets a password for one, or invites one. So one address gets so many mails of a
//! kind within an hour, whichever businesses send them; and a business writes to so many addresses of its own choice. Kinds are
//! counted apart: invitations from a stranger's business must not use up what a forgotten password needs.
//!
//! Where an address was proved, its resets and warnings are counted for that business alone: whoever founds a business with somebody
//! else's address and makes noise there keeps no warning from its reader.

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
    let scope = if is_at_home(tx, letter, to).await? { format!("{}:", tx.tenant()) } else { String::new() };
    let key = format!("mail:{}:{scope}{}", letter.word(), limits.hidden(to));
    let recipient = Bucket { key, quota: quota.caller, span: SPAN };
    let wait = limits.take_one(tx, Class::Mail, &recipient).await?;
    if wait.is_some() || !letter.goes_to_anybody() {
        return Ok(wait);
    }
    let business = Bucket { key: format!("mail:t:{}", tx.tenant()), quota: quota.whole, span: SPAN };
    limits.take_one(tx, Class::Mail, &business).await
}

/// Whether the mail is about an account of this business whose address was proved. The address that an account had before was told
/// already when another one was asked for.
async fn is_at_home(tx: &mut TenantTx, letter: Letter<'_>, to: &str) -> DbResult<bool> {
    if letter.goes_to_anybody() || matches!(letter, Letter::EmailChanged) {
        return Ok(!letter.goes_to_anybody());
    }
    let is_proved = sqlx::query_scalar!(
        r#"select exists (select from users
                           where tenant_id = $1 and email = lower($2) and email_verified_at is not null) as "proved!""#,
        tx.tenant(),
        to,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(is_proved)
}
