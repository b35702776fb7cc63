//! Reading sales paths.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Pipeline, Stage};
use crate::{
    db::{DbResult, TenantTx, keyset::push_page},
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    leads::list::total,
};

/// What pipelines can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PipelineFilter {
    /// `true` also shows those that were put away.
    pub archived: Option<bool>,
}

impl FromQuery for PipelineFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "position", column: "position", kind: SortKind::Number },
    ];

    fn read(params: &mut Params) -> Self {
        Self { archived: params.flag("archived") }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) is_default: bool,
    pub(super) position: i32,
    pub(super) created_at: DateTime<Utc>,
    pub(super) archived_at: Option<DateTime<Utc>>,
    pub(super) version: i64,
}

/// One page of pipelines with their stages.
///
/// # Errors
/// When the database refuses.
pub async fn list_pipelines(
    tx: &mut TenantTx,
    query: &ListQuery<PipelineFilter>,
) -> DbResult<Page<Pipeline>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from pipelines p where p.tenant_id = "));
        select.push_bind(tenant);
        if query.filter.archived != Some(true) {
            select.push(" and p.archived_at is null");
        }
        select
    };
    let mut select =
        filtered("select p.id, p.name, p.is_default, p.position, p.created_at, p.archived_at, p.version");
    push_page(&mut select, "p", &query.page);
    let rows = select.build_query_as::<Row>().fetch_all(tx.conn()).await?;
    let by_position = query.page.sort.word == "position";
    let mut page = query.page.page(rows, |row| Keyset {
        value: if by_position {
            KeysetValue::Number(row.position.into())
        } else {
            KeysetValue::Time(row.created_at)
        },
        id: row.id,
    });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let stages = list_stages(tx, &ids).await?;
    Ok(page.map(|row| {
        let own = stages.iter().filter(|stage| stage.pipeline_id == row.id).cloned().collect();
        row.with(own)
    }))
}

async fn list_stages(tx: &mut TenantTx, pipelines: &[Uuid]) -> DbResult<Vec<Stage>> {
    let stages = sqlx::query_as!(
        Stage,
        "select id, pipeline_id, name, position, probability, outcome from pipeline_stages
          where tenant_id = $1 and pipeline_id = any($2) order by pipeline_id, position",
        tx.tenant(),
        pipelines,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(stages)
}

/// One pipeline with its stages, put away or not.
///
/// # Errors
/// When the database refuses.
pub async fn find_pipeline(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Pipeline>> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, is_default, position, created_at, archived_at, version
           from pipelines where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let stages = list_stages(tx, &[id]).await?;
    Ok(Some(row.with(stages)))
}

impl Row {
    pub(super) fn with(self, stages: Vec<Stage>) -> Pipeline {
        Pipeline {
            id: self.id,
            name: self.name,
            is_default: self.is_default,
            position: self.position,
            stages,
            created_at: self.created_at,
            archived_at: self.archived_at,
            version: self.version,
        }
    }
}
