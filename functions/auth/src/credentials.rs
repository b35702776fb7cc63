//! Changing what one signs in with, and giving the password again before something dangerous.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Credentials, SignIn},
    app::App,
    auth::{Permission, SecureSelf},
    http::{Accepted, ApiResult, Check, Cx, FRESHNESS, Problem, Valid},
    mails::{self, Letter, Mail},
    private::Secret,
    values::Email,
};
use utoipa::ToSchema;

use crate::{
    door::{OwnSession, Visitor, person, prove_password},
    mfa::take_code,
    note,
    recovery::{Mailed, open_proof},
};

/// A password in place of another.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The password until now.
    current_password: Secret,
    /// The password from now on.
    new_password: Secret,
    /// A code of the app, for those who have a second step.
    #[serde(default)]
    code: Option<Secret>,
}

impl Check for ChangePassword {}

/// An address in place of another.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeEmail {
    /// The address to sign in with, once it is proved.
    email: Email,
}

impl Check for ChangeEmail {}

/// The password once more.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reauth {
    /// The password.
    password: Secret,
    /// A code of the app, for those who have a second step.
    #[serde(default)]
    code: Option<Secret>,
}

impl Check for Reauth {}

/// How long dangerous calls work without asking again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reauthenticated {
    /// When the password was given.
    authenticated_at: DateTime<Utc>,
    /// Until when it counts as given just now.
    fresh_until: DateTime<Utc>,
}

/// Sets another password. Every session ends, access tokens from before included; the answer begins a new one.
#[utoipa::path(post, path = "/api/me/password", operation_id = "change_password", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), request_body = ChangePassword,
    responses((status = 200, body = SignIn)))]
pub(crate) async fn change_password(
    cx: Cx<OwnSession>,
    State(app): State<App>,
    visitor: Visitor,
    mut parts: Parts,
    Valid(body): Valid<ChangePassword>,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    let (who, request) = ((cx.tx.tenant_id(), user), cx.request_id().to_owned());
    let known = known(&app, cx).await?;
    let own = [known.email.expose().as_str(), known.name.expose().as_str()];
    accounts::refuse_weak_at("/newPassword", &body.new_password, &own)?;
    let verified = prove_password(&app, &visitor, &known, &body.current_password).await;
    let verified = note::watch(&app, who, "user.password_failed", &request, verified).await?;
    let hash = accounts::hash_password(&body.new_password).await?;
    let cx = match Cx::<OwnSession>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let mut cx = prove_code(cx, &app, &visitor, &mut parts, &known, body.code.as_ref()).await?;
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let account = accounts::change_password(&mut cx.tx, visitor.now, user, (&verified, &hash), &session)
        .await?
        .ok_or_else(Problem::unauthorized)?;
    let mail = Mail { to: account.email.expose(), letter: Letter::PasswordChanged };
    mails::tell(&mut cx.tx, &app, mail).await?;
    let answer = visitor.welcome(&app, account, &session, &token)?;
    cx.note("user.password_changed", ("user", user), (None, None)).await?;
    cx.commit(Json(answer)).await
}

/// Sends a mail to another address; it becomes the one to sign in with once the link is followed. The present address is told, and
/// a link to a third one ends. One's own address again sends its proof again.
#[utoipa::path(post, path = "/api/me/email", operation_id = "change_email", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), request_body = ChangeEmail,
    responses((status = 202, body = Mailed)))]
pub(crate) async fn change_email(
    mut cx: Cx<SecureSelf>,
    State(app): State<App>,
    Valid(body): Valid<ChangeEmail>,
) -> ApiResult {
    let ((user, session), now) = (person(&cx.actor)?, cx.now());
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    let (present, asked) = (known.email.expose().as_str(), body.email.as_str());
    let token = open_proof(&mut cx.tx, now, (user, session), asked).await?;
    mails::owe(&mut cx.tx, &app, Mail { to: asked, letter: Letter::Verify(&token) }).await?;
    if present != asked {
        mails::tell(&mut cx.tx, &app, Mail { to: present, letter: Letter::EmailRequested }).await?;
    }
    cx.note("user.email_requested", ("user", user), (None, None)).await?;
    cx.commit(Accepted(Mailed::new(&app, Some(&token)))).await
}

/// Gives the password again, so that dangerous calls work for the next five minutes.
#[utoipa::path(post, path = "/api/auth/reauth", operation_id = "reauthenticate", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), request_body = Reauth,
    responses((status = 200, body = Reauthenticated)))]
pub(crate) async fn reauth(
    cx: Cx<OwnSession>,
    State(app): State<App>,
    visitor: Visitor,
    mut parts: Parts,
    Valid(body): Valid<Reauth>,
) -> ApiResult {
    let (user, session) = person(&cx.actor)?;
    let (who, request) = ((cx.tx.tenant_id(), user), cx.request_id().to_owned());
    let known = known(&app, cx).await?;
    let verified = prove_password(&app, &visitor, &known, &body.password).await;
    note::watch(&app, who, "user.password_failed", &request, verified).await?;
    let cx = match Cx::<OwnSession>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let mut cx = prove_code(cx, &app, &visitor, &mut parts, &known, body.code.as_ref()).await?;
    accounts::refresh_proof(&mut cx.tx, visitor.now, session).await?;
    cx.note("user.reauthenticated", ("user", user), (None, Some(json!({"sessionId": session})))).await?;
    let fresh_until = visitor.now + FRESHNESS;
    cx.commit(Json(Reauthenticated { authenticated_at: visitor.now, fresh_until })).await
}

/// Takes a code from those who have a second step: the password alone is half of what they are recognised by.
async fn prove_code<P: Permission>(
    cx: Cx<P>,
    app: &App,
    visitor: &Visitor,
    parts: &mut Parts,
    known: &Credentials,
    code: Option<&Secret>,
) -> ApiResult<Cx<P>> {
    if !known.mfa {
        return Ok(cx);
    }
    let (user, _) = person(&cx.actor)?;
    let code = code.ok_or_else(|| {
        Problem::invalid("/code", "required", "This account has a second step: give a code as well.")
    })?;
    take_code(cx, app, visitor, parts, user, code).await
}

/// What the caller is recognised by. The transaction ends with it: none may wait for a hash.
async fn known<P: Permission>(app: &App, mut cx: Cx<P>) -> ApiResult<Credentials> {
    let (user, _) = person(&cx.actor)?;
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    drop(cx);
    app.db.settle().await;
    Ok(known)
}
