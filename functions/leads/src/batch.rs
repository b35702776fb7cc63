//! Leads by the dozen, and leads that may be known already.

use axum::Extension;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, to_value};
use shared::{
    accounts::{disabled_user, refuse_disabled},
    auth::WriteLeads,
    db::OnConstraint,
    events::{EventKind, NewEvent, emit, emit_newcomers},
    http::{
        ApiResult, Check, Created, Cx, FieldErrors, IfMatch, MultiStatus, Problem, ProblemBody, RequestId,
        Valid, Versioned, parse_value,
    },
    leads::{
        self, BatchResult, Definitions, Hidden, IDENTITY_TAKEN, Identities, Known, Lead, NewLead,
        UpdatedLead, Upserted,
    },
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{change::finish, custom_fields, leads::lead_exists};

/// Leads to make, each judged by itself.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Batch {
    /// 1 to 100 leads.
    #[schema(value_type = Vec<NewLead>)]
    items: Vec<Value>,
}

impl Check for Batch {
    fn check(&self, errors: &mut FieldErrors) {
        if !(1..=100).contains(&self.items.len()) {
            errors.add("/items", "out_of_range", "Give 1 to 100 items.");
        }
    }
}

/// What became of the items.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchOutcome {
    /// One for each item, in order.
    results: Vec<ItemOutcome>,
}

/// What became of an item.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemOutcome {
    /// Its place in the request, counted from 0.
    index: usize,
    /// The status that it would have had by itself.
    status: u16,
    /// The new lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemBody>,
}

/// Makes up to 100 leads. One bad item does not keep the others from being made.
#[utoipa::path(post, path = "/api/leads/batch", operation_id = "create_leads", tag = "leads",
    extensions(("x-role" = json!("staff"))), request_body = Batch,
    responses((status = 207, body = BatchOutcome)))]
pub(crate) async fn create_leads(
    mut cx: Cx<WriteLeads>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Valid(batch): Valid<Batch>,
) -> ApiResult {
    let now = cx.now();
    let definitions = Definitions::load(&mut cx.tx).await?;
    let read: Vec<Result<(NewLead, Identities), Problem>> =
        batch.items.into_iter().map(|item| read_item(&cx, &definitions, item)).collect();
    let good: Vec<(NewLead, Identities)> =
        read.iter().filter_map(|item| item.as_ref().ok().cloned()).collect();
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let made = leads::insert_all(&mut cx.tx, now, &good, actor)
        .await
        .on_constraint(IDENTITY_TAKEN, Problem::concurrent_change)
        .on_constraint("leads_owner_id_fkey", Problem::concurrent_change)?;

    let sees_all = cx.actor.own_records_of().is_none();
    let mut events = Vec::new();
    let mut made = made.into_iter();
    let mut results = Vec::with_capacity(read.len());
    for (index, item) in read.into_iter().enumerate() {
        let outcome = item.and_then(|_| match made.next() {
            Some(BatchResult::Created(lead)) => Ok(lead),
            Some(BatchResult::Exists(id)) => Err(lead_exists(sees_all.then_some(id))),
            Some(BatchResult::UnknownOwner) => Err(unknown_owner()),
            Some(BatchResult::DisabledOwner) => Err(disabled_user("/ownerId")),
            None => Err(Problem::internal()),
        });
        results.push(match outcome {
            Ok(lead) => {
                let payload = to_value(&lead).map_err(|_| Problem::internal())?;
                events.push(NewEvent::by_api(EventKind::LeadCreated, now, lead.id, Some(lead.id), payload));
                ItemOutcome { index, status: 201, id: Some(lead.id), error: None }
            }
            Err(problem) => {
                let status = problem.status().as_u16();
                ItemOutcome { index, status, id: None, error: Some(problem.into_body(&request_id)) }
            }
        });
    }
    emit(&mut cx.tx, &events).await?;
    cx.commit(MultiStatus(BatchOutcome { results })).await
}

/// Makes a lead, or changes the one that has the e-mail address or telephone number. A further address or number is added
/// and the primary one stays; what is left out stays too.
#[utoipa::path(post, path = "/api/leads/upsert", operation_id = "upsert_lead", tag = "leads",
    extensions(("x-role" = json!("staff"))), request_body = NewLead,
    responses((status = 200, body = Lead, description = "A known lead, changed"),
        (status = 201, body = Lead, description = "A new lead")))]
pub(crate) async fn upsert_lead(mut cx: Cx<WriteLeads>, Valid(mut new): Valid<NewLead>) -> ApiResult {
    let now = cx.now();
    let identities =
        Identities::normalise(new.email.as_ref(), new.phone.as_ref(), &cx.tx.settings().country)?;
    if identities.is_empty() {
        return Err(Problem::invalid(
            "",
            "required",
            "Give an e-mail address or a telephone number to go by.",
        ));
    }
    new.owner_id = new.owner_id.or(cx.actor.usual_owner());
    let definitions = Definitions::load(&mut cx.tx).await?;
    new.custom_fields =
        definitions.read(std::mem::take(&mut new.custom_fields), &cx.tx.settings().country)?;
    let (consents, custom) = (new.consents.clone(), new.custom_fields.clone());
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let (mut lead, upserted) = leads::upsert(&mut cx.tx, now, new, &identities, actor, Known::Overwrite)
        .await
        .on_constraint("leads_owner_id_fkey", unknown_owner)?;
    match upserted {
        Upserted::Created => {
            refuse_disabled(&mut cx.tx, "/ownerId", lead.owner_id).await?;
            definitions.require(|key| custom.contains_key(key))?;
            custom_fields::require_consent(&mut cx, &definitions, lead.id, &custom).await?;
            let payload = to_value(&lead).map_err(|_| Problem::internal())?;
            let event = NewEvent::by_api(EventKind::LeadCreated, now, lead.id, Some(lead.id), payload);
            if let Some(assigned) = emit_newcomers(&mut cx.tx, &[event]).await?.pop() {
                lead = assigned;
            }
            let created = Created { location: format!("/api/leads/{}", lead.id), body: &lead };
            cx.commit(Versioned { version: lead.version, answer: created }).await
        }
        Upserted::Updated { previous } => {
            // Who sees only own records may not reach a colleague's lead by knowing an address.
            let owner_before = previous.get("ownerId").cloned().unwrap_or_else(|| json!(lead.owner_id));
            let owners = cx.actor.own_records_of();
            if owners.is_some_and(|owners| owners.iter().all(|owner| owner_before != json!(owner))) {
                return Err(lead_exists(None));
            }
            Hidden::of(&definitions, &cx.actor).check_keys(custom.keys().map(String::as_str))?;
            let updated = UpdatedLead::from_previous(lead, previous)?;
            leads::insert_consents(&mut cx.tx, now, updated.lead.id, consents, actor).await?;
            custom_fields::require_consent(&mut cx, &definitions, updated.lead.id, &custom).await?;
            finish(cx, updated, &IfMatch::default()).await
        }
    }
}

fn unknown_owner() -> Problem {
    Problem::invalid("/ownerId", "unknown_user", "There is no such colleague.")
}

fn read_item(
    cx: &Cx<WriteLeads>,
    definitions: &Definitions,
    item: Value,
) -> Result<(NewLead, Identities), Problem> {
    let mut new: NewLead = parse_value(item)?;
    let identities =
        Identities::normalise(new.email.as_ref(), new.phone.as_ref(), &cx.tx.settings().country)?;
    new.owner_id = new.owner_id.or(cx.actor.usual_owner());
    definitions.read_new(&mut new, &cx.tx.settings().country)?;
    Ok((new, identities))
}
