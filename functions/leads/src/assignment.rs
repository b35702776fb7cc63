//! Who gets which lead: by name, by turn, by policy.

use serde::Deserialize;
use shared::{
    assignment::{self, Rotation, UNKNOWN},
    auth::WriteLeads,
    http::{ApiResult, Check, Cx, FieldErrors, IfMatch, Patch, PathId, Problem, Valid},
    leads::{Lead, LeadPatch},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::change::change_by;

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
        let named = assignment.round_robin.as_ref().map(|turns| turns.user_ids.clone()).unwrap_or_default();
        let rotation = rotation(&mut cx, policy_id, assignment.round_robin).await?;
        Patch::Set(whose_turn(&mut cx, &rotation, &named).await?)
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
    let policy =
        policy.ok_or_else(|| Problem::invalid("/policyId", "unknown_policy", "There is no such policy."))?;
    Ok(policy.rotation())
}

async fn whose_turn(cx: &mut Cx<WriteLeads>, rotation: &Rotation, named: &[Uuid]) -> ApiResult<Uuid> {
    let now = cx.now();
    let taken = assignment::take(&mut cx.tx, now, rotation, 1).await?;
    let is_unknown =
        |user: &Uuid| taken.absent.iter().any(|absent| absent.user_id == *user && absent.reason == UNKNOWN);
    if let Some(place) = named.iter().position(is_unknown) {
        let pointer = format!("/roundRobin/userIds/{place}");
        return Err(Problem::invalid(pointer, "unknown_user", "There is no such colleague."));
    }
    let owner = taken.turns.first().and_then(|turn| turn.owner());
    owner.ok_or_else(|| {
        let absent = serde_json::to_value(&taken.absent).unwrap_or_default();
        Problem::conflict("nobody_available", "Nobody can take the lead now.").with("absent", absent)
    })
}
