//! What the audit log keeps of what happens at the door.
//!
//! Whoever comes in is an entry. Whoever fails is one as well, but guessing must not fill the log: an account has one entry
//! of a kind in fifteen minutes, however often somebody fails.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{
    accounts::Candidate,
    app::App,
    audit,
    db::{DbResult, TenantTx},
    http::{ApiResult, Problem},
    ids::TenantId,
    private::Secret,
};
use uuid::Uuid;

/// How long further failures of one account are not noted.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// Notes what a user did who has just proved to be it.
pub(crate) async fn by_user(
    tx: &mut TenantTx,
    action: &str,
    user: Uuid,
    after: Option<Value>,
    request: &str,
) -> DbResult<()> {
    audit::append(tx, &entry(("user", Some(user)), action, user, after, request)).await
}

/// Notes that a business was founded: its log is never empty.
pub(crate) async fn founded(tx: &mut TenantTx, tenant: Uuid, founder: Uuid, request: &str) -> DbResult<()> {
    let entry = entry(("user", Some(founder)), "tenant.registered", tenant, None, request);
    audit::append(tx, &audit::Entry { object_kind: "tenant", ..entry }).await
}

/// Notes that a user came in with the password, and with what besides.
pub(crate) async fn came_in(
    tx: &mut TenantTx,
    user: Uuid,
    session: Uuid,
    code: Option<&Secret>,
    request: &str,
) -> DbResult<()> {
    let is_recovery = code.is_some_and(is_recovery_code);
    if is_recovery {
        by_user(tx, "user.recovery_code_used", user, None, request).await?;
    }
    let second_step = code.map(|_| if is_recovery { "recoveryCode" } else { "app" });
    let after = json!({"sessionId": session, "secondStep": second_step});
    by_user(tx, "user.signed_in", user, Some(after), request).await
}

/// Whether a good code was one of those for the day when the app is lost.
pub(crate) fn is_recovery_code(code: &Secret) -> bool {
    shared::auth::totp::recovery_hash(code.expose()).is_some()
}

/// Notes that somebody failed to be a user. It is nobody's deed: who it was is not known.
pub(crate) async fn failed(
    app: &App,
    tenant: TenantId,
    user: Uuid,
    action: &str,
    request: &str,
) -> ApiResult<()> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(()) };
    let entry = entry(("system", None), action, user, None, request);
    if audit::append_seldom(&mut tx, &entry, WINDOW).await? {
        tx.commit().await?;
    }
    Ok(())
}

/// Passes the outcome of an attempt on, and notes a failure. A refusal for another reason is none.
pub(crate) async fn watch<T>(
    app: &App,
    (tenant, user): (TenantId, Uuid),
    action: &str,
    request: &str,
    outcome: ApiResult<T>,
) -> ApiResult<T> {
    if outcome.as_ref().is_err_and(|problem: &Problem| problem.status() == http::StatusCode::UNAUTHORIZED) {
        app.db.settle().await;
        failed(app, tenant, user, action, request).await?;
    }
    outcome
}

/// The most accounts of an address whose logs are told of a failure: what is written before the answer takes its time.
const TOLD: usize = 2;

/// Whose logs are told when nobody got in: accounts of people whom the address belongs to, for all that is known.
pub(crate) fn tried(candidates: &[Candidate]) -> Vec<(TenantId, Uuid)> {
    let theirs = candidates.iter().filter(|one| one.is_theirs);
    theirs.take(TOLD).map(|one| (one.tenant, one.user_id)).collect()
}

fn entry<'a>(
    actor: (&'a str, Option<Uuid>),
    action: &'a str,
    user: Uuid,
    after: Option<Value>,
    request: &'a str,
) -> audit::Entry<'a> {
    audit::Entry {
        actor,
        action,
        object_kind: "user",
        object_id: Some(user),
        before: None,
        after,
        request_id: Some(request),
    }
}
