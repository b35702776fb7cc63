//! Invitations: sent by an administrator, accepted by whoever has the mail.

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Serialize};
use shared::{
    accounts::{self, NewUser, SignIn},
    app::App,
    auth::{ManageUsers, RecordScope, Role},
    crypto::{OpaqueToken, TokenKind},
    db::TokenUse,
    http::{ApiResult, Check, Claimed, Created, Cx, DoorKey, PathId, Problem, RequestId, Valid},
    mails::{self, Letter, Mail},
    private::Secret,
    values::{Email, Line},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    door::{Visitor, bearer_of, gone, open_token_once},
    note,
    users::{add, require_no_stronger, require_rank},
};

/// Who is invited.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InviteUser {
    /// The address that gets the link.
    email: Email,
    /// What the user will be allowed to do.
    role: Role,
    /// The user's name; the address when left out.
    #[serde(default)]
    name: Option<Line>,
    /// Whose records the user will see; all when left out.
    #[serde(default)]
    record_scope: Option<RecordScope>,
}

impl Check for InviteUser {}

/// An invitation that was sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentInvite {
    /// The invitation.
    invite_id: Option<Uuid>,
    /// The invited user.
    user_id: Uuid,
    /// The token of the link, on a developer's machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// How an invitation is accepted.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AcceptInvite {
    /// The token of the link.
    token: Secret,
    /// The password to sign in with from now on.
    password: Secret,
}

impl Check for AcceptInvite {}

/// Invites a colleague. It wants the password within the last five minutes; a key invites nobody who may do more than itself.
#[utoipa::path(post, path = "/api/users/invite", operation_id = "invite_user", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), request_body = InviteUser, responses((status = 201, body = SentInvite)))]
pub(crate) async fn invite_user(
    mut cx: Cx<ManageUsers>,
    State(app): State<App>,
    Valid(body): Valid<InviteUser>,
) -> ApiResult {
    require_rank(&cx.actor, body.role)?;
    require_no_stronger(&cx.actor, body.role)?;
    let name = match body.name {
        Some(name) => name,
        None => Line::try_from(body.email.to_string()).map_err(|_| Problem::internal())?,
    };
    let new = NewUser {
        name,
        email: body.email,
        role: body.role,
        password: None,
        record_scope: body.record_scope,
        team: None,
    };
    let added = add(&mut cx, &app, &new, None).await?;
    let location = format!("/api/users/{}", added.user.id);
    let sent = SentInvite { invite_id: added.invite_id, user_id: added.user.id, token: added.token };
    cx.commit(Created { location, body: sent }).await
}

/// Invites again a colleague who has not chosen a password yet. Links that were sent before end.
#[utoipa::path(post, path = "/api/users/{id}/invite", operation_id = "resend_invite", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)),
    responses((status = 200, body = SentInvite)))]
pub(crate) async fn resend_invite(
    mut cx: Cx<ManageUsers>,
    State(app): State<App>,
    PathId(id): PathId,
) -> ApiResult {
    cx.hold_caller().await?;
    let now = cx.now();
    let user = accounts::find_user(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    require_rank(&cx.actor, user.role)?;
    require_no_stronger(&cx.actor, user.role)?;
    let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
    let invite = accounts::renew_invite(&mut cx.tx, now, id, &token).await?.ok_or_else(|| {
        Problem::conflict(
            "already_joined",
            "This colleague has accepted the invitation, or never needed one.",
        )
    })?;
    mails::owe(&mut cx.tx, &app, Mail { to: user.email.expose(), letter: Letter::Invite(&token) }).await?;
    cx.note("user.invited_again", ("user", id), (None, None)).await?;
    let shown = app.config.app_env.is_local().then(|| token.expose().to_owned());
    cx.commit(Json(SentInvite { invite_id: Some(invite.id), user_id: id, token: shown })).await
}

/// Accepts an invitation: sets the password and signs in. A second use is 410.
#[utoipa::path(post, path = "/api/auth/accept-invite", operation_id = "accept_invite", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = AcceptInvite, responses((status = 200, body = SignIn)))]
pub(crate) async fn accept_invite(
    State(app): State<App>,
    visitor: Visitor,
    key: DoorKey,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<AcceptInvite>,
) -> ApiResult {
    accounts::refuse_weak(&body.password, &[])?;
    let (tx, grant, _) = match open_token_once(&app, TokenUse::Invite, &body.token, &key).await? {
        Ok(opened) => opened,
        Err(answered) => return Ok(answered),
    };
    if tx.settings().suspended {
        return Err(Problem::tenant_suspended());
    }
    let tenant = tx.tenant_id();
    // The transaction must not wait for the hash; the invitation is spent by a conditional update in the next one.
    tx.commit().await?;
    let hash = accounts::hash_password(&body.password).await?;
    let (session, refresh) = visitor.begin_session(app.secret_box())?;
    let mut tx = app.db.open_tenant(tenant).await?.ok_or_else(gone)?;
    let claim = match key.claim(&mut tx, &app, &bearer_of(&grant)).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answered) => return Ok(answered),
    };
    let account = accounts::accept_invite(&mut tx, visitor.now, grant.token_id, &hash, &session)
        .await?
        .ok_or_else(gone)?;
    let user = account.id;
    let answer = visitor.welcome(&app, account, &session, &refresh)?;
    let answer = claim.store(&mut tx, Json(answer)).await?;
    note::by_user(&mut tx, "user.invite_accepted", user, None, &request).await?;
    tx.commit().await?;
    Ok(answer)
}
