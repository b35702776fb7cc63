//! The marking transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Job, Work,
    outcome::{Stop, hold, stop, to_unknown},
    policy::{AfterLoss, after_loss},
};
use crate::{
    app::App,
    crypto::{AddressHasher, Purpose as Sealed},
    db::{DbError, DbResult, TenantTx},
    messages::{Channel, ConnectionState, Purpose, plan::answers_keyword, unsubscribe},
    private::Private,
    providers::{Account, Capability, Outgoing, Provider},
    queue::Hint,
};

pub(super) struct Claimed {
    pub(super) former: String,
    pub(super) attempt: i32,
    pub(super) epoch: i64,
    pub(super) idem_key: String,
    pub(super) first_tried_at: DateTime<Utc>,
    pub(super) age_seconds: i64,
    pub(super) run_id: Option<Uuid>,
    pub(super) run_seq: Option<i32>,
    pub(super) message_id: Uuid,
    pub(super) lead_id: Uuid,
    pub(super) message_status: String,
    pub(super) channel: String,
    pub(super) purpose: String,
    pub(super) dedupe_key: Option<String>,
    pub(super) to_address: Option<Private<String>>,
    pub(super) subject: Option<Private<String>>,
    pub(super) body: Option<Private<String>>,
    pub(super) html: Option<Private<String>>,
    pub(super) provider: Option<String>,
    pub(super) connection_id: Option<Uuid>,
    pub(super) connection_status: Option<String>,
    pub(super) settings: Option<Value>,
    pub(super) secrets_sealed: Option<Vec<u8>>,
    pub(super) run_ends: bool,
}

/// Claims an effect and decides what is to be done about it; `None` when nothing is. A suspended business sends nothing: what is due stays
/// as it is and leaves when the business is active again.
///
/// # Errors
/// When the database refuses or is lost; the effect is then as it was, or its lease will end.
pub async fn mark(app: &App, hint: &Hint) -> DbResult<Option<Job>> {
    let opened = app.db.open_tenant(hint.tenant).await?;
    let Some(mut tx) = opened.filter(|tx| !tx.settings().suspended) else { return Ok(None) };
    let Some(claimed) = claim(&mut tx, hint.id).await? else { return Ok(None) };
    let job = decide(app, &mut tx, hint.id, claimed).await?;
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(job)
}

/// Due and free, or left behind by a worker whose lease has ended, or perhaps sent and due to be asked about.
async fn claim(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Claimed>> {
    let claimed = sqlx::query_as!(
        Claimed,
        r#"
        with former as (
            select id, state, run_id from effects
             where tenant_id = $1 and id = $2 and kind = 'message'
               and ((state = 'planned' and next_attempt_at <= now())
                    or (state = 'dispatching' and lease_until < now())
                    or (state = 'unknown' and settle_after <= now()))
               for update skip locked
        ), marked as (
            update effects e
               set state = 'dispatching', dispatch_epoch = e.dispatch_epoch + 1,
                   attempt = e.attempt + case when f.state = 'unknown' then 0 else 1 end,
                   lease_until = now() + interval '45 seconds', dispatched_at = coalesce(e.dispatched_at, now())
              from former f where e.tenant_id = $1 and e.id = f.id
            returning e.*, f.state as former
        )
        select e.former as "former!", e.attempt as "attempt!", e.dispatch_epoch as "epoch!", e.idem_key as "idem_key!",
               e.dispatched_at as "first_tried_at!", extract(epoch from now() - e.dispatched_at)::int8 as "age_seconds!",
               e.run_id, e.run_seq, m.id as "message_id!", m.lead_id as "lead_id!", m.status as "message_status!",
               m.channel as "channel!", m.purpose as "purpose!", m.dedupe_key, m.to_address as "to_address: _",
               m.subject as "subject: _", m.body as "body: _", m.html_body as "html: _", e.provider, e.connection_id,
               c.status as "connection_status?", c.settings as "settings?", c.secrets_sealed as "secrets_sealed?",
               coalesce(r.cancel_requested_at is not null or r.status = 'cancelled', false) as "run_ends!"
          from marked e
          join messages m on m.tenant_id = $1 and m.id = e.message_id
          left join connections c on c.tenant_id = $1 and c.id = e.connection_id
          left join automation_runs r on r.tenant_id = $1 and r.id = e.run_id
        "#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(claimed)
}

async fn decide(app: &App, tx: &mut TenantTx, id: Uuid, claimed: Claimed) -> DbResult<Option<Job>> {
    let hasher = AddressHasher::new(app.secret_box()).map_err(|error| DbError::Defect(error.to_string()))?;
    let provider = claimed.provider.as_deref().and_then(Provider::parse).unwrap_or(Provider::Sandbox);
    let Some(job) = job(app, tx, id, &claimed, provider) else {
        let reason = "The message has no address or text, or the account's secrets do not open.";
        stop(tx, id, &claimed, Stop::Failed { code: "not_sendable", reason }).await?;
        return Ok(None);
    };
    if claimed.former != "planned" {
        return resume(tx, id, job, provider.capability(), &claimed).await;
    }
    if claimed.run_ends || claimed.message_status == "canceled" {
        stop(tx, id, &claimed, Stop::Canceled).await?;
        return Ok(None);
    }
    if let Some(reason) = suppression(tx, &hasher, &claimed, &job).await? {
        stop(tx, id, &claimed, Stop::Suppressed { reason: &reason }).await?;
        return Ok(None);
    }
    match ConnectionState::read(claimed.connection_status.as_deref()) {
        ConnectionState::Active => {}
        ConnectionState::Paused => {
            hold(tx, id, &claimed).await?;
            return Ok(None);
        }
        ConnectionState::Disabled => {
            let reason = "The provider's account is switched off.";
            stop(tx, id, &claimed, Stop::Failed { code: "connection_disabled", reason }).await?;
            return Ok(None);
        }
    }
    sqlx::query!(
        "update messages
            set status = 'sending', status_rank = 20,
                history = history || jsonb_build_array(jsonb_build_object('status', 'sending', 'at', now()))
          where tenant_id = $1 and id = $2 and status_rank < 20",
        tx.tenant(),
        claimed.message_id,
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(job))
}

/// An effect that was marked before: its worker died, or its answer was lost.
async fn resume(
    tx: &mut TenantTx,
    id: Uuid,
    job: Job,
    capability: Capability,
    claimed: &Claimed,
) -> DbResult<Option<Job>> {
    let age = Duration::from_secs(u64::try_from(claimed.age_seconds).unwrap_or_default());
    match (claimed.former.as_str(), after_loss(capability, claimed.attempt, age)) {
        (_, AfterLoss::Repeat) => Ok(Some(job)),
        ("unknown", AfterLoss::Search) => Ok(Some(Job { work: Work::Search, ..job })),
        (_, rule) => {
            to_unknown(tx, id, &job, rule, "The worker ended before the provider's answer was kept.").await?;
            Ok(None)
        }
    }
}

/// Why the address must be left alone by now. The row is locked, so that whoever takes it off the list waits for us.
async fn suppression(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    claimed: &Claimed,
    job: &Job,
) -> DbResult<Option<String>> {
    if claimed.dedupe_key.as_deref().is_some_and(answers_keyword) {
        return Ok(None);
    }
    let kind = job.outgoing.channel.address_kind();
    let hashes: Vec<Vec<u8>> = hasher
        .candidates(tx.tenant(), kind, job.outgoing.to.expose())
        .iter()
        .map(|hash| hash.to_vec())
        .collect();
    let reason = sqlx::query_scalar!(
        "select reason from suppressions
          where tenant_id = $1 and channel = $2 and address_hash = any($3) limit 1 for share",
        tx.tenant(),
        claimed.channel,
        &hashes,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(reason.filter(|reason| reason != "unsubscribe" || job.purpose == Purpose::Marketing))
}

fn job(app: &App, tx: &TenantTx, id: Uuid, claimed: &Claimed, provider: Provider) -> Option<Job> {
    let secrets = match &claimed.secrets_sealed {
        Some(sealed) => {
            let opened = app.secret_box().open(tx.tenant(), Sealed::ConnectionSecrets, sealed);
            serde_json::from_slice(&opened.ok()?).ok()?
        }
        None => Value::Null,
    };
    let channel = Channel::parse(&claimed.channel)?;
    let purpose = Purpose::parse(&claimed.purpose)?;
    let unsubscribe_url = (channel == Channel::Email && purpose == Purpose::Marketing)
        .then(|| unsubscribe::url(app, tx.tenant_id(), claimed.lead_id, channel))
        .flatten();
    Some(Job {
        tenant: tx.tenant_id(),
        work: Work::Send,
        account: Account {
            provider,
            settings: claimed.settings.clone().unwrap_or_default(),
            secrets: Private::new(secrets),
        },
        outgoing: Outgoing {
            effect_id: id,
            idem_key: claimed.idem_key.clone(),
            channel,
            to: claimed.to_address.clone()?,
            subject: claimed.subject.clone(),
            body: claimed.body.clone()?,
            html: claimed.html.clone(),
            unsubscribe_url,
            first_tried_at: claimed.first_tried_at,
        },
        purpose,
        epoch: claimed.epoch,
        attempt: claimed.attempt,
        message_id: claimed.message_id,
        connection_id: claimed.connection_id,
        run: claimed.run_id.zip(claimed.run_seq),
    })
}
