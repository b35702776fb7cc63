//! The addresses, numbers and foreign ids of a lead.

use axum::Json;
use serde_json::{Value, to_value};
use shared::{
    auth::{Permission, ReadLeadLedgers, WriteLeads},
    db::OnConstraint,
    events::{EventKind, NewEvent, emit},
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, PathIds, Problem, QueryString,
        Valid, Versioned,
    },
    leads::{
        self, IDENTITY_TAKEN, Identity, IdentityChange, IdentityFilter, IdentityPatch, NewIdentity,
        PRIMARY_TAKEN,
    },
};

use crate::leads::{lead_exists, require_lead, seen};

/// What a lead is recognised by.
#[utoipa::path(get, path = "/api/leads/{id}/identities", operation_id = "list_identities", tag = "leads",
    extensions(("x-role" = json!("staff"))),
    params(("id" = Uuid, Path), IdentityFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Identity>)))]
pub(crate) async fn list_identities(
    mut cx: Cx<ReadLeadLedgers>,
    PathId(id): PathId,
    query: QueryString,
) -> ApiResult {
    let query: ListQuery<IdentityFilter> = query.list(cx.zone())?;
    require_lead(&mut cx, id).await?;
    let page = leads::list_identities(&mut cx.tx, id, &query).await?;
    cx.commit(Json(page)).await
}

/// Adds an address, number or foreign id. The first address and number become the primary ones.
#[utoipa::path(post, path = "/api/leads/{id}/identities", operation_id = "create_identity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = NewIdentity,
    responses((status = 201, body = Identity)))]
pub(crate) async fn create_identity(
    mut cx: Cx<WriteLeads>,
    PathId(id): PathId,
    Valid(new): Valid<NewIdentity>,
) -> ApiResult {
    let value = new.normalise(&cx.tx.settings().country)?;
    let own_records_of = cx.actor.own_records_of();
    let identity = (new.kind, value.clone(), new.is_primary);
    let added = leads::insert_identity(&mut cx.tx, id, own_records_of, identity).await;
    if added.as_ref().is_err_and(|error| error.constraint() == Some(IDENTITY_TAKEN)) {
        cx.tx.restart().await?;
        let known = leads::owner_of(&mut cx.tx, new.kind, &value).await?;
        return Err(lead_exists(seen(&mut cx, known).await?));
    }
    let added =
        added.on_constraint(PRIMARY_TAKEN, Problem::concurrent_change)?.ok_or_else(Problem::not_found)?;
    tell(&mut cx, &added).await?;
    let location = format!("/api/leads/{id}/identities/{}", added.identity.id);
    let version = added.identity.version;
    cx.commit(Versioned { version, answer: Created { location, body: added.identity } }).await
}

/// Makes an address or number the primary one, or says whether the person has proved it.
#[utoipa::path(patch, path = "/api/leads/{id}/identities/{identityId}", operation_id = "update_identity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path), ("identityId" = Uuid, Path)),
    request_body = IdentityPatch, responses((status = 200, body = Identity)))]
pub(crate) async fn update_identity(
    mut cx: Cx<WriteLeads>,
    PathIds(lead, id): PathIds,
    if_match: IfMatch,
    Valid(patch): Valid<IdentityPatch>,
) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let changed = leads::update_identity(&mut cx.tx, now, (lead, id), own_records_of, patch)
        .await
        .on_constraint(PRIMARY_TAKEN, Problem::concurrent_change)?
        .ok_or_else(Problem::not_found)?;
    if_match.require(changed.version_before)?;
    if patch.is_primary == Some(true) && !changed.identity.is_primary {
        return Err(Problem::invalid("/isPrimary", "not_allowed", "Only addresses and numbers are primary."));
    }
    tell(&mut cx, &changed).await?;
    cx.commit(Versioned { version: changed.identity.version, answer: Json(changed.identity) }).await
}

/// Removes an address, number or foreign id. The oldest other one of its kind becomes the primary one.
#[utoipa::path(delete, path = "/api/leads/{id}/identities/{identityId}", operation_id = "delete_identity", tag = "leads",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path), ("identityId" = Uuid, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_identity(
    mut cx: Cx<WriteLeads>,
    PathIds(lead, id): PathIds,
    if_match: IfMatch,
) -> ApiResult {
    let own_records_of = cx.actor.own_records_of();
    let removed =
        leads::delete_identity(&mut cx.tx, lead, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    if_match.require(removed.version_before)?;
    tell(&mut cx, &removed).await?;
    cx.commit(NoContent).await
}

/// A lead whose address or number is another one now has been updated.
async fn tell<P: Permission>(cx: &mut Cx<P>, change: &IdentityChange) -> ApiResult<()> {
    let (Some(former), "email" | "phone") = (&change.shown_before, change.identity.kind.as_str()) else {
        return Ok(());
    };
    let lead = change.identity.lead_id;
    let shown = leads::find(&mut cx.tx, lead, None).await?.ok_or_else(Problem::not_found)?;
    let payload = to_value(shown).map_err(|_| Problem::internal())?;
    let previous = [(change.identity.kind.clone(), Value::from(former.clone()))].into_iter().collect();
    let event = NewEvent {
        previous: Some(Value::Object(previous)),
        ..NewEvent::by_api(EventKind::LeadUpdated, cx.now(), lead, Some(lead), payload)
    };
    Ok(emit(&mut cx.tx, &[event]).await?)
}
