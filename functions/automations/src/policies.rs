//! Policies by which new leads find their colleague.

use axum::Json;
use shared::{
    accounts,
    assignment::{self, AssignmentPolicy, Member, NewPolicy, PolicyFilter, PolicyPatch},
    auth::{ManageAutomations, ReadAutomations},
    conditions::read_asked,
    db::OnConstraint,
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
};
use uuid::Uuid;

/// Assignment policies.
#[utoipa::path(get, path = "/api/assignment-policies", operation_id = "list_assignment_policies", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(PolicyFilter, shared::http::PageParams),
    responses((status = 200, body = Page<AssignmentPolicy>)))]
pub(crate) async fn list_assignment_policies(mut cx: Cx<ReadAutomations>, query: QueryString) -> ApiResult {
    let query: ListQuery<PolicyFilter> = query.list(cx.zone())?;
    let page = assignment::list_policies(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes an assignment policy. With `forNewLeads` it gives a colleague to every new lead that nobody owns and for whom its
/// conditions hold, whichever way the lead comes.
#[utoipa::path(post, path = "/api/assignment-policies", operation_id = "create_assignment_policy", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), request_body = NewPolicy,
    responses((status = 201, body = AssignmentPolicy)))]
pub(crate) async fn create_assignment_policy(
    mut cx: Cx<ManageAutomations>,
    Valid(new): Valid<NewPolicy>,
) -> ApiResult {
    if let Some(tree) = &new.conditions {
        read_asked(&mut cx, tree, "/conditions").await?;
    }
    require_enabled(&mut cx, &new.members, new.fallback_user_id, None).await?;
    let now = cx.now();
    let id = assignment::insert_policy(&mut cx.tx, now, &new)
        .await
        .on_constraint("assignment_members_user_id_fkey", unknown_member)
        .on_constraint("assignment_policies_fallback_user_id_fkey", unknown_fallback)?;
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::internal)?;
    cx.note("assignment_policy.created", ("assignmentPolicy", id), (None, None)).await?;
    let created = Created { location: format!("/api/assignment-policies/{id}"), body: &policy };
    cx.commit(Versioned { version: policy.version, answer: created }).await
}

/// One assignment policy.
#[utoipa::path(get, path = "/api/assignment-policies/{id}", operation_id = "get_assignment_policy", tag = "automations",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = AssignmentPolicy)))]
pub(crate) async fn get_assignment_policy(mut cx: Cx<ReadAutomations>, PathId(id): PathId) -> ApiResult {
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: policy.version, answer: Json(policy) }).await
}

/// Changes an assignment policy. Turns that were taken stay taken.
#[utoipa::path(patch, path = "/api/assignment-policies/{id}", operation_id = "update_assignment_policy", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = PolicyPatch, responses((status = 200, body = AssignmentPolicy)))]
pub(crate) async fn update_assignment_policy(
    mut cx: Cx<ManageAutomations>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<PolicyPatch>,
) -> ApiResult {
    let found = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if let Some(tree) = patch.conditions.as_set() {
        read_asked(&mut cx, tree, "/conditions").await?;
    }
    let (members, fallback) =
        (patch.members.as_deref().unwrap_or_default(), patch.fallback_user_id.as_set().copied());
    require_enabled(&mut cx, members, fallback, Some(&found)).await?;
    let changed = assignment::update_policy(&mut cx.tx, id, found.version, patch)
        .await
        .on_constraint("assignment_members_user_id_fkey", unknown_member)
        .on_constraint("assignment_policies_fallback_user_id_fkey", unknown_fallback)?;
    if !changed {
        return Err(Problem::concurrent_change());
    }
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::internal)?;
    cx.note_change("assignment_policy.updated", ("assignmentPolicy", id), (&found, &policy)).await?;
    cx.commit(Versioned { version: policy.version, answer: Json(policy) }).await
}

/// Removes an assignment policy. The leads that it gave away stay where they are.
#[utoipa::path(delete, path = "/api/assignment-policies/{id}", operation_id = "delete_assignment_policy", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_assignment_policy(
    mut cx: Cx<ManageAutomations>,
    PathId(id): PathId,
    seen: IfMatch,
) -> ApiResult {
    let found = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if !assignment::delete_policy(&mut cx.tx, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("assignment_policy.deleted", ("assignmentPolicy", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// Refuses disabled colleagues, but for those who stand there already.
async fn require_enabled(
    cx: &mut Cx<ManageAutomations>,
    members: &[Member],
    fallback: Option<Uuid>,
    known: Option<&AssignmentPolicy>,
) -> ApiResult<()> {
    let is_known =
        |user: &Uuid| known.is_some_and(|policy| policy.members.iter().any(|member| member.user_id == *user));
    let named: Vec<Uuid> =
        members.iter().map(|member| member.user_id).filter(|user| !is_known(user)).collect();
    let fallback = fallback.filter(|user| known.is_none_or(|policy| policy.fallback_user_id != Some(*user)));
    let asked: Vec<Uuid> = named.iter().copied().chain(fallback).collect();
    let disabled = accounts::find_disabled(&mut cx.tx, &asked).await?;
    let place = members
        .iter()
        .position(|member| named.contains(&member.user_id) && disabled.contains(&member.user_id));
    match place {
        Some(place) => Err(accounts::disabled_user(&format!("/members/{place}/userId"))),
        None if fallback.is_some_and(|user| disabled.contains(&user)) => {
            Err(accounts::disabled_user("/fallbackUserId"))
        }
        None => Ok(()),
    }
}

fn unknown_member() -> Problem {
    Problem::invalid("/members", "unknown_user", "There is no such colleague.")
}

fn unknown_fallback() -> Problem {
    Problem::invalid("/fallbackUserId", "unknown_user", "There is no such colleague.")
}
