//! The score of a lead.

use axum::Json;
use shared::{
    auth::ReadLeads,
    http::{ApiResult, Cx, PathId, Problem},
    scoring::{self, Score},
};

/// The score of a lead as it is now, with its reasons. The parts add up to it.
#[utoipa::path(get, path = "/api/leads/{id}/score", operation_id = "get_lead_score", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Score)))]
pub(crate) async fn get_lead_score(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let score =
        scoring::score_of(&mut cx.tx, now, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(score)).await
}
