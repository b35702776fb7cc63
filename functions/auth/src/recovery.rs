//! What comes by mail: a new password, the proof of an address.
//!
//! Asking for a new password is answered alike whoever asks for whom, and takes as long. The token goes to the address
//! alone; on a developer's machine the answer carries it as well.

use axum::{Json, extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Candidate, EMAIL_TAKEN, Guard, Knock},
    app::App,
    audit,
    config::AppEnv,
    crypto::{OpaqueToken, TokenKind},
    db::{OnConstraint, SystemReason, TenantTx, TokenUse},
    http::{Accepted, ApiResult, Check, Claimed, DoorKey, NoContent, Problem, Valid},
    mails::{self, Letter, Mail},
    private::{Private, Secret},
    values::{Email, Line},
};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::door::{Visitor, bearer_of, gone, open_token_once};

/// Requests from one network in fifteen minutes. A developer's machine and the test suite ask by the hundred.
const LIMIT: i32 = 100;
const LOCAL_LIMIT: i32 = 2_000;
/// Mails for one address in fifteen minutes. More are answered alike and not sent.
const MAILS: i32 = 10;

/// Who forgot the password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Forgot {
    /// The address to sign in with.
    email: Email,
    /// Id or slug of the business; every business of the address when left out.
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
    for candidate in ask(&app, &visitor, &body).await? {
        let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
        if send_reset(&app, visitor.now, &candidate, (body.email.as_str(), &key), &token).await? {
            first.get_or_insert(token);
        }
    }
    tokio::time::sleep_until(answer_at).await;
    Ok(Accepted(Mailed::new(&app, first.as_ref())).into_response())
}

/// Asks the counters, and finds whom the address may open.
async fn ask(app: &App, visitor: &Visitor, body: &Forgot) -> ApiResult<Vec<Candidate>> {
    let is_relaxed = matches!(app.config.app_env, AppEnv::Local | AppEnv::Test);
    let limit = if is_relaxed { LOCAL_LIMIT } else { LIMIT };
    let keys = app.secret_box();
    let network = accounts::network_key(keys, visitor.address).map_err(|_| Problem::internal())?;
    let guard = Guard::new(keys, body.email.as_str(), visitor.address).map_err(|_| Problem::internal())?;
    let mut tx = app.db.system(SystemReason::Login).await?;
    let wait = accounts::count_call(&mut tx, &app.limits, Knock::Forgot, &network, limit).await?;
    let is_over =
        accounts::count_call(&mut tx, &app.limits, Knock::ForgotAccount, guard.account_key(), MAILS).await?;
    let mut candidates = accounts::find_logins(&mut tx, body.email.as_str()).await?;
    tx.commit().await?;
    if let Some(seconds) = wait {
        return Err(crate::login::too_many(seconds));
    }
    candidates.retain(|one| one.active && is_over.is_none());
    if let Some(tenant) = &body.tenant {
        candidates
            .retain(|one| one.tenant_slug == tenant.as_str() || one.tenant.to_string() == tenant.as_str());
    }
    Ok(candidates)
}

/// Opens the reset and owes its mail in one transaction, once for each key. A key that is spent, is being spent, or came with another body
/// sends nothing and is told to nobody: only an address that is known can have spent one.
async fn send_reset(
    app: &App,
    now: DateTime<Utc>,
    candidate: &Candidate,
    (email, key): (&str, &DoorKey),
    token: &OpaqueToken,
) -> ApiResult<bool> {
    let Some(mut tx) = app.db.open_tenant(candidate.tenant).await? else { return Ok(false) };
    let claim = match key.claim(&mut tx, app, &format!("forgot:{}", candidate.user_id)).await {
        Ok(Claimed::Now(claim)) => claim,
        Err(problem) if !problem.status().is_client_error() => return Err(problem),
        Ok(Claimed::Before(_)) | Err(_) => {
            tx.commit().await?;
            return Ok(false);
        }
    };
    accounts::issue_token(&mut tx, now, TokenUse::Reset, candidate.user_id, &json!({}), token).await?;
    mails::owe(&mut tx, app, Mail { to: email, letter: Letter::Reset(token) }).await?;
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
    mails::owe(&mut tx, &app, mail).await?;
    let answer = claim.store(&mut tx, NoContent).await?;
    note(&mut tx, "user.password_reset", account.id).await?;
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
        mails::owe(&mut tx, &app, Mail { to: proved.former.expose(), letter: Letter::EmailChanged }).await?;
        note(&mut tx, "user.email_changed", proved.user).await?;
    }
    app.queue.nudge(tx.commit().await?).await;
    Ok(answer)
}

/// Owes a mail to an address that is to be proved.
pub(crate) async fn ask_for_proof(
    tx: &mut TenantTx,
    app: &App,
    now: DateTime<Utc>,
    user: Uuid,
    email: &str,
) -> ApiResult<OpaqueToken> {
    let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
    accounts::issue_token(tx, now, TokenUse::Verify, user, &json!({"email": email}), &token).await?;
    mails::owe(tx, app, Mail { to: email, letter: Letter::Verify(&token) }).await?;
    Ok(token)
}

async fn note(tx: &mut TenantTx, action: &str, user: Uuid) -> ApiResult<()> {
    let entry = audit::Entry {
        actor: ("user", Some(user)),
        action,
        object_kind: "user",
        object_id: Some(user),
        before: None,
        after: None,
        request_id: None,
    };
    Ok(audit::append(tx, &entry).await?)
}
