//! The board: what stands on each stage of a path.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// A path with what stands on it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Board {
    /// What the sums are in. Deals in other currencies are counted and not summed.
    pub currency: String,
    /// The stages, in order.
    pub stages: Vec<BoardStage>,
}

/// A column of the board.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoardStage {
    /// The stage.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// `open`, `won`, `lost`.
    pub outcome: String,
    /// How likely a deal here is won, per cent.
    pub probability: i16,
    /// Leads that stand here.
    pub count: i64,
    /// What they may be worth, minor units.
    pub sum: i64,
    /// The same times the probability, in whole minor units.
    pub weighted: i64,
    /// How long they have been here on average, whole seconds; null when nobody is.
    pub average_seconds: Option<i64>,
}

/// The board of a pipeline, of the leads that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn board(
    tx: &mut TenantTx,
    pipeline: Uuid,
    currency: String,
    own_records_of: Owners<'_>,
) -> DbResult<Board> {
    let stages = sqlx::query_as!(
        BoardStage,
        r#"select s.id, s.name, s.outcome, s.probability, count(l.id) as "count!",
                  coalesce(sum(l.value) filter (where l.currency = $3), 0)::bigint as "sum!",
                  (coalesce(sum(l.value) filter (where l.currency = $3), 0) * s.probability / 100)::bigint as "weighted!",
                  extract(epoch from avg(now() - l.stage_entered_at))::bigint as average_seconds
             from pipeline_stages s
             left join leads l on l.tenant_id = $1 and l.stage_id = s.id and l.deleted_at is null
                  and l.merged_into_id is null and ($4::uuid[] is null or l.owner_id = any ($4))
            where s.tenant_id = $1 and s.pipeline_id = $2
            group by s.tenant_id, s.id
            order by s.position"#,
        tx.tenant(),
        pipeline,
        currency,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Board { currency, stages })
}
