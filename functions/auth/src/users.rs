//! Colleagues.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    accounts::{self, EMAIL_TAKEN, NewUser, PASSWORD_MISSING, User, UserFilter, UserPatch, UserStatus},
    app::App,
    auth::{MakeKeys, ManageUsers, Permission, ReadAdmin, Role, missing_scope},
    crypto::{OpaqueToken, TokenKind},
    db::{OnConstraint, TokenUse},
    http::{
        Actor, ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PageParams, Patch, PathId,
        Problem, QueryString, Valid, Versioned,
    },
    ids::new_id,
    mails::{self, Letter, Mail},
    private::Secret,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{door::rank, keys::note_ended};

/// A colleague who was added.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddedUser {
    #[serde(flatten)]
    pub(crate) user: User,
    /// The invitation, when there is no password yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invite_id: Option<Uuid>,
    /// When the invitation lapses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invite_expires_at: Option<DateTime<Utc>>,
    /// The invitation's token, on a developer's machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// Colleagues, newest first.
#[utoipa::path(get, path = "/api/users", operation_id = "list_users", tag = "auth",
    extensions(("x-role" = json!("admin"))), params(UserFilter, PageParams),
    responses((status = 200, body = Page<User>)))]
pub(crate) async fn list_users(mut cx: Cx<ReadAdmin>, query: QueryString) -> ApiResult {
    let query: ListQuery<UserFilter> = query.list(cx.zone())?;
    let page = accounts::list_users(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Adds a colleague; without a password the colleague is invited. It wants the password within the last five minutes. A key adds
/// nobody with a password, and nobody who may do more than itself.
#[utoipa::path(post, path = "/api/users", operation_id = "create_user", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), request_body = NewUser, responses((status = 201, body = AddedUser)))]
pub(crate) async fn create_user(
    mut cx: Cx<ManageUsers>,
    State(app): State<App>,
    mut parts: Parts,
    Valid(new): Valid<NewUser>,
) -> ApiResult {
    require_rank(&cx.actor, new.role)?;
    require_no_stronger(&cx.actor, new.role)?;
    let hash = match &new.password {
        // Whoever knows the password is somebody whom the key does not answer for, and outlives it.
        Some(_) if cx.actor.user_id().is_none() => return Err(Problem::user_required()),
        Some(password) => {
            accounts::refuse_weak(password, &[new.email.as_str(), new.name.as_str()])?;
            // The transaction must not wait for the hash: it ends here, and the caller is let in anew afterwards.
            drop(cx);
            app.db.settle().await;
            let hash = accounts::hash_password(password).await?;
            cx = match Cx::from_request_parts(&mut parts, &app).await {
                Ok(cx) => cx,
                Err(refusal) => return Ok(refusal.into_response()),
            };
            require_rank(&cx.actor, new.role)?;
            Some(hash)
        }
        None => None,
    };
    let added = add(&mut cx, &app, &new, hash.as_ref()).await?;
    cx.commit(Created { location: format!("/api/users/{}", added.user.id), body: added }).await
}

/// Adds the colleague, the invitation if one is needed, and the entry in the log.
pub(crate) async fn add(
    cx: &mut Cx<ManageUsers>,
    app: &App,
    new: &NewUser,
    hash: Option<&Secret>,
) -> ApiResult<AddedUser> {
    cx.hold_caller().await?;
    let now = cx.now();
    let user = accounts::insert_user(&mut cx.tx, now, new_id(), new, hash)
        .await
        .on_constraint(EMAIL_TAKEN, || {
            Problem::conflict("user_exists", "A colleague has this e-mail address.")
        })?;
    let mut added = AddedUser { user, invite_id: None, invite_expires_at: None, token: None };
    if hash.is_none() {
        let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
        let invite =
            accounts::issue_token(&mut cx.tx, now, TokenUse::Invite, added.user.id, &json!({}), &token)
                .await?;
        let mail = Mail { to: new.email.as_str(), letter: Letter::Invite(&token) };
        mails::owe(&mut cx.tx, app, mail).await?;
        added.invite_id = Some(invite.id);
        added.invite_expires_at = Some(invite.expires_at);
        added.token = app.config.app_env.is_local().then(|| token.expose().to_owned());
    }
    cx.note("user.created", ("user", added.user.id), (None, Some(facts(&added.user)))).await?;
    Ok(added)
}

/// Changes a colleague. The last owner stays one, and only an owner makes or unmakes owners. It wants the password within the
/// last five minutes. The keys of whoever is disabled, or is no administrator any more, end.
#[utoipa::path(patch, path = "/api/users/{id}", operation_id = "update_user", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), request_body = UserPatch,
    responses((status = 200, body = User)))]
pub(crate) async fn update_user(
    mut cx: Cx<ManageUsers>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<UserPatch>,
) -> ApiResult {
    let (before, owners) = accounts::lock_user_and_owners(&mut cx.tx, id).await?;
    cx.hold_caller().await?;
    let before = before.ok_or_else(Problem::not_found)?;
    if_match.require(before.version)?;
    require_rank(&cx.actor, before.role)?;
    let role = patch.role.as_set().copied().unwrap_or(before.role);
    require_rank(&cx.actor, role)?;
    if grows(&before, &patch) {
        require_no_stronger(&cx.actor, role)?;
    }
    let leaves = role != Role::Owner || patch.status == Patch::Set(UserStatus::Disabled);
    if leaves {
        require_another_owner(&before, owners)?;
    }
    let user = accounts::update_user(&mut cx.tx, id, &patch)
        .await
        .on_constraint(PASSWORD_MISSING, || {
            Problem::conflict(
                "invitation_open",
                "An invited user becomes active by accepting the invitation; it can be sent again.",
            )
        })?
        .ok_or_else(Problem::not_found)?;
    let makes_keys = user.status != "disabled" && user.role.allows(MakeKeys::ROLE);
    let ended = if makes_keys { Vec::new() } else { accounts::revoke_keys_of(&mut cx.tx, id, None).await? };
    cx.note("user.updated", ("user", id), (Some(facts(&before)), Some(facts(&user)))).await?;
    let why = if user.status == "disabled" { "maker_disabled" } else { "maker_demoted" };
    note_ended(&mut cx, &ended, why).await?;
    cx.commit(Versioned { version: user.version, answer: Json(user) }).await
}

/// Removes a colleague, whose sessions end with their next request, and whose API keys end. It wants the password within the
/// last five minutes. What the colleague owned belongs to nobody then; to
/// keep it together, disable the user or assign it first.
#[utoipa::path(delete, path = "/api/users/{id}", operation_id = "delete_user", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_user(mut cx: Cx<ManageUsers>, PathId(id): PathId, if_match: IfMatch) -> ApiResult {
    let (before, owners) = accounts::lock_user_and_owners(&mut cx.tx, id).await?;
    cx.hold_caller().await?;
    let before = before.ok_or_else(Problem::not_found)?;
    if_match.require(before.version)?;
    require_rank(&cx.actor, before.role)?;
    require_another_owner(&before, owners)?;
    // While it is still known whose they are; the log comes last.
    let ended = accounts::revoke_keys_of(&mut cx.tx, id, None).await?;
    if !accounts::delete_user(&mut cx.tx, id).await? {
        return Err(Problem::not_found());
    }
    cx.note("user.deleted", ("user", id), (Some(facts(&before)), None)).await?;
    note_ended(&mut cx, &ended, "maker_removed").await?;
    cx.commit(NoContent).await
}

/// Refuses to lose the last owner.
fn require_another_owner(leaving: &User, owners: usize) -> ApiResult<()> {
    if leaving.role == Role::Owner && leaving.status == "active" && owners == 1 {
        return Err(Problem::conflict(
            "last_owner",
            "A business keeps at least one owner; make another one first.",
        ));
    }
    Ok(())
}

/// Whether the caller may give, change or take away a role.
pub(crate) fn require_rank(actor: &Actor, role: Role) -> ApiResult<()> {
    if rank(actor).manages(role) { Ok(()) } else { Err(Problem::role_required(Role::Owner)) }
}

/// Refuses a key that would make somebody who may do more than itself.
pub(crate) fn require_no_stronger(actor: &Actor, role: Role) -> ApiResult<()> {
    match actor {
        Actor::Key { scopes, .. } => {
            missing_scope(scopes, role).map_or(Ok(()), |missing| Err(Problem::scope_required(missing)))
        }
        Actor::User { .. } => Ok(()),
    }
}

/// Whether a change lets a colleague do or see something new.
fn grows(before: &User, patch: &UserPatch) -> bool {
    patch.role.as_set().is_some_and(|role| *role > before.role)
        || patch.record_scope.as_set().is_some_and(|scope| *scope > before.record_scope)
        || patch.team.is_mentioned()
        || (patch.status == Patch::Set(UserStatus::Active) && before.status != "active")
}

/// What the audit log keeps of a user: nothing personal.
fn facts(user: &User) -> Value {
    json!({"role": user.role, "recordScope": user.record_scope, "status": user.status, "team": user.team})
}
