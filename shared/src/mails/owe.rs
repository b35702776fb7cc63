//! Planning a mail.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Letter;
use crate::{
    app::App,
    crypto::Purpose,
    db::{DbError, DbResult, TenantTx},
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

/// Plans a mail in the transaction of its cause. It leaves through the business's default e-mail account, or through
/// the platform's when the business has none.
///
/// # Errors
/// When the database refuses.
pub async fn owe(tx: &mut TenantTx, app: &App, mail: Mail<'_>) -> DbResult<()> {
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
