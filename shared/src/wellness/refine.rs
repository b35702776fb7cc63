//! Correcting and deleting one measurement, and the day that it belonged to.
//!
//! The day's row is locked before the change and computed anew after it. Whoever records something for that day
//! meanwhile has either been counted already or waits at that row and is added afterwards.

use uuid::Uuid;

use super::Metric;
use crate::db::{DbResult, TenantTx};

async fn lock_day(tx: &mut TenantTx, metric: &Metric) -> DbResult<()> {
    sqlx::query!(
        "select from metric_days
          where tenant_id = $1 and lead_id = $2 and type = $3 and local_date = $4 and source = $5 and grain = $6 for update",
        tx.tenant(),
        metric.lead_id,
        metric.kind,
        metric.local_date,
        metric.source,
        metric.grain,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn refresh_day(tx: &mut TenantTx, metric: &Metric) -> DbResult<()> {
    sqlx::query!(
        "with fresh as (
             select count(*)::int as count, sum(value) as sum, min(value) as min, max(value) as max,
                    (array_agg(value order by start_at desc, id desc))[1] as last, max(start_at) as last_at
               from metrics
              where tenant_id = $1 and lead_id = $2 and type = $3 and local_date = $4 and source = $5 and grain = $6
         ), rewritten as (
             update metric_days d
                set count = f.count, sum = f.sum, min = f.min, max = f.max, last = f.last, last_at = f.last_at
               from fresh f
              where d.tenant_id = $1 and d.lead_id = $2 and d.type = $3 and d.local_date = $4 and d.source = $5 and d.grain = $6
                and f.count > 0
         )
         delete from metric_days d using fresh f
          where d.tenant_id = $1 and d.lead_id = $2 and d.type = $3 and d.local_date = $4 and d.source = $5 and d.grain = $6
            and f.count = 0",
        tx.tenant(),
        metric.lead_id,
        metric.kind,
        metric.local_date,
        metric.source,
        metric.grain,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes the value, the original and the note of `metric` if its version still stands. `None`: somebody was faster.
///
/// # Errors
/// When the database refuses.
pub async fn update_metric(tx: &mut TenantTx, metric: &Metric) -> DbResult<Option<Metric>> {
    lock_day(tx, metric).await?;
    let updated = sqlx::query_as!(
        Metric,
        r#"update metrics set value = $3, unit = $4, original_value = $5, original_unit = $6, note = $7
            where tenant_id = $1 and id = $2 and version = $8
           returning id, lead_id, type as kind, value as "value: _", unit, original_value as "original_value: _",
                     original_unit, start_at, end_at, offset_minutes, local_date, grain, source, external_id,
                     note as "note: _", data as "data: _", created_at, updated_at, version"#,
        tx.tenant(),
        metric.id,
        metric.value.expose(),
        metric.unit,
        metric.original_value.expose(),
        metric.original_unit,
        metric.note.as_ref().map(|note| note.expose().as_str()),
        metric.version,
    )
    .fetch_optional(tx.conn())
    .await?;
    refresh_day(tx, metric).await?;
    Ok(updated)
}

/// Deletes a measurement if its version still stands. `false`: somebody was faster.
///
/// # Errors
/// When the database refuses.
pub async fn delete_metric(tx: &mut TenantTx, metric: &Metric) -> DbResult<bool> {
    lock_day(tx, metric).await?;
    let id: Uuid = metric.id;
    let deleted = sqlx::query!(
        "delete from metrics where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        metric.version,
    )
    .execute(tx.conn())
    .await?;
    refresh_day(tx, metric).await?;
    Ok(deleted.rows_affected() == 1)
}
