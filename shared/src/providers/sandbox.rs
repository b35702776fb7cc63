//! The sandbox: a provider that sends nothing and keeps a ledger of what it would have sent.
//!
//! It honours idempotency keys: a second call with one raises `attempts` and answers as the first. Some recipients
//! simulate trouble, by the local part of an e-mail address (a `+tag` may follow) or by number:
//!
//! | recipient | what happens |
//! |---|---|
//! | `fail@…`, `+15005550001` | refused for good (`invalid_recipient`) |
//! | `busy@…`, `+15005550002` | never taken: 429 each time, until the tries run out |
//! | `flaky@…`, `+15005550003` | refused twice with 503, then taken |
//! | `lost@…`, `+15005550004` | taken, but the first answer is lost |

use uuid::Uuid;

use super::{Cause, FailureClass, Outcome, Outgoing};
use crate::{
    app::App,
    db::{DbError, DbResult, TenantTx},
    ids::{TenantId, new_id},
    private::Private,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Take,
    Fail,
    Busy,
    Flaky,
    Lose,
}

fn behaviour(recipient: &str) -> Behaviour {
    let local = recipient.split_once('@').map(|(local, _)| local.split('+').next().unwrap_or_default());
    match (local, recipient) {
        (Some("fail"), _) | (None, "+15005550001") => Behaviour::Fail,
        (Some("busy"), _) | (None, "+15005550002") => Behaviour::Busy,
        (Some("flaky"), _) | (None, "+15005550003") => Behaviour::Flaky,
        (Some("lost"), _) | (None, "+15005550004") => Behaviour::Lose,
        _ => Behaviour::Take,
    }
}

pub(super) async fn send(app: &App, tenant: TenantId, outgoing: &Outgoing) -> Result<Outcome, DbError> {
    let behaviour = behaviour(outgoing.to.expose());
    if behaviour == Behaviour::Fail {
        let cause = Cause::new("invalid_recipient", "The recipient does not exist.", Some(400));
        return Ok(Outcome::Rejected(FailureClass::Permanent, cause));
    }
    if behaviour == Behaviour::Busy {
        return Ok(Outcome::Retry(None, Cause::new("rate_limited", "The provider is busy.", Some(429))));
    }
    let Some(mut tx) = app.db.open_tenant(tenant).await? else {
        return Ok(Outcome::Retry(None, Cause::new("no_tenant", "The business is being removed.", None)));
    };
    if behaviour == Behaviour::Flaky && tries(&mut tx, outgoing.effect_id).await? < 3 {
        return Ok(Outcome::Retry(
            None,
            Cause::new("unavailable", "The provider is not available.", Some(503)),
        ));
    }
    let (id, attempts) = record(&mut tx, outgoing).await?;
    tx.commit().await?;
    if behaviour == Behaviour::Lose && attempts == 1 {
        return Ok(Outcome::Ambiguous(Cause::new("answer_lost", "The provider's answer was lost.", None)));
    }
    Ok(Outcome::Accepted { provider_ref: format!("sandbox-{id}") })
}

async fn tries(tx: &mut TenantTx, effect: Uuid) -> DbResult<i32> {
    let tries = sqlx::query_scalar!(
        "select attempt from effects where tenant_id = $1 and id = $2",
        tx.tenant(),
        effect
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(tries.unwrap_or_default())
}

async fn record(tx: &mut TenantTx, outgoing: &Outgoing) -> DbResult<(Uuid, i32)> {
    let row = sqlx::query!(
        "insert into sandbox_deliveries (tenant_id, id, idem_key, channel, recipient, subject, body)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (tenant_id, idem_key) do update
            set attempts = sandbox_deliveries.attempts + 1, last_at = now()
         returning id, attempts",
        tx.tenant(),
        new_id(),
        outgoing.idem_key,
        outgoing.channel.word(),
        outgoing.to.expose(),
        outgoing.subject.as_ref().map(Private::expose),
        outgoing.body.expose(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.id, row.attempts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_asked_for_by_the_whole_local_part() {
        assert_eq!(behaviour("fail@example.com"), Behaviour::Fail);
        assert_eq!(behaviour("lost+7@example.com"), Behaviour::Lose);
        assert_eq!(behaviour("failure@example.com"), Behaviour::Take);
        assert_eq!(behaviour("+15005550001"), Behaviour::Fail);
        assert_eq!(behaviour("+4915112345678"), Behaviour::Take);
    }
}
