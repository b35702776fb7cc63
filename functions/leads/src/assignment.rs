//! Who gets which lead: by name, by turn, by policy.

use axum::Json;
use serde::Deserialize;
use shared::{
    assignment::{self, AssignmentPolicy, Availability, NewPolicy, PolicyFilter, PolicyPatch, Rotation},
    auth::{ManageLeads, Permission, ReadLeads, Role, WriteLeads},
    db::OnConstraint,
    http::{
        Actor, ApiResult, Check, Created, Cx, FieldErrors, IfMatch, ListQuery, NoContent, Page, Patch, PathId,
        Problem, QueryString, Valid, Versioned,
    },
    leads::{Lead, LeadPatch},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    change::{change_by, concurrent_change},
    segments::read,
};

/// Who takes a lead over: exactly one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Assignment {
    /// The colleague; null leaves the lead to nobody.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    owner_id: Patch<Uuid>,
    /// Whoever's turn it is by a policy.
    #[serde(default)]
    policy_id: Option<Uuid>,
    /// Whoever's turn it is among colleagues that are named here.
    #[serde(default)]
    round_robin: Option<RoundRobin>,
}

/// Colleagues who take turns. The same ones share their turns, whoever names them.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RoundRobin {
    /// 1 to 100 colleagues.
    user_ids: Vec<Uuid>,
    /// Whether colleagues are left out outside their working hours; they are when left out.
    #[serde(default)]
    working_hours: Option<bool>,
}

impl Check for Assignment {
    fn check(&self, errors: &mut FieldErrors) {
        let given = [self.owner_id.is_mentioned(), self.policy_id.is_some(), self.round_robin.is_some()];
        match given.into_iter().filter(|given| *given).count() {
            0 => errors.add("/ownerId", "required", "Say who takes the lead over, or null."),
            1 => {}
            _ => errors.add("", "ambiguous", "Give one of ownerId, policyId and roundRobin."),
        }
        if self.round_robin.as_ref().is_some_and(|turns| !(1..=100).contains(&turns.user_ids.len())) {
            errors.add("/roundRobin/userIds", "out_of_range", "Name 1 to 100 colleagues.");
        }
    }
}

/// Puts a colleague in charge of a lead: one who is named, or whoever's turn it is. When nobody can take it, nothing changes
/// (409 `nobody_available`, with the reasons).
#[utoipa::path(post, path = "/api/leads/{id}/assign", operation_id = "assign_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Assignment,
    responses((status = 200, body = Lead)))]
pub(crate) async fn assign_lead(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    Valid(assignment): Valid<Assignment>,
) -> ApiResult {
    let policy_id = assignment.policy_id;
    let owner_id = if assignment.owner_id.is_mentioned() {
        assignment.owner_id
    } else {
        // The person before the turn, as everywhere.
        let own_records_of = cx.actor.own_records_of().map(<[Uuid]>::to_vec);
        if !assignment::lock_lead(&mut cx.tx, id, own_records_of.as_deref()).await? {
            return Err(Problem::not_found());
        }
        let rotation = rotation(&mut cx, policy_id, assignment.round_robin).await?;
        Patch::Set(whose_turn(&mut cx, &rotation).await?)
    };
    let patch = LeadPatch { owner_id, ..LeadPatch::default() };
    change_by(cx, id, patch, &IfMatch::default(), policy_id).await
}

async fn rotation(
    cx: &mut Cx<WriteLeads>,
    policy_id: Option<Uuid>,
    named: Option<RoundRobin>,
) -> ApiResult<Rotation> {
    if let Some(named) = named {
        let working_hours = named.working_hours.unwrap_or(true);
        return Ok(Rotation { working_hours, ..Rotation::of(&named.user_ids) });
    }
    let policy = match policy_id {
        Some(id) => assignment::find_policy(&mut cx.tx, id).await?,
        None => None,
    };
    let policy = policy
        .ok_or_else(|| Problem::invalid("/policyId", "unknown_policy", "There is no such policy."))?;
    Ok(policy.rotation())
}

async fn whose_turn(cx: &mut Cx<WriteLeads>, rotation: &Rotation) -> ApiResult<Uuid> {
    let now = cx.now();
    let taken = assignment::take(&mut cx.tx, now, rotation, 1).await?;
    let owner = taken.turns.first().and_then(|turn| turn.owner());
    owner.ok_or_else(|| {
        let absent = serde_json::to_value(&taken.absent).unwrap_or_default();
        Problem::conflict("nobody_available", "Nobody can take the lead now.").with("absent", absent)
    })
}

/// Assignment policies.
#[utoipa::path(get, path = "/api/assignment-policies", operation_id = "list_assignment_policies", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(PolicyFilter, shared::http::PageParams),
    responses((status = 200, body = Page<AssignmentPolicy>)))]
pub(crate) async fn list_assignment_policies(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<PolicyFilter> = query.list(cx.zone())?;
    let page = assignment::list_policies(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes an assignment policy. With `forNewLeads` it gives a colleague to every new lead that nobody owns and for whom its
/// conditions hold, whichever way the lead comes.
#[utoipa::path(post, path = "/api/assignment-policies", operation_id = "create_assignment_policy", tag = "leads",
    extensions(("x-role" = json!("manager"))), request_body = NewPolicy,
    responses((status = 201, body = AssignmentPolicy)))]
pub(crate) async fn create_assignment_policy(mut cx: Cx<ManageLeads>, Valid(new): Valid<NewPolicy>) -> ApiResult {
    if let Some(tree) = &new.conditions {
        read(&mut cx, tree, "/conditions").await?;
    }
    let now = cx.now();
    let id = assignment::insert_policy(&mut cx.tx, now, &new)
        .await
        .on_constraint("assignment_members_user_id_fkey", unknown_member)
        .on_constraint("assignment_policies_fallback_user_id_fkey", unknown_fallback)?;
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::internal)?;
    let created = Created { location: format!("/api/assignment-policies/{id}"), body: &policy };
    cx.commit(Versioned { version: policy.version, answer: created }).await
}

/// One assignment policy.
#[utoipa::path(get, path = "/api/assignment-policies/{id}", operation_id = "get_assignment_policy", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = AssignmentPolicy)))]
pub(crate) async fn get_assignment_policy(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: policy.version, answer: Json(policy) }).await
}

/// Changes an assignment policy. Turns that were taken stay taken.
#[utoipa::path(patch, path = "/api/assignment-policies/{id}", operation_id = "update_assignment_policy", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = PolicyPatch, responses((status = 200, body = AssignmentPolicy)))]
pub(crate) async fn update_assignment_policy(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<PolicyPatch>,
) -> ApiResult {
    let found = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if let Some(tree) = patch.conditions.as_set() {
        read(&mut cx, tree, "/conditions").await?;
    }
    let changed = assignment::update_policy(&mut cx.tx, id, found.version, patch)
        .await
        .on_constraint("assignment_members_user_id_fkey", unknown_member)
        .on_constraint("assignment_policies_fallback_user_id_fkey", unknown_fallback)?;
    if !changed {
        return Err(concurrent_change());
    }
    let policy = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::internal)?;
    cx.commit(Versioned { version: policy.version, answer: Json(policy) }).await
}

/// Removes an assignment policy. The leads that it gave away stay where they are.
#[utoipa::path(delete, path = "/api/assignment-policies/{id}", operation_id = "delete_assignment_policy", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_assignment_policy(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
) -> ApiResult {
    let found = assignment::find_policy(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    assignment::delete_policy(&mut cx.tx, id).await?;
    cx.commit(NoContent).await
}

/// When a colleague can be given leads.
#[utoipa::path(get, path = "/api/users/{id}/availability", operation_id = "get_availability", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Availability)))]
pub(crate) async fn get_availability(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let availability = assignment::find_availability(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(availability)).await
}

/// Says when a colleague can be given leads: working hours on their own clock, and leave. One's own is everybody's to say, a
/// colleague's takes a manager.
#[utoipa::path(put, path = "/api/users/{id}/availability", operation_id = "set_availability", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Availability,
    responses((status = 200, body = Availability)))]
pub(crate) async fn set_availability(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    Valid(availability): Valid<Availability>,
) -> ApiResult {
    let is_known = assignment::find_availability(&mut cx.tx, id).await?.is_some();
    if !is_known {
        return Err(Problem::not_found());
    }
    require_say(&cx, id)?;
    assignment::set_availability(&mut cx.tx, id, &availability).await?;
    cx.commit(Json(availability)).await
}

fn require_say<P: Permission>(cx: &Cx<P>, user: Uuid) -> ApiResult<()> {
    match &cx.actor {
        Actor::User { id, role, .. } if *id != user && *role < Role::Manager => {
            Err(Problem::role_required(Role::Manager))
        }
        Actor::User { .. } | Actor::Key { .. } => Ok(()),
    }
}

fn unknown_member() -> Problem {
    Problem::invalid("/members", "unknown_user", "There is no such colleague.")
}

fn unknown_fallback() -> Problem {
    Problem::invalid("/fallbackUserId", "unknown_user", "There is no such colleague.")
}
