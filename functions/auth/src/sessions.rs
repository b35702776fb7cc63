//! Sessions: looking at one's own and ending them.

use axum::{
    Extension, Json,
    extract::{FromRequest, FromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Account, Session, SessionFilter},
    app::App,
    auth::{ReadSelf, refresh},
    http::{
        ApiResult, Check, Cx, ListQuery, NoContent, Page, PageParams, PathId, Problem, QueryString, RawBody,
        RequestId, Valid, ValidOrDefault,
    },
    private::Secret,
};
use utoipa::ToSchema;

use crate::{
    door::{OwnSession, person},
    keys, note,
};

/// The session as NextAuth shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Who is signed in.
    user: Account,
    /// When the session ends unless it is refreshed.
    expires: DateTime<Utc>,
}

/// Which session ends.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Logout {
    /// A refresh token of the session, for those whose access token has expired.
    refresh_token: Secret,
}

impl Check for Logout {}

/// What ends besides the sessions.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LogoutEverywhere {
    /// API keys that the caller made at or after this instant end as well: whoever had a stolen session may have made one.
    revoke_keys_since: Option<DateTime<Utc>>,
}

impl Check for LogoutEverywhere {}

/// Who is signed in; `{}` without a token.
#[utoipa::path(get, path = "/api/auth/session", operation_id = "get_session", tag = "auth",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = SessionView)))]
pub(crate) async fn get_session(State(app): State<App>, request: Request) -> ApiResult {
    if !request.headers().contains_key(header::AUTHORIZATION) {
        return Ok(Json(json!({})).into_response());
    }
    let (mut parts, _) = request.into_parts();
    let mut cx = match Cx::<ReadSelf>::from_request_parts(&mut parts, &app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let (_, session) = person(&cx.actor)?;
    let (user, expires) =
        accounts::find_session_account(&mut cx.tx, session).await?.ok_or_else(Problem::unauthorized)?;
    cx.commit(Json(SessionView { user, expires })).await
}

/// The public keys of access tokens.
#[utoipa::path(get, path = "/api/auth/jwks", operation_id = "get_jwks", tag = "auth",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = Object)))]
pub(crate) async fn get_jwks(State(app): State<App>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(accounts::jwks(&app)))
}

/// Ends the session of the access token, or of the refresh token in the body. An unknown refresh token is as good as ended.
#[utoipa::path(post, path = "/api/auth/logout", operation_id = "logout", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body(content = Option<Logout>), responses((status = 204)))]
pub(crate) async fn logout(
    State(app): State<App>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> ApiResult {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return logout_caller(&app, request).await;
    }
    if request.extensions().get::<RawBody>().is_none_or(|body| body.0.is_empty()) {
        return Err(Problem::unauthorized());
    }
    let Valid(body) = Valid::<Logout>::from_request(request, &()).await?;
    if let Some(token) = refresh::parse(body.refresh_token.expose())
        && let Some((mut tx, grant)) = app.db.open_refresh(&token.hash(), None).await?.granted
    {
        if let Some(user) = accounts::revoke_family(&mut tx, grant.session_id, "logout").await? {
            let after = json!({"sessionId": grant.session_id});
            note::by_user(&mut tx, "user.signed_out", user, Some(after), &request_id).await?;
        }
        tx.commit().await?;
    }
    Ok(NoContent.into_response())
}

async fn logout_caller(app: &App, request: Request) -> ApiResult {
    let (mut parts, _) = request.into_parts();
    let mut cx = match Cx::<OwnSession>::from_request_parts(&mut parts, app).await {
        Ok(cx) => cx,
        Err(refusal) => return Ok::<Response, Problem>(refusal.into_response()),
    };
    let (user, session) = person(&cx.actor)?;
    accounts::revoke_family(&mut cx.tx, session, "logout").await?;
    let after = json!({"sessionId": session});
    cx.note("user.signed_out", ("user", user), (None, Some(after))).await?;
    cx.commit(NoContent).await
}

/// Ends every session of the caller, this one included. API keys are not sessions: with `revokeKeysSince` those that the
/// caller made since then end too.
#[utoipa::path(post, path = "/api/auth/logout-all", operation_id = "logout_everywhere", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), request_body = Option<LogoutEverywhere>,
    responses((status = 204)))]
pub(crate) async fn logout_all(
    mut cx: Cx<OwnSession>,
    ValidOrDefault(body): ValidOrDefault<LogoutEverywhere>,
) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    // Keys that are being made at this moment are made first, and end with the others.
    cx.hold_caller().await?;
    accounts::revoke_all_sessions(&mut cx.tx, user, "logout_all").await?;
    if let Some(since) = body.revoke_keys_since {
        let ended = accounts::revoke_keys_of(&mut cx.tx, user, Some(since)).await?;
        keys::note_ended(&mut cx, &ended, "maker_signed_out").await?;
    }
    cx.note("user.signed_out_everywhere", ("user", user), (None, None)).await?;
    cx.commit(NoContent).await
}

/// Where the caller is signed in.
#[utoipa::path(get, path = "/api/auth/sessions", operation_id = "list_sessions", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), params(PageParams), responses((status = 200, body = Page<Session>)))]
pub(crate) async fn list_sessions(mut cx: Cx<ReadSelf>, query: QueryString) -> ApiResult {
    let query: ListQuery<SessionFilter> = query.list(cx.zone())?;
    let (user, session) = person(&cx.actor)?;
    let page = accounts::list_sessions(&mut cx.tx, user, session, &query).await?;
    cx.commit(Json(page)).await
}

/// Ends one of the caller's sessions; its next request is refused.
#[utoipa::path(delete, path = "/api/auth/sessions/{id}", operation_id = "delete_session", tag = "auth",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("none"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_session(mut cx: Cx<OwnSession>, PathId(id): PathId) -> ApiResult {
    let (user, _) = person(&cx.actor)?;
    if !accounts::revoke_session(&mut cx.tx, user, id, "revoked").await? {
        return Err(Problem::not_found());
    }
    cx.note("session.revoked", ("session", id), (None, None)).await?;
    cx.commit(NoContent).await
}
