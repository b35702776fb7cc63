//! The second step of a login.

use axum::{
    Extension, Json,
    extract::{FromRequest, FromRequestParts, Request, State},
    response::IntoResponse,
};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Confirmation, Guard},
    app::App,
    audit,
    auth::{Permission, SecureSelf, WriteSelf, totp},
    db::TokenUse,
    http::{ApiResult, Check, Cx, NoContent, Problem, RequestId, Valid},
    private::Secret,
};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::door::{Visitor, gone, knock, open_token, person, refuse};

/// What an app needs. It is shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Enrolment {
    /// The seed, to type.
    secret: String,
    /// The seed, to show as a QR code.
    otpauth_url: String,
    /// Codes that each open the account once when the app is lost.
    recovery_codes: Vec<String>,
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VerifyMfa {
    /// The code of the app; to sign in, a recovery code will do.
    code: Secret,
    /// What the login answered. Without it the caller is signed in and confirms the app.
    #[serde(default)]
    challenge_id: Option<Secret>,
}

impl Check for VerifyMfa {}

/// Makes a seed for an authenticator app. It counts once `POST /api/auth/mfa/verify` has got a first code.
#[utoipa::path(post, path = "/api/auth/mfa", operation_id = "enrol_mfa", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))),
    responses((status = 200, body = Enrolment)))]
pub(crate) async fn enrol_mfa(mut cx: Cx<SecureSelf>, State(app): State<App>) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    let seed = totp::new_seed().map_err(|_| Problem::internal())?;
    let codes = totp::new_recovery_codes().map_err(|_| Problem::internal())?;
    if !accounts::begin_mfa(&mut cx.tx, app.secret_box(), user, &seed, &codes).await? {
        return Err(Problem::conflict(
            "mfa_active",
            "A second step is active; remove it before making another.",
        ));
    }
    let enrolment = Enrolment {
        secret: totp::base32(&seed),
        otpauth_url: totp::url(&seed, known.email.expose()),
        recovery_codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
    };
    cx.commit(Json(enrolment)).await
}

/// Removes the second step. It needs the password, and a code, within the last five minutes.
#[utoipa::path(delete, path = "/api/auth/mfa", operation_id = "delete_mfa", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), responses((status = 204)))]
pub(crate) async fn delete_mfa(
    mut cx: Cx<SecureSelf>,
    Extension(RequestId(request)): Extension<RequestId>,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    if !accounts::remove_mfa(&mut cx.tx, user).await? {
        return Err(Problem::not_found());
    }
    let entry = audit::Entry::by(&cx.actor, "user.mfa_removed", "user", user).request(&request);
    audit::append(&mut cx.tx, &entry).await?;
    cx.commit(NoContent).await
}

/// Takes a code: with a `challengeId` it completes a login, without one it confirms the app of whoever is signed in.
#[utoipa::path(post, path = "/api/auth/mfa/verify", operation_id = "verify_mfa", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = VerifyMfa,
    responses((status = 200, body = shared::accounts::SignIn)))]
pub(crate) async fn verify_mfa(State(app): State<App>, visitor: Visitor, request: Request) -> ApiResult {
    let (mut parts, body) = request.into_parts();
    let Valid(given) =
        Valid::<VerifyMfa>::from_request(Request::from_parts(parts.clone(), body), &()).await?;
    if let Some(challenge) = &given.challenge_id {
        return complete(&app, &visitor, challenge, &given.code).await;
    }
    let cx = match Cx::<WriteSelf>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    confirm(cx, &app, &visitor, &parts, &given.code).await
}

/// The second step of a login.
async fn complete(app: &App, visitor: &Visitor, challenge: &Secret, code: &Secret) -> ApiResult {
    let refuse_at = Instant::now() + accounts::FAILURE_FLOOR;
    let (tx, grant) = open_token(app, TokenUse::Mfa, challenge).await?;
    let user = grant.user_id.ok_or_else(gone)?;
    let tenant = tx.tenant_id();
    tx.commit().await?;
    let guard = code_guard(app, visitor, user)?;
    knock(app, &guard).await?;
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let mut tx = app.db.open_tenant(tenant).await?.ok_or_else(gone)?;
    if !accounts::spend_code(&mut tx, app.secret_box(), visitor.now, user, code).await? {
        drop(tx);
        app.db.settle().await;
        refuse(app, &guard, refuse_at).await?;
        return Err(invalid_code());
    }
    let account = accounts::enter_by_challenge(&mut tx, visitor.now, grant.token_id, &session)
        .await?
        .ok_or_else(gone)?;
    let answer = visitor.welcome(app, account, &session, &token)?;
    tx.commit().await?;
    Ok(Json(answer).into_response())
}

/// The first code of an app.
async fn confirm(
    mut cx: Cx<WriteSelf>,
    app: &App,
    visitor: &Visitor,
    parts: &Parts,
    code: &Secret,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    match accounts::confirm_mfa(&mut cx.tx, app.secret_box(), visitor.now, user, code).await? {
        Confirmation::Active => {}
        Confirmation::Wrong => return Err(invalid_code()),
        Confirmation::NothingPending => {
            return Err(Problem::conflict("mfa_not_pending", "No second step waits for its first code."));
        }
    }
    let request = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let entry = audit::Entry::by(&cx.actor, "user.mfa_activated", "user", user).request(&request);
    audit::append(&mut cx.tx, &entry).await?;
    cx.commit(Json(json!({"active": true}))).await
}

/// Takes a code from somebody who is signed in; a wrong one is counted, and the request ends.
pub(crate) async fn take_code<P: Permission>(
    cx: Cx<P>,
    app: &App,
    visitor: &Visitor,
    parts: &mut Parts,
    user: Uuid,
    code: &Secret,
) -> ApiResult<Cx<P>> {
    let refuse_at = Instant::now() + accounts::FAILURE_FLOOR;
    let guard = code_guard(app, visitor, user)?;
    // The counters are asked without an open transaction, since they may say to wait.
    drop(cx);
    app.db.settle().await;
    knock(app, &guard).await?;
    let mut cx = Cx::<P>::from_request_parts(parts, app).await.map_err(|_| Problem::unauthorized())?;
    if accounts::spend_code(&mut cx.tx, app.secret_box(), visitor.now, user, code).await? {
        return Ok(cx);
    }
    drop(cx);
    app.db.settle().await;
    refuse(app, &guard, refuse_at).await?;
    Err(invalid_code())
}

/// Codes are counted per user and network, apart from passwords: who guesses codes has the password already.
fn code_guard(app: &App, visitor: &Visitor, user: Uuid) -> ApiResult<Guard> {
    Guard::new(app.secret_box(), &format!("mfa:{user}"), visitor.address).map_err(|_| Problem::internal())
}

fn invalid_code() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_code", "This code is wrong, or it was used before.")
}
