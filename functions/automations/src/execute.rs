//! Starting by hand.

use serde_json::json;
use shared::{
    auth::WriteAutomations,
    automations::{self, Automation, Execute, Executed, Skipped, engine, refuse},
    http::{Accepted, ApiResult, Cx, PathId, Problem, Valid},
    segments,
};
use uuid::Uuid;

/// The most people that a segment may start at once.
const MOST: i64 = 10_000;
/// The most people that are rehearsed: each is walked through by itself.
const MOST_REHEARSED: i64 = 1_000;

/// Starts a run for each of the given people or of a segment's, or one about nobody. A dry run starts nothing and tells what would happen.
#[utoipa::path(post, path = "/api/automations/{id}/execute", operation_id = "execute_automation", tag = "automations",
    extensions(("x-role" = json!("staff"))), params(("id" = Uuid, Path)), request_body = Execute,
    responses((status = 202, body = Executed)))]
pub(crate) async fn execute_automation(
    mut cx: Cx<WriteAutomations>,
    PathId(id): PathId,
    Valid(mut request): Valid<Execute>,
) -> ApiResult {
    let automation = automations::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    if let Some(segment) = request.segment_id {
        request.lead_ids = people_of(&mut cx, segment, request.dry_run).await?;
    }
    if request.dry_run {
        let executed = rehearse(&mut cx, &automation, &request).await?;
        return cx.commit(Accepted(executed)).await;
    }
    if automation.status != "active" {
        return Err(Problem::conflict(
            "not_active",
            "Publish the automation, or resume it, before it is started.",
        ));
    }
    let own = cx.actor.own_records_of();
    let executed = automations::execute(&mut cx.tx, id, &request, own).await?;
    // Once for a person is everyday work, which the run shows.
    if request.segment_id.is_some() || request.lead_ids.len() > 1 {
        let after = json!({"runs": executed.run_ids.len(), "segmentId": request.segment_id});
        cx.note("automation.executed", ("automation", id), (None, Some(after))).await?;
    }
    cx.commit(Accepted(executed)).await
}

/// Those who belong to a segment now. Of a large one a dry run tells about the first thousand.
async fn people_of(cx: &mut Cx<WriteAutomations>, segment: Uuid, dry_run: bool) -> ApiResult<Vec<Uuid>> {
    let unknown = || Problem::invalid("/segmentId", "unknown_segment", "There is no such segment.");
    let segment = segments::find(&mut cx.tx, segment).await?.ok_or_else(unknown)?;
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let limit = if dry_run { MOST_REHEARSED } else { MOST + 1 };
    let people = segments::members(&mut cx.tx, now, &segment, limit, own).await?;
    if i64::try_from(people.len()).is_ok_and(|count| count > MOST) {
        return Err(Problem::invalid(
            "/segmentId",
            "too_many_values",
            "At most 10,000 people can be started at once.",
        ));
    }
    Ok(people)
}

/// The draft is rehearsed, so that it can be tried before it is published.
async fn rehearse(
    cx: &mut Cx<WriteAutomations>,
    automation: &Automation,
    request: &Execute,
) -> ApiResult<Executed> {
    let graph = automation.definition().graph().map_err(refuse)?;
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let preview = engine::rehearse(&mut cx.tx, now, &graph, &request.lead_ids, own, &request.payload).await?;
    let missing =
        request.lead_ids.iter().filter(|lead| !preview.iter().any(|play| play.lead_id == Some(**lead)));
    let skipped = missing.map(|lead| Skipped { lead_id: Some(*lead), reason: "not_found" }).collect();
    Ok(Executed { run_ids: Vec::new(), skipped, preview: Some(preview) })
}
