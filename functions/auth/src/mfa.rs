//! The second step of a login.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request, State},
    response::IntoResponse,
};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Confirmation},
    app::App,
    auth::{Permission, Role, SecureSelf, SecureUsers, WriteSelf, totp},
    db::TokenUse,
    http::{ApiResult, Check, Cx, IfMatch, NoContent, PathId, Problem, Refusal, RequestId, Valid},
    mails::{self, Letter, Mail},
    private::Secret,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    door::{Visitor, gone, knock_with_code, open_token, person, rank},
    note,
};

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

/// What proves that somebody may have other recovery codes.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RenewCodes {
    /// A code of the app, or one of the recovery codes.
    code: Secret,
}

impl Check for RenewCodes {}

/// Other recovery codes. They are shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenewedCodes {
    /// Codes that each open the account once when the app is lost.
    recovery_codes: Vec<String>,
}

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
        recovery_codes: shown(&codes),
    };
    cx.note("user.mfa_begun", ("user", user), (None, None)).await?;
    cx.commit(Json(enrolment)).await
}

/// Makes other recovery codes; the earlier ones end. It needs a code besides the password within the last five minutes.
#[utoipa::path(post, path = "/api/auth/mfa/recovery-codes", operation_id = "renew_recovery_codes", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), request_body = RenewCodes,
    responses((status = 200, body = RenewedCodes)))]
pub(crate) async fn renew_recovery_codes(
    mut cx: Cx<SecureSelf>,
    State(app): State<App>,
    visitor: Visitor,
    mut parts: Parts,
    Valid(body): Valid<RenewCodes>,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    if !known.mfa {
        return Err(Problem::not_found());
    }
    let codes = totp::new_recovery_codes().map_err(|_| Problem::internal())?;
    let mut cx = take_code(cx, &app, &visitor, &mut parts, user, &body.code).await?;
    if !accounts::renew_recovery_codes(&mut cx.tx, user, &codes).await? {
        return Err(Problem::not_found());
    }
    let mail = Mail { to: known.email.expose(), letter: Letter::RecoveryCodesRenewed };
    mails::tell(&mut cx.tx, &app, mail).await?;
    cx.note("user.recovery_codes_renewed", ("user", user), (None, None)).await?;
    cx.commit(Json(RenewedCodes { recovery_codes: shown(&codes) })).await
}

/// Takes the second step away from a colleague who has lost it, signs the colleague out everywhere and tells them. An owner does it for
/// everybody, an administrator for those of lower roles; an API key for nobody.
#[utoipa::path(delete, path = "/api/users/{id}/mfa", operation_id = "delete_user_mfa", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), params(("id" = Uuid, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_user_mfa(
    mut cx: Cx<SecureUsers>,
    State(app): State<App>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let (caller, _) = person(&cx.actor)?;
    let (before, _) = accounts::lock_user_and_owners(&mut cx.tx, id).await?;
    cx.hold_caller().await?;
    let before = before.ok_or_else(Problem::not_found)?;
    if_match.require(before.version)?;
    if caller == id {
        return Err(Problem::conflict("own_second_step", "DELETE /api/auth/mfa removes one's own."));
    }
    let rank = rank(&cx.actor);
    if rank != Role::Owner && before.role >= rank {
        return Err(Problem::role_required(Role::Owner));
    }
    if !accounts::remove_mfa(&mut cx.tx, id).await? {
        return Err(Problem::not_found());
    }
    accounts::revoke_all_sessions(&mut cx.tx, id, "mfa_taken_away").await?;
    let mail = Mail { to: before.email.expose(), letter: Letter::MfaTakenAway };
    mails::tell(&mut cx.tx, &app, mail).await?;
    cx.note("user.mfa_taken_away", ("user", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// Removes the second step. It needs the password, and a code, within the last five minutes.
#[utoipa::path(delete, path = "/api/auth/mfa", operation_id = "delete_mfa", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), responses((status = 204)))]
pub(crate) async fn delete_mfa(mut cx: Cx<SecureSelf>, State(app): State<App>) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    if !accounts::remove_mfa(&mut cx.tx, user).await? {
        return Err(Problem::not_found());
    }
    warn(&mut cx, &app, user, Letter::MfaRemoved).await?;
    cx.note("user.mfa_removed", ("user", user), (None, None)).await?;
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
        return complete(&app, &visitor, &parts, challenge, &given.code).await;
    }
    let cx = match Cx::<WriteSelf>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    confirm(cx, &app, &visitor, &given.code).await
}

/// The second step of a login.
async fn complete(
    app: &App,
    visitor: &Visitor,
    parts: &Parts,
    challenge: &Secret,
    code: &Secret,
) -> ApiResult {
    let request = request_id(parts);
    let (tx, grant) = open_token(app, TokenUse::Mfa, challenge).await?;
    let user = grant.user_id.ok_or_else(gone)?;
    let tenant = tx.tenant_id();
    tx.commit().await?;
    let (guard, hold) = knock_with_code(app, visitor, tenant, user).await?;
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let mut tx = app.db.open_tenant(tenant).await?.ok_or_else(gone)?;
    if !accounts::spend_code(&mut tx, app.secret_box(), visitor.now, user, code).await? {
        drop(tx);
        app.db.settle().await;
        note::failed(app, tenant, user, "user.code_failed", &request).await?;
        hold.wait().await;
        return Err(invalid_code());
    }
    let account = accounts::enter_by_challenge(&mut tx, visitor.now, grant.token_id, &session)
        .await?
        .ok_or_else(gone)?;
    accounts::forgive(&mut tx, &app.limits, &guard, None).await?;
    note::came_in(&mut tx, user, session.id, Some(code), &request).await?;
    let answer = visitor.welcome(app, account, &session, &token)?;
    tx.commit().await?;
    Ok(Json(answer).into_response())
}

/// The first code of an app.
async fn confirm(mut cx: Cx<WriteSelf>, app: &App, visitor: &Visitor, code: &Secret) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    match accounts::confirm_mfa(&mut cx.tx, app.secret_box(), visitor.now, user, code).await? {
        Confirmation::Active => {}
        Confirmation::Wrong => return Err(invalid_code()),
        Confirmation::NothingPending => {
            return Err(Problem::conflict("mfa_not_pending", "No second step waits for its first code."));
        }
    }
    warn(&mut cx, app, user, Letter::MfaAdded).await?;
    cx.note("user.mfa_activated", ("user", user), (None, None)).await?;
    cx.commit(Json(json!({"active": true}))).await
}

/// Tells a user what has happened to the account.
async fn warn<P: Permission>(cx: &mut Cx<P>, app: &App, user: Uuid, letter: Letter<'_>) -> ApiResult<()> {
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    mails::tell(&mut cx.tx, app, Mail { to: known.email.expose(), letter }).await?;
    Ok(())
}

fn shown(codes: &[Secret]) -> Vec<String> {
    codes.iter().map(|code| code.expose().to_owned()).collect()
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
    // The counters are asked without an open transaction, since they may say to wait.
    let (tenant, request) = (cx.tx.tenant_id(), request_id(parts));
    drop(cx);
    app.db.settle().await;
    let (guard, hold) = knock_with_code(app, visitor, tenant, user).await?;
    let mut cx = Cx::<P>::from_request_parts(parts, app).await.map_err(|refusal| match refusal {
        Refusal::Problem(problem) => problem,
        // A twin of this request has just been answered; whoever asks again gets that.
        Refusal::Replay(_) => Problem::concurrent_change(),
    })?;
    if accounts::spend_code(&mut cx.tx, app.secret_box(), visitor.now, user, code).await? {
        accounts::forgive(&mut cx.tx, &app.limits, &guard, None).await?;
        if note::is_recovery_code(code) {
            cx.note("user.recovery_code_used", ("user", user), (None, None)).await?;
        }
        return Ok(cx);
    }
    drop(cx);
    app.db.settle().await;
    note::failed(app, tenant, user, "user.code_failed", &request).await?;
    hold.wait().await;
    Err(invalid_code())
}

fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

fn invalid_code() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_code", "This code is wrong, or it was used before.")
}
