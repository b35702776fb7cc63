//! What a document would cost.

use axum::Json;
use shared::{
    auth::ReadFinance,
    finance::pricing::{Calculation, Priced, price},
    http::{ApiResult, Cx, Valid},
};

/// Prices a document and writes nothing. A draft of the same lines has the same totals.
#[utoipa::path(post, path = "/api/finance/calculate", operation_id = "calculate_totals", tag = "finance",
    extensions(("x-role" = json!("viewer")), ("x-scope" = json!("finance:read"))), request_body = Calculation,
    responses((status = 200, body = Priced)))]
pub(crate) async fn calculate(mut cx: Cx<ReadFinance>, Valid(asked): Valid<Calculation>) -> ApiResult {
    let priced = price(&mut cx.tx, &asked, &[]).await?;
    cx.commit(Json(priced)).await
}
