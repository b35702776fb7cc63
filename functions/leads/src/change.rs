//! What is done to a lead once it exists.

use axum::Json;
use serde::Deserialize;
use shared::{
    accounts::refuse_disabled,
    assignment::{self, Assigned},
    auth::{ManageLeads, Permission, WriteLeads},
    db::OnConstraint,
    events::{EventKind, NewEvent, emit},
    http::{ApiResult, Check, Cx, FieldErrors, IfMatch, NoContent, Patch, PathId, Problem, Valid, Versioned},
    leads::{self, IDENTITY_TAKEN, Identities, Lead, LeadPatch, PRIMARY_TAKEN, UpdatedLead},
    values::{Line, Tag},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    custom_fields,
    leads::{already_known, lead_exists},
};

/// Changes a lead. An address or number that another lead has is refused with that lead's id.
#[utoipa::path(patch, path = "/api/leads/{id}", operation_id = "update_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = LeadPatch,
    responses((status = 200, body = Lead)))]
pub(crate) async fn update_lead(
    cx: Cx<WriteLeads>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<LeadPatch>,
) -> ApiResult {
    change(cx, id, patch, &if_match).await
}

/// Moves a lead to the bin. Its addresses and numbers are free again.
#[utoipa::path(delete, path = "/api/leads/{id}", operation_id = "delete_lead", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_lead(mut cx: Cx<ManageLeads>, PathId(id): PathId, if_match: IfMatch) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let archived =
        leads::archive(&mut cx.tx, now, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    archived.accept(&if_match)?;
    let payload = serde_json::to_value(&archived.lead).map_err(|_| Problem::internal())?;
    emit(&mut cx.tx, &[NewEvent::by_api(EventKind::LeadDeleted, now, id, Some(id), payload)]).await?;
    cx.note("lead.deleted", ("lead", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// Takes a lead out of the bin, with everything that hangs on it.
#[utoipa::path(post, path = "/api/leads/{id}/restore", operation_id = "restore_lead", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), responses((status = 200, body = Lead)))]
pub(crate) async fn restore_lead(mut cx: Cx<ManageLeads>, PathId(id): PathId) -> ApiResult {
    let own_records_of = cx.actor.own_records_of();
    let restored = leads::restore(&mut cx.tx, id, own_records_of).await;
    if restored.as_ref().is_err_and(|error| error.constraint() == Some(IDENTITY_TAKEN)) {
        cx.tx.restart().await?;
        return Err(lead_exists(leads::rival_of(&mut cx.tx, id).await?));
    }
    let restored = restored?.ok_or_else(Problem::not_found)?;
    let mut cx = told(cx, &restored, &IfMatch::default(), None).await?;
    cx.note("lead.restored", ("lead", id), (None, None)).await?;
    shown(cx, restored).await
}

/// Where a lead goes.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Move {
    /// The stage; null takes the lead off its pipeline.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    stage_id: Patch<Uuid>,
    /// Why the deal was won.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    won_reason: Patch<Line>,
    /// Why the person was lost.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    lost_reason: Patch<Line>,
}

impl Check for Move {
    fn check(&self, errors: &mut FieldErrors) {
        if !self.stage_id.is_mentioned() {
            errors.add("/stageId", "required", "Say which stage, or null.");
        }
    }
}

/// Moves a lead to a stage of a pipeline.
#[utoipa::path(post, path = "/api/leads/{id}/stage", operation_id = "move_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Move,
    responses((status = 200, body = Lead)))]
pub(crate) async fn move_lead(cx: Cx<WriteLeads>, PathId(id): PathId, Valid(to): Valid<Move>) -> ApiResult {
    let patch = LeadPatch {
        stage_id: to.stage_id,
        won_reason: to.won_reason,
        lost_reason: to.lost_reason,
        ..LeadPatch::default()
    };
    change(cx, id, patch, &IfMatch::default()).await
}

/// Tags to add or remove.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tags {
    /// The tags.
    tags: Vec<Tag>,
}

impl Check for Tags {
    fn check(&self, errors: &mut FieldErrors) {
        if !(1..=50).contains(&self.tags.len()) {
            errors.add("/tags", "out_of_range", "Give 1 to 50 tags.");
        }
    }
}

/// Adds tags to a lead.
#[utoipa::path(post, path = "/api/leads/{id}/tags", operation_id = "add_tags", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Tags,
    responses((status = 200, body = Lead)))]
pub(crate) async fn add_tags(cx: Cx<WriteLeads>, PathId(id): PathId, Valid(tags): Valid<Tags>) -> ApiResult {
    let patch = LeadPatch { add_tags: tags.tags, ..LeadPatch::default() };
    change(cx, id, patch, &IfMatch::default()).await
}

/// Removes tags from a lead.
#[utoipa::path(delete, path = "/api/leads/{id}/tags", operation_id = "remove_tags", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Tags,
    responses((status = 200, body = Lead)))]
pub(crate) async fn remove_tags(
    cx: Cx<WriteLeads>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(tags): Valid<Tags>,
) -> ApiResult {
    let patch = LeadPatch { remove_tags: tags.tags, ..LeadPatch::default() };
    change(cx, id, patch, &if_match).await
}

async fn change<P: Permission>(cx: Cx<P>, id: Uuid, patch: LeadPatch, if_match: &IfMatch) -> ApiResult {
    change_by(cx, id, patch, if_match, None).await
}

/// The same; a policy may stand behind the new colleague.
pub(crate) async fn change_by<P: Permission>(
    mut cx: Cx<P>,
    id: Uuid,
    mut patch: LeadPatch,
    if_match: &IfMatch,
    policy_id: Option<Uuid>,
) -> ApiResult {
    let country = cx.tx.settings().country.clone();
    if patch.custom_fields.is_mentioned() {
        patch.custom_fields = custom_fields::read_change(&mut cx, id, patch.custom_fields).await?;
    }
    let identities = Identities::normalise(patch.email.as_set(), patch.phone.as_set(), &country)?;
    let change = patch.normalise(&country)?;
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let updated = leads::update(&mut cx.tx, now, id, own_records_of, change, actor).await;
    if updated.as_ref().is_err_and(|error| error.constraint() == Some(IDENTITY_TAKEN)) {
        return Err(already_known(&mut cx, &identities).await?);
    }
    let updated = updated
        .on_constraint(PRIMARY_TAKEN, Problem::concurrent_change)
        .on_constraint("leads_owner_id_fkey", || {
            Problem::invalid("/ownerId", "unknown_user", "There is no such colleague.")
        })
        .on_constraint("leads_value_check", || {
            Problem::invalid("/value", "required", "A currency needs a value.")
        })
        .on_constraint("leads_stage_id_fkey", || {
            Problem::invalid("/stageId", "unknown_stage", "There is no such stage.")
        })?
        .ok_or_else(Problem::not_found)?;
    finish_by(cx, updated, if_match, policy_id).await
}

/// Tells what changed and answers the lead, unless the change may not stand.
pub(crate) async fn finish<P: Permission>(cx: Cx<P>, updated: UpdatedLead, if_match: &IfMatch) -> ApiResult {
    finish_by(cx, updated, if_match, None).await
}

async fn finish_by<P: Permission>(
    cx: Cx<P>,
    updated: UpdatedLead,
    if_match: &IfMatch,
    policy_id: Option<Uuid>,
) -> ApiResult {
    let cx = told(cx, &updated, if_match, policy_id).await?;
    shown(cx, updated).await
}

/// Tells what changed, unless the change may not stand.
async fn told<P: Permission>(
    mut cx: Cx<P>,
    updated: &UpdatedLead,
    if_match: &IfMatch,
    policy_id: Option<Uuid>,
) -> ApiResult<Cx<P>> {
    updated.accept(if_match)?;
    let now = cx.now();
    if let Some(previous) = updated.former_owner() {
        let (lead_id, owner) = (updated.lead.id, updated.lead.owner_id);
        refuse_disabled(&mut cx.tx, "/ownerId", owner).await?;
        let actor = (cx.actor.kind(), Some(cx.actor.id()));
        let assigned = Assigned { lead_id, owner, previous, policy_id, absent: Vec::new(), actor };
        assignment::note(&mut cx.tx, now, &[assigned]).await?;
    }
    emit(&mut cx.tx, &updated.events(now)?).await?;
    Ok(cx)
}

async fn shown<P: Permission>(mut cx: Cx<P>, mut updated: UpdatedLead) -> ApiResult {
    custom_fields::mask(&mut cx, std::slice::from_mut(&mut updated.lead)).await?;
    cx.commit(Versioned { version: updated.lead.version, answer: Json(updated.lead) }).await
}
