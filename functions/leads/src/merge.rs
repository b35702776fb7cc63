//! Leads that are one person: found, merged, parted again.

use axum::Json;
use serde::Serialize;
use shared::{
    auth::{ManageLeads, Permission, ReadLeads},
    events::emit,
    http::{ApiResult, Cx, Page, PathId, Problem, QueryString, Valid, Versioned},
    leads::{self, Duplicate, Lead, MergeRefusal, MergeRequest, UnmergeRequest, UpdatedLead},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::custom_fields;

/// Pairs of leads that may be one person, the likeliest first.
#[utoipa::path(get, path = "/api/leads/duplicates", operation_id = "list_duplicates", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("minScore" = Option<f64>, Query, description = "0 to 1; 0.8 when left out"),
        ("limit" = Option<i64>, Query, description = "Pairs at most, 1–100; 25 when left out")),
    responses((status = 200, body = Page<Duplicate>)))]
pub(crate) async fn list_duplicates(mut cx: Cx<ReadLeads>, query: QueryString) -> ApiResult {
    let (min_score, limit) = query.read(cx.zone(), |params| {
        let score = params.text("minScore").map(|text| text.parse::<f64>());
        let score = match score {
            None => 0.8,
            Some(Ok(score)) if (0.0..=1.0).contains(&score) => score,
            Some(_) => {
                params.refuse("minScore", "out_of_range", "A number from 0 to 1 is expected.");
                1.0
            }
        };
        (score, params.number("limit", 1..=100).unwrap_or(25))
    })?;
    let own_records_of = cx.actor.own_records_of();
    let items = leads::list_duplicates(&mut cx.tx, min_score, limit, own_records_of).await?;
    cx.commit(Json(Page { items, next_cursor: None, total: None })).await
}

/// Merges leads into one. The absorbed ids answer 301 with the survivor from then on.
#[utoipa::path(post, path = "/api/leads/merge", operation_id = "merge_leads", tag = "leads",
    extensions(("x-role" = json!("manager"))), request_body = MergeRequest,
    responses((status = 200, body = Lead)))]
pub(crate) async fn merge_leads(mut cx: Cx<ManageLeads>, Valid(request): Valid<MergeRequest>) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let merged = leads::merge(&mut cx.tx, now, &request, own_records_of, actor).await;
    let mut merged = merged.map_err(|refusal| refuse(&request, refusal))?;
    for step in &merged {
        tell(&mut cx, step).await?;
    }
    for absorbed in &request.absorbed_ids {
        let after = serde_json::json!({"absorbedId": absorbed});
        cx.note("lead.merged", ("lead", request.survivor_id), (None, Some(after))).await?;
    }
    let mut survivor = merged.pop().ok_or_else(Problem::internal)?.lead;
    custom_fields::mask(&mut cx, std::slice::from_mut(&mut survivor)).await?;
    cx.commit(Versioned { version: survivor.version, answer: Json(survivor) }).await
}

fn refuse(request: &MergeRequest, refusal: MergeRefusal) -> Problem {
    match refusal {
        MergeRefusal::Unknown(id) => {
            let place = request.absorbed_ids.iter().position(|absorbed| *absorbed == id);
            let pointer =
                place.map_or_else(|| "/survivorId".to_owned(), |index| format!("/absorbedIds/{index}"));
            Problem::invalid(pointer, "unknown_lead", "There is no such lead.")
        }
        MergeRefusal::Database(error) => error.into(),
    }
}

async fn tell<P: Permission>(cx: &mut Cx<P>, changed: &UpdatedLead) -> ApiResult<()> {
    let events = changed.events(cx.now())?;
    Ok(emit(&mut cx.tx, &events).await?)
}

/// Two leads that are two again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Parted {
    /// The one that had absorbed the other.
    survivor: Lead,
    /// The one that is itself again.
    absorbed: Lead,
}

/// Takes a merge back. What came with the absorbed lead goes back to it; what has happened since stays with the survivor.
#[utoipa::path(post, path = "/api/leads/{id}/unmerge", operation_id = "unmerge_lead", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("id" = Uuid, Path)), request_body = UnmergeRequest,
    responses((status = 200, body = Parted)))]
pub(crate) async fn unmerge_lead(
    mut cx: Cx<ManageLeads>,
    PathId(id): PathId,
    Valid(request): Valid<UnmergeRequest>,
) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let actor = (cx.actor.kind(), Some(cx.actor.id()));
    let absorbed: Uuid = request.absorbed_id;
    let parted = leads::unmerge(&mut cx.tx, now, id, absorbed, own_records_of, actor).await?;
    let (survivor, absorbed) = parted.ok_or_else(Problem::not_found)?;
    tell(&mut cx, &survivor).await?;
    let after = serde_json::json!({"absorbedId": request.absorbed_id});
    cx.note("lead.unmerged", ("lead", id), (None, Some(after))).await?;
    let mut shown = [survivor.lead, absorbed.lead];
    custom_fields::mask(&mut cx, &mut shown).await?;
    let [survivor, absorbed] = shown;
    cx.commit(Json(Parted { survivor, absorbed })).await
}
