//! Leads themselves.

use axum::Json;
use serde::Serialize;
use serde_json::to_value;
use shared::{
    auth::{ReadLeads, WriteLeads},
    db::{OnConstraint, TenantTx},
    events::{EventKind, NewEvent, emit},
    http::{
        ApiResult, Created, Cx, ListQuery, Page, PageRequest, PathId, Problem, QueryString, Valid, Versioned,
    },
    leads::{self, Activity, ActivityFilter, IDENTITY_TAKEN, Identities, Lead, LeadFilter, NewLead},
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
}

/// Leads, newest first.
#[utoipa::path(get, path = "/api/leads", operation_id = "list_leads", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(LeadFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Lead>)))]
pub(crate) async fn list_leads(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let query: ListQuery<LeadFilter> = query.list(cx.zone())?;
    let page = leads::list(&mut cx.tx, &query, cx.actor.own_records_of()).await?;
    cx.commit(Json(page)).await
}

/// Makes a lead. A known e-mail address or telephone number is refused with the lead that has it.
#[utoipa::path(post, path = "/api/leads", operation_id = "create_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), request_body = NewLead,
    responses((status = 201, body = Lead)))]
pub(crate) async fn create_lead(mut cx: Cx<WriteLeads>, Valid(new): Valid<NewLead>) -> ApiResult {
    let now = cx.now();
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

/// The refused insert has ended the transaction's life; a new one finds who has the identity.
async fn already_known(tx: &mut TenantTx, identities: &Identities) -> Result<Problem, Problem> {
    tx.restart().await?;
    let problem =
        Problem::conflict("lead_exists", "A lead with this e-mail address or telephone number exists.");
    Ok(match leads::owner_of_identity(tx, identities).await? {
        Some(id) => problem.with("existingId", id.to_string()),
        None => problem,
    })
}

/// One lead.
#[utoipa::path(get, path = "/api/leads/{id}", operation_id = "get_lead", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path), ("expand" = Option<Vec<String>>, Query, description = "activities, conversations")),
    responses((status = 200, body = LeadDetail)))]
pub(crate) async fn get_lead(mut cx: Cx<ReadLeads>, PathId(id): PathId, query: QueryString) -> ApiResult {
    let expand = query.read(cx.zone(), |params| params.choices("expand", &["activities"]))?;
    let lead =
        leads::find(&mut cx.tx, id, cx.actor.own_records_of()).await?.ok_or_else(Problem::not_found)?;
    let activities = if expand.iter().any(|word| word == "activities") {
        let first =
            ListQuery { filter: ActivityFilter::default(), page: PageRequest::first::<ActivityFilter>() };
        Some(leads::list_activities(&mut cx.tx, id, &first).await?)
    } else {
        None
    };
    let version = lead.version;
    cx.commit(Versioned { version, answer: Json(LeadDetail { lead, activities }) }).await
}
