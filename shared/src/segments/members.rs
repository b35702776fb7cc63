//! Putting people into static segments by hand, and taking them out.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Segment, evaluate::tell, find};
use crate::db::{DbResult, TenantTx};

/// Puts leads into a static segment, tells who came, and says how many that were.
///
/// # Errors
/// When the database refuses.
pub async fn add_members(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    segment: Uuid,
    leads: &[Uuid],
) -> DbResult<usize> {
    let Some(segment) = static_one(tx, segment).await? else { return Ok(0) };
    let came = sqlx::query_scalar!(
        "with came as (
             insert into segment_members (tenant_id, segment_id, lead_id, entered_at)
             select $1, $2, id, $4 from unnest($3::uuid[]) as id
             on conflict (tenant_id, segment_id, lead_id) do nothing
             returning lead_id
         )
         select lead_id from came",
        tx.tenant(),
        segment.id,
        leads,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    tell(tx, &segment, now, came.iter().map(|lead| (*lead, true))).await?;
    Ok(came.len())
}

/// Takes leads out of a static segment, tells who went, and says how many that were.
///
/// # Errors
/// When the database refuses.
pub async fn remove_members(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    segment: Uuid,
    leads: &[Uuid],
) -> DbResult<usize> {
    let Some(segment) = static_one(tx, segment).await? else { return Ok(0) };
    let went = sqlx::query_scalar!(
        "with went as (
             delete from segment_members where tenant_id = $1 and segment_id = $2 and lead_id = any ($3) returning lead_id
         )
         select lead_id from went",
        tx.tenant(),
        segment.id,
        leads,
    )
    .fetch_all(tx.conn())
    .await?;
    tell(tx, &segment, now, went.iter().map(|lead| (*lead, false))).await?;
    Ok(went.len())
}

async fn static_one(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Segment>> {
    Ok(find(tx, id).await?.filter(|segment| !segment.is_live()))
}
