//! Changing what one signs in with, and giving the password again before something dangerous.

use axum::{
    Extension, Json,
    extract::{FromRequestParts, State},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use shared::{
    accounts::{self, Credentials, SignIn},
    app::App,
    audit,
    auth::{Permission, SecureSelf, WriteSelf},
    http::{Accepted, ApiResult, Check, Cx, FRESHNESS, Problem, RequestId, Valid},
    mails::{self, Letter, Mail},
    private::Secret,
    values::Email,
};
use utoipa::ToSchema;

use crate::{
    door::{OwnSession, Visitor, person, prove_password},
    mfa::take_code,
    recovery::{Mailed, ask_for_proof},
};

/// A password in place of another.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The password until now.
    current_password: Secret,
    /// The password from now on.
    new_password: Secret,
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
    cx: Cx<WriteSelf>,
    State(app): State<App>,
    visitor: Visitor,
    mut parts: Parts,
    Valid(body): Valid<ChangePassword>,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    let known = known(&app, cx).await?;
    let own = [known.email.expose().as_str(), known.name.expose().as_str()];
    accounts::refuse_weak_at("/newPassword", &body.new_password, &own)?;
    let verified = prove_password(&app, &visitor, &known, &body.current_password).await?;
    let hash = accounts::hash_password(&body.new_password).await?;
    let mut cx = match Cx::<WriteSelf>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let account = accounts::change_password(&mut cx.tx, visitor.now, user, (&verified, &hash), &session)
        .await?
        .ok_or_else(Problem::unauthorized)?;
    let mail = Mail { to: account.email.expose(), letter: Letter::PasswordChanged };
    mails::owe(&mut cx.tx, &app, mail).await?;
    let answer = visitor.welcome(&app, account, &session, &token)?;
    let request = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let entry = audit::Entry::by(&cx.actor, "user.password_changed", "user", user).request(&request);
    audit::append(&mut cx.tx, &entry).await?;
    cx.commit(Json(answer)).await
}

/// Sends a mail to another address; it becomes the one to sign in with once the link is followed. One's own address again
/// sends its proof again.
#[utoipa::path(post, path = "/api/me/email", operation_id = "change_email", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), request_body = ChangeEmail,
    responses((status = 202, body = Mailed)))]
pub(crate) async fn change_email(
    mut cx: Cx<SecureSelf>,
    State(app): State<App>,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<ChangeEmail>,
) -> ApiResult {
    let ((user, _), now) = (person(&cx.actor)?, cx.now());
    let token = ask_for_proof(&mut cx.tx, &app, now, user, body.email.as_str()).await?;
    let entry = audit::Entry::by(&cx.actor, "user.email_requested", "user", user).request(&request);
    audit::append(&mut cx.tx, &entry).await?;
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
    let known = known(&app, cx).await?;
    prove_password(&app, &visitor, &known, &body.password).await?;
    let mut cx = match Cx::<OwnSession>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    if known.mfa {
        let code = body.code.as_ref().ok_or_else(|| {
            Problem::invalid("/code", "required", "This account has a second step: give a code as well.")
        })?;
        cx = take_code(cx, &app, &visitor, &mut parts, user, code).await?;
    }
    accounts::refresh_proof(&mut cx.tx, visitor.now, session).await?;
    let fresh_until = visitor.now + FRESHNESS;
    cx.commit(Json(Reauthenticated { authenticated_at: visitor.now, fresh_until })).await
}

/// What the caller is recognised by. The transaction ends with it: none may wait for a hash.
async fn known<P: Permission>(app: &App, mut cx: Cx<P>) -> ApiResult<Credentials> {
    let (user, _) = person(&cx.actor)?;
    let known = accounts::find_credentials(&mut cx.tx, user).await?.ok_or_else(Problem::unauthorized)?;
    drop(cx);
    app.db.settle().await;
    Ok(known)
}
