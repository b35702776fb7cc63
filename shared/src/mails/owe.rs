//! Planning a mail.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Letter, ration};
use crate::{
    app::App,
    crypto::Purpose,
    db::{DbError, DbResult, TenantTx},
    http::Problem,
    ids::new_id,
    private::Private,
    queue::{Hint, HintKind},
};

/// A mail that somebody is to get.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// The address.
    pub to: &'a str,
    /// What it says.
    pub letter: Letter<'a>,
}

/// What waits sealed in the effect.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) to: Private<String>,
    pub(super) subject: Private<String>,
    pub(super) body: Private<String>,
}

/// Plans a mail in the transaction of its cause, for causes that are nothing without it: an invitation.
///
/// # Errors
/// 429 `too_many_mails` when the recipient or the business has had its share.
pub async fn owe(tx: &mut TenantTx, app: &App, mail: Mail<'_>) -> Result<(), Problem> {
    match ration::take(tx, &app.limits, mail.letter, mail.to).await? {
        Some(wait) => Err(too_many(wait)),
        None => Ok(plan(tx, app, mail).await?),
    }
}

/// Plans a mail unless its recipient has had enough of the kind; whether it did. For what happens all the same, and for what
/// must not tell whether a mail leaves.
///
/// # Errors
/// When the database refuses.
pub async fn tell(tx: &mut TenantTx, app: &App, mail: Mail<'_>) -> DbResult<bool> {
    let is_free = ration::take(tx, &app.limits, mail.letter, mail.to).await?.is_none();
    if is_free {
        plan(tx, app, mail).await?;
    }
    Ok(is_free)
}

fn too_many(wait: Duration) -> Problem {
    let detail = "This address, or all addresses that this business writes to, were sent enough mails; try again later.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_mails", detail)
        .retry_after(wait.as_secs().saturating_add(1))
}

/// The business's default e-mail account is noted; whether the mail may leave through it is decided when it leaves.
async fn plan(tx: &mut TenantTx, app: &App, mail: Mail<'_>) -> DbResult<()> {
    let content = Content {
        to: Private::new(mail.to.to_owned()),
        subject: Private::new(mail.letter.subject().to_owned()),
        body: Private::new(mail.letter.body(&app.config.public_base_url)),
    };
    let plain = serde_json::to_vec(&content).map_err(|error| DbError::Defect(error.to_string()))?;
    let sealed = app
        .secret_box()
        .seal(tx.tenant(), Purpose::Mail, &plain)
        .map_err(|error| DbError::Defect(error.to_string()))?;
    let id = new_id();
    sqlx::query!(
        "insert into effects (tenant_id, id, kind, channel, provider, connection_id, idem_key, payload)
         select $1, $2, 'mail', 'email', coalesce(c.provider, 'sandbox'), c.id, $3, $4
           from (select) as one
           left join connections c on c.tenant_id = $1 and c.channel = 'email' and c.is_default",
        tx.tenant(),
        id,
        format!("mail:{id}"),
        json!({"sealed": STANDARD.encode(sealed)}),
    )
    .execute(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    tx.hint(Hint::now(tenant, HintKind::Effect, id));
    Ok(())
}
