//! Leads themselves.

use axum::{
    Json,
    http::{StatusCode, header},
};
use serde::Serialize;
use serde_json::to_value;
use shared::{
    auth::{Access, Permission, ReadLeads, Role, Scope, Surface, WriteLeads},
    db::{OnConstraint, TenantTx},
    events::{EventKind, NewEvent, emit},
    http::{
        Actor, ApiResult, Created, Cx, FromQuery, ListQuery, Page, PageRequest, PathId, Problem, QueryString,
        Valid, Versioned,
    },
    leads::{self, Activity, IDENTITY_TAKEN, Identities, Lead, LeadConversation, LeadFilter, NewLead},
};
use utoipa::ToSchema;

/// A lead with what was asked to be expanded.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadDetail {
    #[serde(flatten)]
    lead: Lead,
    /// `expand=activities`: the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    activities: Option<Page<Activity>>,
    /// `expand=conversations`: the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversations: Option<Page<LeadConversation>>,
}

/// Leads, newest first.
#[utoipa::path(get, path = "/api/leads", operation_id = "list_leads", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(LeadFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Lead>)))]
pub(crate) async fn list_leads(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<LeadFilter> = query.list(cx.zone())?;
    if query.filter.deleted == Some(true) {
        require_admin(&cx.actor)?;
    }
    let page = leads::list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    cx.commit(Json(page)).await
}

/// Makes a lead. A known e-mail address or telephone number is refused with the lead that has it.
#[utoipa::path(post, path = "/api/leads", operation_id = "create_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), request_body = NewLead,
    responses((status = 201, body = Lead)))]
pub(crate) async fn create_lead(mut cx: Cx<WriteLeads>, Valid(mut new): Valid<NewLead>) -> ApiResult {
    let now = cx.now();
    // Who sees only own records would never see again what was just made.
    new.owner_id = new.owner_id.or(cx.actor.own_records_of());
    let identities =
        Identities::normalise(new.email.as_ref(), new.phone.as_ref(), &cx.tx.settings().country)?;
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let inserted = leads::insert(&mut cx.tx, now, new, &identities, actor).await;
    if inserted.as_ref().is_err_and(|error| error.constraint() == Some(IDENTITY_TAKEN)) {
        return Err(already_known(&mut cx.tx, &identities).await?);
    }
    let lead = inserted.on_constraint("leads_owner_id_fkey", || {
        Problem::invalid("/ownerId", "unknown_user", "There is no such colleague.")
    })?;
    let payload = to_value(&lead).map_err(|_| Problem::internal())?;
    emit(&mut cx.tx, &[NewEvent::by_api(EventKind::LeadCreated, now, lead.id, Some(lead.id), payload)])
        .await?;
    let created = Created { location: format!("/api/leads/{}", lead.id), body: &lead };
    cx.commit(Versioned { version: lead.version, answer: created }).await
}

/// The refused statement has ended the transaction's life; a new one finds who has the identity.
pub(crate) async fn already_known(tx: &mut TenantTx, identities: &Identities) -> Result<Problem, Problem> {
    tx.restart().await?;
    Ok(lead_exists(leads::owner_of_identity(tx, identities).await?))
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

/// 404 unless the caller may see the lead.
pub(crate) async fn require_lead<P: Permission>(cx: &mut Cx<P>, id: uuid::Uuid) -> ApiResult<()> {
    let visible = leads::exists(&mut cx.tx, id, cx.actor.own_records_of()).await?;
    if visible { Ok(()) } else { Err(Problem::not_found()) }
}

/// The bin is shown to administrators and to keys that may read what administrators manage.
fn require_admin(actor: &Actor) -> ApiResult<()> {
    let needed = Scope { surface: Surface::Admin, access: Access::Read };
    match actor {
        Actor::User { role, .. } if !role.allows(Role::Admin) => Err(Problem::role_required(Role::Admin)),
        Actor::Key { scopes, .. } if !scopes.iter().any(|scope| scope.allows(needed)) => {
            Err(Problem::scope_required(needed))
        }
        Actor::User { .. } | Actor::Key { .. } => Ok(()),
    }
}

/// One lead. The id of a lead that was merged into another one answers 301 with the survivor's address.
#[utoipa::path(get, path = "/api/leads/{id}", operation_id = "get_lead", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path),
        ("expand" = Option<Vec<String>>, Query, description = "activities, conversations"),
        ("deleted" = Option<bool>, Query, description = "`true` reads from the bin, for administrators")),
    responses((status = 200, body = LeadDetail)))]
pub(crate) async fn get_lead(mut cx: Cx<ReadLeads>, PathId(id): PathId, query: QueryString) -> ApiResult {
    let (expand, deleted) = query.read(cx.zone(), |params| {
        (params.choices("expand", &["activities", "conversations"]), params.flag("deleted") == Some(true))
    })?;
    let own_records_of = cx.actor.own_records_of();
    let found = if deleted {
        require_admin(&cx.actor)?;
        leads::find_archived(&mut cx.tx, id, own_records_of).await?
    } else {
        leads::find(&mut cx.tx, id, own_records_of).await?
    };
    let Some(lead) = found else {
        let survivor =
            leads::find_survivor(&mut cx.tx, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
        let location = format!("/api/leads/{survivor}");
        return cx.commit((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)])).await;
    };
    let wants = |word: &str| expand.iter().any(|given| given == word);
    let activities = match first_page(wants("activities")) {
        Some(first) => Some(leads::list_activities(&mut cx.tx, id, &first).await?),
        None => None,
    };
    let conversations = match first_page(wants("conversations")) {
        Some(first) => Some(leads::list_conversations(&mut cx.tx, id, &first).await?),
        None => None,
    };
    let version = lead.version;
    cx.commit(Versioned { version, answer: Json(LeadDetail { lead, activities, conversations }) }).await
}

fn first_page<F: FromQuery + Default>(wanted: bool) -> Option<ListQuery<F>> {
    wanted.then(|| ListQuery { filter: F::default(), page: PageRequest::first::<F>() })
}
