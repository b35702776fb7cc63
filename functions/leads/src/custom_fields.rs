//! The fields that the business invents.

use axum::Json;
use serde_json::{Map, Value};
use shared::{
    auth::{ManageLeads, Permission, ReadLeads, Role},
    db::OnConstraint,
    http::{
        Actor, ApiResult, Created, Cx, FieldErrors, IfMatch, ListQuery, NoContent, Page, Patch, PathId,
        Problem, QueryString, Valid, Versioned,
    },
    leads::{
        self, CustomField, CustomFieldFilter, CustomFieldPatch, Definitions, Hidden, Lead, NewCustomField,
        field_masked,
    },
};
use uuid::Uuid;

/// Custom fields.
#[utoipa::path(get, path = "/api/custom-fields", operation_id = "list_custom_fields", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(CustomFieldFilter, shared::http::PageParams),
    responses((status = 200, body = Page<CustomField>)))]
pub(crate) async fn list_custom_fields(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<CustomFieldFilter> = query.list(cx.zone())?;
    let page = leads::list_custom_fields(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Defines a custom field. From the first one on, leads take only fields that are defined.
#[utoipa::path(post, path = "/api/custom-fields", operation_id = "create_custom_field", tag = "leads",
    extensions(("x-role" = json!("manager"))), request_body = NewCustomField,
    responses((status = 201, body = CustomField)))]
pub(crate) async fn create_custom_field(
    mut cx: Cx<ManageLeads>,
    Valid(new): Valid<NewCustomField>,
) -> ApiResult {
    let now = cx.now();
    let field = leads::insert_custom_field(&mut cx.tx, now, new)
        .await
        .on_constraint("custom_fields_tenant_id_entity_key_key", || {
            Problem::conflict("field_exists", "A field with this key is defined already.")
        })?;
    cx.note("custom_field.created", ("customField", field.id), (None, None)).await?;
    let created = Created { location: format!("/api/custom-fields/{}", field.id), body: &field };
    cx.commit(Versioned { version: field.version, answer: created }).await
}

/// One custom field.
#[utoipa::path(get, path = "/api/custom-fields/{id}", operation_id = "get_custom_field", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = CustomField)))]
pub(crate) async fn get_custom_field(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let field = leads::find_custom_field(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: field.version, answer: Json(field) }).await
}

/// Changes a custom field. Its key and its type stay: values depend on them.
#[utoipa::path(patch, path = "/api/custom-fields/{id}", operation_id = "update_custom_field", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    request_body = CustomFieldPatch, responses((status = 200, body = CustomField)))]
pub(crate) async fn update_custom_field(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
    Valid(patch): Valid<CustomFieldPatch>,
) -> ApiResult {
    let found = leads::find_custom_field(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    let mut errors = FieldErrors::default();
    patch.check_options(&found, &mut errors);
    errors.into_result()?;
    let field = leads::update_custom_field(&mut cx.tx, id, found.version, &patch)
        .await?
        .ok_or_else(Problem::concurrent_change)?;
    cx.note_change("custom_field.updated", ("customField", id), (&found, &field)).await?;
    cx.commit(Versioned { version: field.version, answer: Json(field) }).await
}

/// Removes the definition of a custom field. The values stay with the leads.
#[utoipa::path(delete, path = "/api/custom-fields/{id}", operation_id = "delete_custom_field", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204)))]
pub(crate) async fn delete_custom_field(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    seen: IfMatch,
) -> ApiResult {
    let found = leads::find_custom_field(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(found.version)?;
    if !leads::delete_custom_field(&mut cx.tx, id, found.version).await? {
        return Err(Problem::concurrent_change());
    }
    cx.note("custom_field.deleted", ("customField", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// The change of a lead's custom fields as it is stored.
pub(crate) async fn read_change<P: Permission>(
    cx: &mut Cx<P>,
    lead: Uuid,
    change: Patch<Map<String, Value>>,
) -> ApiResult<Patch<Map<String, Value>>> {
    let definitions = Definitions::load(&mut cx.tx).await?;
    let hidden = Hidden::of(&definitions, &cx.actor);
    match change {
        Patch::Set(given) => {
            hidden.check_keys(given.keys().map(String::as_str))?;
            let read = definitions.read(given, &cx.tx.settings().country)?;
            require_consent(cx, &definitions, lead, &read).await?;
            Ok(Patch::Set(read))
        }
        Patch::Clear if hidden.has_keys() => Err(field_masked("customFields")),
        Patch::Clear => definitions.require(|_| false).map(|()| Patch::Clear),
        Patch::Keep => Ok(Patch::Keep),
    }
}

/// Refuses health data about a person who is known not to have agreed to it.
pub(crate) async fn require_consent<P: Permission>(
    cx: &mut Cx<P>,
    definitions: &Definitions,
    lead: Uuid,
    given: &Map<String, Value>,
) -> ApiResult<()> {
    if definitions.health_key(given).is_none() || leads::has_health_consent(&mut cx.tx, lead).await? {
        return Ok(());
    }
    definitions.require_consent(given)
}

/// Hides from lower roles what is not for them. Keys are given to programs that an administrator trusts.
pub(crate) async fn mask<P: Permission>(cx: &mut Cx<P>, shown: &mut [Lead]) -> ApiResult<()> {
    let role = match &cx.actor {
        Actor::User { role, .. } if *role < Role::Manager => *role,
        Actor::User { .. } | Actor::Key { .. } => return Ok(()),
    };
    let is_empty = |lead: &Lead| lead.custom_fields.as_object().is_none_or(Map::is_empty);
    if shown.iter().all(is_empty) {
        return Ok(());
    }
    let definitions = Definitions::load(&mut cx.tx).await?;
    shown.iter_mut().for_each(|lead| definitions.mask(lead, role));
    Ok(())
}
