//! The same for many leads.

use serde_json::to_value;
use shared::{
    auth::{ManageLeads, WriteAutomations},
    http::{ApiResult, Cx, Problem, Valid},
    jobs::{self, Job, JobKind, NewJob},
    leads::{BulkOp, BulkRequest, Definitions, check_bulk},
};

use crate::jobs::{accepted, note};

/// Does the same to all leads that a list's filters find when the job begins.
///
/// Whom it concerns is written down once; what the change does to the filter's answer, or who comes to match it later, does not matter. Whoever was
/// deleted or changed hands meanwhile is skipped.
#[utoipa::path(post, path = "/api/leads/bulk", operation_id = "change_leads", tag = "jobs",
    extensions(("x-role" = json!("manager"))), request_body = BulkRequest, responses((status = 202, body = Job)))]
pub(crate) async fn change_leads(mut cx: Cx<ManageLeads>, Valid(request): Valid<BulkRequest>) -> ApiResult {
    let (now, actor) = (cx.now(), cx.actor.clone());
    let definitions = Definitions::load(&mut cx.tx).await?;
    let op = request.op(&definitions, &cx.tx.settings().country)?;
    let mut filter = request.filter(cx.zone())?;
    filter.resolve(&mut cx.tx, now).await.map_err(|problem| problem.below("/filter"))?;
    if matches!(op, BulkOp::Enrol(_)) {
        actor.require::<WriteAutomations>()?;
    }
    check_bulk(&mut cx.tx, &op).await?;
    let request = to_value(&request).map_err(|_| Problem::internal())?;
    let new = NewJob { kind: JobKind::Bulk, awaits_parts: false, request };
    let job = jobs::insert(&mut cx.tx, now, &actor, new).await?;
    note(&mut cx, &job).await?;
    cx.commit(accepted(job)).await
}
