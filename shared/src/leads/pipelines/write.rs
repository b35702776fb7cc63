//! Making, changing and removing sales paths.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    NewPipeline, Pipeline, PipelinePatch,
    list::{Row, find_pipeline},
    model::{StageChange, StageColumns},
};
use crate::{
    db::{DbResult, TenantTx},
    http::Patch,
    ids::new_id,
};

/// Makes a pipeline with its stages.
///
/// # Errors
/// `pipelines_tenant_id_default_key` when two requests made a default at the same time.
pub async fn insert_pipeline(tx: &mut TenantTx, new: NewPipeline) -> DbResult<Pipeline> {
    let stages = StageColumns::new(new.stages.into_iter().map(StageChange::from));
    let row = sqlx::query_as!(
        Row,
        "with former as (
             update pipelines set is_default = false where tenant_id = $1 and is_default and $4 returning id
         ), p as (
             insert into pipelines (tenant_id, id, name, is_default, position)
             select $1, $2, $3, $4, $5 where (select count(*) from former) >= 0
             returning id, name, is_default, position, created_at, archived_at, version
         ), stages as (
             insert into pipeline_stages (tenant_id, id, pipeline_id, name, position, probability, outcome)
             select $1, s.id, $2, s.name, s.position, s.probability, s.outcome
               from unnest($6::uuid[], $7::text[], $8::int4[], $9::int2[], $10::text[])
                 as s (id, name, position, probability, outcome)
         )
         select * from p",
        tx.tenant(),
        new_id(),
        new.name.as_str(),
        new.is_default,
        new.position,
        &stages.ids,
        &stages.names,
        &stages.positions,
        &stages.probabilities,
        &stages.outcomes as &[&str],
    )
    .fetch_one(tx.conn())
    .await?;
    let id = row.id;
    Ok(row.with(stages.into_stages(id)))
}

/// Changes a pipeline that the caller has seen in `version`; `None` when it has changed meanwhile.
///
/// # Errors
/// `pipelines_tenant_id_default_key` when two requests made a default at the same time; `pipeline_stages_pkey` when a
/// stage belongs to another pipeline.
pub async fn update_pipeline(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    version: i64,
    patch: PipelinePatch,
) -> DbResult<Option<Pipeline>> {
    let changed = sqlx::query_scalar!(
        "with former as (
             update pipelines set is_default = false
              where tenant_id = $1 and is_default and $5 and id <> $2 returning id
         )
         update pipelines set name = coalesce($4, name), is_default = coalesce($5, is_default),
                position = coalesce($6, position),
                archived_at = case when $7 then coalesce(archived_at, $8) when not $7 then null else archived_at end
          where tenant_id = $1 and id = $2 and version = $3 and (select count(*) from former) >= 0
         returning id",
        tx.tenant(),
        id,
        version,
        patch.name.as_ref().map(crate::values::Line::as_str),
        patch.is_default,
        patch.position,
        patch.archived,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    if changed.is_none() {
        return Ok(None);
    }
    if let Patch::Set(stages) = patch.stages {
        replace_stages(tx, id, StageColumns::new(stages)).await?;
    }
    find_pipeline(tx, id).await
}

async fn replace_stages(tx: &mut TenantTx, pipeline: Uuid, stages: StageColumns) -> DbResult<()> {
    sqlx::query!(
        "with wanted as (
             select * from unnest($3::uuid[], $4::text[], $5::int4[], $6::int2[], $7::text[])
                 as w (id, name, position, probability, outcome)
         ), gone as (
             delete from pipeline_stages where tenant_id = $1 and pipeline_id = $2 and id <> all ($3)
         ), changed as (
             update pipeline_stages s
                set name = w.name, position = w.position, probability = w.probability, outcome = w.outcome
               from wanted w
              where s.tenant_id = $1 and s.pipeline_id = $2 and s.id = w.id
             returning s.id
         )
         insert into pipeline_stages (tenant_id, id, pipeline_id, name, position, probability, outcome)
         select $1, w.id, $2, w.name, w.position, w.probability, w.outcome
           from wanted w where w.id not in (select id from changed)",
        tx.tenant(),
        pipeline,
        &stages.ids,
        &stages.names,
        &stages.positions,
        &stages.probabilities,
        &stages.outcomes as &[&str],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many leads stand on the pipeline, apart from those on the stages that are kept. Until the transaction ends nobody moves to one of the
/// others: whoever was on the way is waited for and counted.
///
/// # Errors
/// When the database refuses.
pub async fn count_on_pipeline(tx: &mut TenantTx, id: Uuid, kept: &[Uuid]) -> DbResult<i64> {
    sqlx::query!(
        "select id from pipeline_stages where tenant_id = $1 and pipeline_id = $2 and id <> all ($3) order by id for update",
        tx.tenant(),
        id,
        kept,
    )
    .fetch_all(tx.conn())
    .await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from leads l join pipeline_stages s on s.tenant_id = $1 and s.id = l.stage_id
            where l.tenant_id = $1 and s.pipeline_id = $2 and s.id <> all ($3)
              and l.deleted_at is null and l.merged_into_id is null"#,
        tx.tenant(),
        id,
        kept,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(count)
}

/// Removes a pipeline of this version with its stages; `false` when it has another by now.
///
/// # Errors
/// When the database refuses.
pub async fn delete_pipeline(tx: &mut TenantTx, id: Uuid, version: i64) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "delete from pipelines where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}
