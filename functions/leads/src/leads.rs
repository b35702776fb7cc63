//! Leads themselves.

use axum::Json;
use serde_json::to_value;
use shared::{
    accounts::refuse_disabled,
    auth::{Permission, ReadAdmin, ReadLeads, WriteLeads},
    db::OnConstraint,
    events::{EventKind, NewEvent, emit_newcomers},
    http::{ApiResult, Created, Cx, ListQuery, Page, Problem, QueryString, Valid, Versioned},
    leads::{self, Definitions, Hidden, IDENTITY_TAKEN, Identities, Lead, LeadFilter, NewLead},
};

use crate::custom_fields;

/// Leads, newest first. Custom fields are compared by `cf.key=value` and `cf.key[op]=value`, with the operators of conditions.
#[utoipa::path(get, path = "/api/leads", operation_id = "list_leads", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(LeadFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Lead>)))]
pub(crate) async fn list_leads(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let mut query: ListQuery<LeadFilter> = query.list(cx.zone())?;
    if query.filter.deleted == Some(true) {
        cx.actor.require::<ReadAdmin>()?;
    }
    if !query.filter.custom.is_empty() {
        Hidden::from(&mut cx.tx, &cx.actor).await?.check_filters(&query.filter.custom)?;
    }
    query.filter.search_fields = cx.actor.searches();
    let now = cx.now();
    query.filter.resolve(&mut cx.tx, now).await?;
    let mut page = leads::list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    custom_fields::mask(&mut cx, &mut page.items).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// Makes a lead. A known e-mail address or telephone number is refused with the lead that has it.
#[utoipa::path(post, path = "/api/leads", operation_id = "create_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), request_body = NewLead,
    responses((status = 201, body = Lead)))]
pub(crate) async fn create_lead(mut cx: Cx<WriteLeads>, Valid(mut new): Valid<NewLead>) -> ApiResult {
    let now = cx.now();
    refuse_disabled(&mut cx.tx, "/ownerId", new.owner_id).await?;
    // Who sees only own records would never see again what was just made.
    new.owner_id = new.owner_id.or(cx.actor.usual_owner());
    let identities =
        Identities::normalise(new.email.as_ref(), new.phone.as_ref(), &cx.tx.settings().country)?;
    Definitions::load(&mut cx.tx).await?.read_new(&mut new, &cx.tx.settings().country)?;
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let inserted = leads::insert(&mut cx.tx, now, new, &identities, actor).await;
    if inserted.as_ref().is_err_and(|error| error.constraint() == Some(IDENTITY_TAKEN)) {
        return Err(already_known(&mut cx, &identities).await?);
    }
    let mut lead = inserted.on_constraint("leads_owner_id_fkey", || {
        Problem::invalid("/ownerId", "unknown_user", "There is no such colleague.")
    })?;
    let payload = to_value(&lead).map_err(|_| Problem::internal())?;
    let event = NewEvent::by_api(EventKind::LeadCreated, now, lead.id, Some(lead.id), payload);
    if let Some(assigned) = emit_newcomers(&mut cx.tx, &[event]).await?.pop() {
        lead = assigned;
    }
    custom_fields::mask(&mut cx, std::slice::from_mut(&mut lead)).await?;
    let created = Created { location: format!("/api/leads/{}", lead.id), body: &lead };
    cx.commit(Versioned { version: lead.version, answer: created }).await
}

/// The refused statement has ended the transaction's life; a new one finds who has the identity.
pub(crate) async fn already_known<P: Permission>(
    cx: &mut Cx<P>,
    identities: &Identities,
) -> Result<Problem, Problem> {
    cx.tx.restart().await?;
    let known = leads::owner_of_identity(&mut cx.tx, identities).await?;
    Ok(lead_exists(seen(cx, known).await?))
}

/// The lead, if the caller may see it: an address that one knows must not tell whose lead it is.
pub(crate) async fn seen<P: Permission>(
    cx: &mut Cx<P>,
    known: Option<uuid::Uuid>,
) -> Result<Option<uuid::Uuid>, Problem> {
    let (Some(id), true) = (known, cx.actor.own_records_of().is_some()) else { return Ok(known) };
    let visible = leads::exists(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    Ok(visible.then_some(id))
}

/// 409 with the lead that has the address or number.
pub(crate) fn lead_exists(existing: Option<uuid::Uuid>) -> Problem {
    let problem =
        Problem::conflict("lead_exists", "A lead with this e-mail address or telephone number exists.");
    match existing {
        Some(id) => problem.with("existingId", id.to_string()),
        None => problem,
    }
}

/// 404 unless the caller may see the lead, which then stays until the transaction ends.
pub(crate) async fn hold_lead<P: Permission>(cx: &mut Cx<P>, id: uuid::Uuid) -> ApiResult<()> {
    let held = leads::hold(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if held { Ok(()) } else { Err(Problem::not_found()) }
}

/// 404 unless the caller may see the lead.
pub(crate) async fn require_lead<P: Permission>(cx: &mut Cx<P>, id: uuid::Uuid) -> ApiResult<()> {
    let visible = leads::exists(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if visible { Ok(()) } else { Err(Problem::not_found()) }
}
