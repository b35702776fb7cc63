//! What comes by mail: a new password, the proof of an address.
//!
//! Asking for a new password is answered alike whoever asks for whom, and takes as long. The token goes to the address
//! alone; on a developer's machine the answer carries it as well. An address that many businesses know is sent a few mails: the
//! first go where it was proved.
//!
//! All of this works while the business is suspended, as signing in does.

use axum::{Extension, Json, extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, EMAIL_TAKEN, Forgotten, Knock},
    app::App,
    config::AppEnv,
    crypto::{OpaqueToken, TokenKind},
    db::{OnConstraint, SystemReason, TenantTx, TokenUse},
    http::{Accepted, ApiResult, Check, Claimed, DoorKey, NoContent, Problem, RequestId, Valid},
    mails::{self, Letter, Mail},
    private::{Private, Secret},
    values::{Email, Line},
};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    door::{Visitor, bearer_of, gone, open_token_once},
    note,
};

/// Requests from one network in fifteen minutes. A developer's machine and the test suite ask by the hundred.
const LIMIT: i32 = 100;
const LOCAL_LIMIT: i32 = 2_000;
/// Businesses of one address that a call sends a mail for. Whoever is in more of them names the business.
const MOST_RESETS: i32 = 5;

/// Who forgot the password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Forgot {
    /// The address to sign in with.
    email: Email,
    /// Id or slug of the business; the first five businesses of the address when left out.
    #[serde(default)]
    tenant: Option<Line>,
}

impl Check for Forgot {}

/// The answer to everybody.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mailed {
    /// The token of the mail, on a developer's machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

impl Mailed {
    /// With the token where that is allowed.
    pub(crate) fn new(app: &App, token: Option<&OpaqueToken>) -> Self {
        let shown = token.filter(|_| app.config.app_env.is_local());
        Self { token: shown.map(|token| token.expose().to_owned()) }
    }
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reset {
    /// The token of the mail.
    token: Secret,
    /// The password from now on.
    password: Secret,
}

impl Check for Reset {}

/// The proof of an address.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VerifyEmail {
    /// The token of the mail.
    token: Secret,
}

impl Check for VerifyEmail {}

/// An address that was proved.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifiedEmail {
    /// The address to sign in with.
    email: Private<String>,
    /// When it was proved.
    email_verified_at: DateTime<Utc>,
}

/// Sends a mail with which a new password can be chosen, if the address is known. The answer does not tell. With the same `Idempotency-Key`
/// an address gets one mail, and everybody the same answer.
#[utoipa::path(post, path = "/api/auth/forgot", operation_id = "forgot_password", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = Forgot, responses((status = 202, body = Mailed)))]
pub(crate) async fn forgot(
    State(app): State<App>,
    visitor: Visitor,
    key: DoorKey,
    Valid(body): Valid<Forgot>,
) -> ApiResult {
    let answer_at = Instant::now() + accounts::FAILURE_FLOOR;
    let mut first = None;
    for forgotten in ask(&app, &visitor, &body).await? {
        let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
        if send_reset(&app, visitor.now, forgotten, (body.email.as_str(), &key), &token).await? {
            first.get_or_insert(token);
        }
    }
    tokio::time::sleep_until(answer_at).await;
    Ok(Accepted(Mailed::new(&app, first.as_ref())).into_response())
}

/// Asks the counters, and finds whom the address may open.
async fn ask(app: &App, visitor: &Visitor, body: &Forgot) -> ApiResult<Vec<Forgotten>> {
    let is_relaxed = matches!(app.config.app_env, AppEnv::Local | AppEnv::Test);
    let limit = if is_relaxed { LOCAL_LIMIT } else { LIMIT };
    let keys = app.secret_box();
    let network = accounts::network_key(keys, visitor.address).map_err(|_| Problem::internal())?;
    let mut tx = app.db.system(SystemReason::Login).await?;
    let wait = accounts::count_call(&mut tx, &app.limits, Knock::Forgot, &network, limit).await?;
    let tenant = body.tenant.as_ref().map(Line::as_str);
    let forgotten = accounts::find_forgotten(&mut tx, body.email.as_str(), tenant, MOST_RESETS).await?;
    tx.commit().await?;
    wait.map_or(Ok(forgotten), |seconds| Err(crate::door::too_many(seconds)))
}

/// Opens the reset and owes its mail in one transaction, once for each key, unless the address has had enough of them. A key that is spent, is being
/// spent, or came with another body sends nothing and is told to nobody: only an address that is known can have spent one.
async fn send_reset(
    app: &App,
    now: DateTime<Utc>,
    forgotten: Forgotten,
    (email, key): (&str, &DoorKey),
    token: &OpaqueToken,
) -> ApiResult<bool> {
    let Some(mut tx) = app.db.open_tenant(forgotten.tenant).await? else { return Ok(false) };
    let claim = match key.claim(&mut tx, app, &format!("forgot:{}", forgotten.user)).await {
        Ok(Claimed::Now(claim)) => claim,
        Err(problem) if !problem.status().is_client_error() => return Err(problem),
        Ok(Claimed::Before(_)) | Err(_) => {
            tx.commit().await?;
            return Ok(false);
        }
    };
    if !mails::tell(&mut tx, app, Mail { to: email, letter: Letter::Reset(token) }).await? {
        tx.commit().await?;
        return Ok(false);
    }
    // Good for this address alone: one that the account gets meanwhile has nothing to do with the mail.
    let payload = json!({"email": email});
    accounts::issue_token(&mut tx, now, TokenUse::Reset, forgotten.user, &payload, token).await?;
    claim.store(&mut tx, Accepted(Mailed { token: None })).await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(true)
}

/// Sets a new password and ends every session. A second use is 410.
#[utoipa::path(post, path = "/api/auth/reset", operation_id = "reset_password", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = Reset, responses((status = 204)))]
pub(crate) async fn reset(
    State(app): State<App>,
    visitor: Visitor,
    key: DoorKey,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<Reset>,
) -> ApiResult {
    accounts::refuse_weak(&body.password, &[])?;
    let (tx, grant, _) = match open_token_once(&app, TokenUse::Reset, &body.token, &key).await? {
        Ok(opened) => opened,
        Err(answered) => return Ok(answered),
    };
    let tenant = tx.tenant_id();
    // The transaction must not wait for the hash; the reset is spent by a conditional update in the next one.
    tx.commit().await?;
    let hash = accounts::hash_password(&body.password).await?;
    let mut tx = app.db.open_tenant(tenant).await?.ok_or_else(gone)?;
    let claim = match key.claim(&mut tx, &app, &bearer_of(&grant)).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answered) => return Ok(answered),
    };
    let account =
        accounts::reset_password(&mut tx, visitor.now, grant.token_id, &hash).await?.ok_or_else(gone)?;
    let mail = Mail { to: account.email.expose(), letter: Letter::PasswordChanged };
    mails::tell(&mut tx, &app, mail).await?;
    let answer = claim.store(&mut tx, NoContent).await?;
    note::by_user(&mut tx, "user.password_reset", account.id, None, &request).await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(answer)
}

/// Proves an address; one that was asked for in place of another is the one to sign in with from now on.
#[utoipa::path(post, path = "/api/auth/verify-email", operation_id = "verify_email", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = VerifyEmail,
    responses((status = 200, body = VerifiedEmail)))]
pub(crate) async fn verify_email(
    State(app): State<App>,
    visitor: Visitor,
    key: DoorKey,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<VerifyEmail>,
) -> ApiResult {
    let (mut tx, grant, claim) = match open_token_once(&app, TokenUse::Verify, &body.token, &key).await? {
        Ok(opened) => opened,
        Err(answered) => return Ok(answered),
    };
    let proved = accounts::prove_email(&mut tx, visitor.now, grant.token_id)
        .await
        .on_constraint(EMAIL_TAKEN, || {
            Problem::conflict("user_exists", "A colleague has this e-mail address.")
        })?
        .ok_or_else(gone)?;
    let verified = VerifiedEmail { email: proved.email.clone(), email_verified_at: visitor.now };
    let answer = claim.store(&mut tx, Json(verified)).await?;
    if proved.former != proved.email {
        mails::tell(&mut tx, &app, Mail { to: proved.former.expose(), letter: Letter::EmailChanged }).await?;
        note::by_user(&mut tx, "user.email_changed", proved.user, None, &request).await?;
    } else {
        note::by_user(&mut tx, "user.email_verified", proved.user, None, &request).await?;
    }
    app.queue.nudge(tx.commit().await?).await;
    Ok(answer)
}

/// Opens the proof of an address that a session asks for, and returns the token for its mail.
pub(crate) async fn open_proof(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    whose: (Uuid, Uuid),
    email: &str,
) -> ApiResult<OpaqueToken> {
    let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
    accounts::issue_proof(tx, now, whose, email, &token).await?.ok_or_else(Problem::unauthorized)?;
    Ok(token)
}
