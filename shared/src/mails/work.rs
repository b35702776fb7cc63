//! Marking a mail, choosing its road, and writing what came of it.
//!
//! **Which account carries it.** A link in these mails opens somebody's account, so nobody else of the business may read it on its
//! way, whoever may change the business's connections. The platform's account carries it whenever there is one. Where there is none and
//! mails are real, the business's own does, provided that it speaks to the vendor itself: an address of somebody's choice would be
//! handed the link. The sandbox shows what it was given to administrators; it carries these mails on laptops and in tests,
//! which is what it is there for, and never elsewhere.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::owe::Content;
use crate::{
    app::App,
    config::AppEnv,
    crypto::{self, Purpose},
    db::{DbError, DbResult, TenantTx},
    ids::TenantId,
    messages::{
        Channel, ConnectionState,
        dispatch::{MAX_TRIES, backoff},
    },
    private::Private,
    providers::{Account, Cause, Outcome, Outgoing, Provider},
    queue::{Hint, HintKind},
};

/// A mail through a paused or refused account looks again after this long.
const HELD: Duration = Duration::from_mins(5);

/// A marked mail. Whoever holds it may call the provider until the lease ends.
#[derive(Clone, Debug)]
pub struct MailJob {
    /// Whose it is.
    pub tenant: TenantId,
    /// The account to send it with.
    pub account: Account,
    /// The mail as the provider gets it.
    pub outgoing: Outgoing,
    epoch: i64,
    attempt: i32,
}

struct Claimed {
    attempt: i32,
    epoch: i64,
    idem_key: String,
    first_tried_at: DateTime<Utc>,
    payload: Value,
    provider: Option<String>,
    connection_status: Option<String>,
    settings: Option<Value>,
    secrets_sealed: Option<Vec<u8>>,
}

/// Claims a mail that is due, or that a dead worker left behind; `None` when there is nothing to send. Those of a suspended business
/// leave too: its people sign in, and must be able to when they have forgotten how.
///
/// # Errors
/// When the database refuses or is lost.
pub async fn mark(app: &App, hint: &Hint) -> DbResult<Option<MailJob>> {
    let Some(mut tx) = app.db.open_tenant(hint.tenant).await? else { return Ok(None) };
    let Some(claimed) = claim(&mut tx, hint.id).await? else { return Ok(None) };
    let (epoch, attempt) = (claimed.epoch, claimed.attempt);
    let held = (hint.id, epoch);
    let mut job = None;
    match road(app, &tx, &claimed) {
        Road::Open(account) => {
            let opened = account.zip(open_content(app, &tx, hint.id, &claimed));
            match opened {
                Some((account, outgoing)) => {
                    job = Some(MailJob { tenant: hint.tenant, account, outgoing, epoch, attempt });
                }
                None => {
                    let reason = "The mail or the account's secrets do not open.";
                    fail(&mut tx, held, "not_sendable", reason).await?;
                }
            }
        }
        Road::Held => back(&mut tx, held, attempt - 1, HELD).await?,
        Road::Closed => {
            fail(&mut tx, held, "connection_disabled", "The e-mail account is switched off.").await?;
        }
        Road::None => {
            tracing::error!(tenant = %hint.tenant, "there is no e-mail account that may carry a link");
            fail(&mut tx, held, "no_account", "There is no e-mail account that may carry it.").await?;
        }
    }
    app.queue.nudge(tx.commit().await?).await;
    Ok(job)
}

/// Writes what came of a call. With another epoch nothing is changed.
///
/// # Errors
/// When the database refuses or is lost; the lease then ends and the mail is sent again.
pub async fn settle(app: &App, job: &MailJob, outcome: Outcome) -> DbResult<()> {
    let Some(mut tx) = app.db.open_tenant(job.tenant).await? else { return Ok(()) };
    let held = (job.outgoing.effect_id, job.epoch);
    match outcome {
        Outcome::Accepted { .. } => accept(&mut tx, held, job.account.provider).await?,
        Outcome::Rejected(_, cause) => fail(&mut tx, held, &cause.code, &cause.reason).await?,
        Outcome::Retry(_, cause) | Outcome::Ambiguous(cause) if job.attempt >= MAX_TRIES => {
            fail(&mut tx, held, &cause.code, &cause.reason).await?;
        }
        Outcome::AccountRefused(_) => back(&mut tx, held, job.attempt - 1, HELD).await?,
        Outcome::Retry(asked, _) => again(&mut tx, held, job.attempt, asked).await?,
        Outcome::Ambiguous(Cause { .. }) => again(&mut tx, held, job.attempt, None).await?,
    }
    app.queue.nudge(tx.commit().await?).await;
    Ok(())
}

async fn claim(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Claimed>> {
    let claimed = sqlx::query_as!(
        Claimed,
        r#"
        with due as (
            select id from effects
             where tenant_id = $1 and id = $2 and kind = 'mail'
               and ((state = 'planned' and next_attempt_at <= now())
                    or (state = 'dispatching' and lease_until < now()))
               for update skip locked
        ), marked as (
            update effects e
               set state = 'dispatching', dispatch_epoch = e.dispatch_epoch + 1, attempt = e.attempt + 1,
                   lease_until = now() + interval '45 seconds', dispatched_at = coalesce(e.dispatched_at, now())
              from due where e.tenant_id = $1 and e.id = due.id
            returning e.*
        )
        select m.attempt as "attempt!", m.dispatch_epoch as "epoch!", m.idem_key as "idem_key!",
               m.dispatched_at as "first_tried_at!", m.payload as "payload!", m.provider,
               c.status as "connection_status?", c.settings as "settings?", c.secrets_sealed as "secrets_sealed?"
          from marked m left join connections c on c.tenant_id = $1 and c.id = m.connection_id
        "#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(claimed)
}

/// How a mail may leave.
enum Road {
    /// Through this account; none when its secrets do not open.
    Open(Option<Account>),
    /// Through the business's own account, once that is no longer held.
    Held,
    /// The business's own account is switched off.
    Closed,
    /// By none.
    None,
}

fn road(app: &App, tx: &TenantTx, claimed: &Claimed) -> Road {
    if let Some(platform) = &app.config.platform_mail {
        return Road::Open(Some(platform.clone()));
    }
    let is_real = matches!(app.config.app_env, AppEnv::Staging | AppEnv::Production);
    let Some(own) = own_account(app, tx, claimed) else {
        let nobody = Account {
            provider: Provider::Sandbox,
            settings: Value::Null,
            secrets: Private::new(Value::Null),
        };
        return if is_real { Road::None } else { Road::Open(Some(nobody)) };
    };
    match ConnectionState::read(claimed.connection_status.as_deref()) {
        ConnectionState::Disabled => Road::Closed,
        ConnectionState::Paused => Road::Held,
        ConnectionState::Active if is_real && own.as_ref().is_some_and(|own| !own.is_at_the_vendors()) => {
            Road::None
        }
        ConnectionState::Active => Road::Open(own),
    }
}

/// The business's own account, when the mail was planned with one that is still there; `Some(None)` when its secrets do not open.
fn own_account(app: &App, tx: &TenantTx, claimed: &Claimed) -> Option<Option<Account>> {
    claimed.connection_status.as_ref()?;
    let provider = claimed.provider.as_deref().and_then(Provider::parse)?;
    let secrets = match &claimed.secrets_sealed {
        Some(sealed) => app
            .secret_box()
            .open(tx.tenant(), Purpose::ConnectionSecrets, sealed)
            .ok()
            .and_then(|opened| serde_json::from_slice(&opened).ok()),
        None => Some(Value::Null),
    };
    let settings = claimed.settings.clone().unwrap_or_default();
    Some(secrets.map(|secrets| Account { provider, settings, secrets: Private::new(secrets) }))
}

fn open_content(app: &App, tx: &TenantTx, id: Uuid, claimed: &Claimed) -> Option<Outgoing> {
    let sealed = STANDARD.decode(claimed.payload.get("sealed")?.as_str()?).ok()?;
    let opened = app.secret_box().open(tx.tenant(), Purpose::Mail, &sealed).ok()?;
    let content: Content = serde_json::from_slice(&opened).ok()?;
    Some(Outgoing {
        effect_id: id,
        idem_key: claimed.idem_key.clone(),
        channel: Channel::Email,
        to: content.to,
        subject: Some(content.subject),
        body: content.body,
        html: None,
        unsubscribe_url: None,
        first_tried_at: claimed.first_tried_at,
    })
}

async fn accept(tx: &mut TenantTx, (id, epoch): (Uuid, i64), provider: Provider) -> DbResult<()> {
    sqlx::query!(
        "update effects
            set state = 'accepted', lease_until = null, payload = '{}', provider = $4, resolved_at = now()
          where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'",
        tx.tenant(),
        id,
        epoch,
        provider.word(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn fail(tx: &mut TenantTx, (id, epoch): (Uuid, i64), code: &str, reason: &str) -> DbResult<()> {
    sqlx::query!(
        "update effects
            set state = 'failed', lease_until = null, payload = '{}', error_code = $4, error_detail = $5
          where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'",
        tx.tenant(),
        id,
        epoch,
        code,
        reason,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn again(tx: &mut TenantTx, held: (Uuid, i64), attempt: i32, asked: Option<Duration>) -> DbResult<()> {
    let random = crypto::random_bytes::<8>().map_err(|error| DbError::Defect(error.to_string()))?;
    back(tx, held, attempt, backoff(attempt, asked, u64::from_le_bytes(random))).await
}

/// Back to `planned`: not before `wait` has passed.
async fn back(tx: &mut TenantTx, (id, epoch): (Uuid, i64), attempt: i32, wait: Duration) -> DbResult<()> {
    let moved = sqlx::query!(
        "update effects
            set state = 'planned', attempt = $4, lease_until = null,
                next_attempt_at = now() + make_interval(secs => $5)
          where tenant_id = $1 and id = $2 and dispatch_epoch = $3 and state = 'dispatching'",
        tx.tenant(),
        id,
        epoch,
        attempt.max(0),
        wait.as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    if moved.rows_affected() == 1
        && let Some(hint) = Hint::now(tenant, HintKind::Effect, id).after(wait)
    {
        tx.hint(hint);
    }
    Ok(())
}
