//! Sales paths and their stages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::list::total;
use crate::{
    db::{DbResult, TenantTx, keyset::push_page},
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind,
    },
    ids::new_id,
    values::Line,
};

/// A sales path.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    /// The path.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whether new deals go here.
    pub is_default: bool,
    /// Its place among the paths.
    pub position: i32,
    /// Its stages, in order.
    pub stages: Vec<Stage>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was put away.
    pub archived_at: Option<DateTime<Utc>>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// One stage of a path.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// The stage.
    pub id: Uuid,
    /// The path.
    pub pipeline_id: Uuid,
    /// Its name.
    pub name: String,
    /// Its place, counted from 0.
    pub position: i32,
    /// How likely a deal here is won, per cent.
    pub probability: i16,
    /// `open`, `won`, `lost`.
    pub outcome: String,
}

/// A path that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPipeline {
    /// Its name.
    pub name: Line,
    /// Whether new deals go here; the former default is one no longer.
    #[serde(default)]
    pub is_default: bool,
    /// Its place among the paths.
    #[serde(default)]
    pub position: i32,
    /// Its stages, in order.
    pub stages: Vec<NewStage>,
}

/// A stage that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewStage {
    /// Its name.
    pub name: Line,
    /// How likely a deal here is won, per cent.
    #[serde(default)]
    pub probability: i16,
    /// What reaching it means.
    #[serde(default)]
    pub outcome: Outcome,
}

/// What reaching a stage means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The path goes on.
    #[default]
    Open,
    /// The deal is won.
    Won,
    /// The deal is lost.
    Lost,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

impl Check for NewPipeline {
    fn check(&self, errors: &mut FieldErrors) {
        if !(1..=50).contains(&self.stages.len()) {
            errors.add("/stages", "out_of_range", "A pipeline has 1 to 50 stages.");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            if !(0..=100).contains(&stage.probability) {
                errors.add(
                    format!("/stages/{index}/probability"),
                    "out_of_range",
                    "Per cent, from 0 to 100.",
                );
            }
        }
    }
}

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
struct Row {
    id: Uuid,
    name: String,
    is_default: bool,
    position: i32,
    created_at: DateTime<Utc>,
    archived_at: Option<DateTime<Utc>>,
    version: i64,
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

/// Makes a pipeline with its stages.
///
/// # Errors
/// `pipelines_tenant_id_default_key` when two requests made a default at the same time.
pub async fn insert_pipeline(tx: &mut TenantTx, new: NewPipeline) -> DbResult<Pipeline> {
    let stages: Vec<Stage> = new
        .stages
        .into_iter()
        .zip(0..)
        .map(|(stage, position)| Stage {
            id: new_id(),
            pipeline_id: Uuid::nil(),
            name: stage.name.into_string(),
            position,
            probability: stage.probability,
            outcome: stage.outcome.as_str().to_owned(),
        })
        .collect();
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
        &stages.iter().map(|stage| stage.id).collect::<Vec<_>>(),
        &stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>(),
        &stages.iter().map(|stage| stage.position).collect::<Vec<_>>(),
        &stages.iter().map(|stage| stage.probability).collect::<Vec<_>>(),
        &stages.iter().map(|stage| stage.outcome.clone()).collect::<Vec<_>>(),
    )
    .fetch_one(tx.conn())
    .await?;
    let id = row.id;
    Ok(row.with(stages.into_iter().map(|stage| Stage { pipeline_id: id, ..stage }).collect()))
}

impl Row {
    fn with(self, stages: Vec<Stage>) -> Pipeline {
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
