//! Many measurements at once: what is good is recorded, what is bad is named.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    auth::WriteWellness,
    http::{ApiResult, Check, Cx, FieldErrors, MultiStatus, Problem, Valid, parse_value},
    wellness::{self, Metric, NewMetric, Outcome, OwnTypes, Refused},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::metrics::tell;

/// Measurements to record. Each is judged by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MetricBatch {
    /// 1 to 1,000 measurements.
    #[schema(value_type = Vec<NewMetric>)]
    items: Vec<Value>,
}

impl Check for MetricBatch {
    fn check(&self, errors: &mut FieldErrors) {
        match self.items.len() {
            0 => errors.add("/items", "required", "A batch has at least one measurement."),
            1..=1000 => {}
            _ => errors.add("/items", "too_many_values", "A batch has at most 1,000 measurements."),
        }
    }
}

/// What became of each measurement.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricBatchResult {
    /// How many are new.
    inserted: usize,
    /// How many were known.
    duplicates: usize,
    /// How many were refused.
    failed: usize,
    /// One entry per measurement, in their order.
    results: Vec<MetricResult>,
}

/// What became of one measurement.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricResult {
    /// Its place in `items`.
    index: usize,
    /// `inserted`, `duplicate` or `failed`.
    status: &'static str,
    /// The measurement's id, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl MetricResult {
    const fn done(index: usize, status: &'static str, id: Option<Uuid>) -> Self {
        Self { index, status, id, code: None, pointer: None, detail: None }
    }

    fn refused(index: usize, refused: Refused) -> Self {
        Self {
            code: Some(refused.code.to_owned()),
            pointer: Some(refused.pointer.to_owned()),
            detail: Some(refused.detail),
            ..Self::done(index, "failed", None)
        }
    }

    /// A measurement that could not even be read.
    fn unreadable(index: usize, problem: Problem) -> Self {
        let body = problem.into_body("");
        let first = body.errors.into_iter().next();
        let (code, pointer, detail) = match first {
            Some(error) => (error.code, Some(error.pointer), error.detail),
            None => (body.code, None, body.detail),
        };
        Self {
            code: Some(code.into_owned()),
            pointer,
            detail: Some(detail.into_owned()),
            ..Self::done(index, "failed", None)
        }
    }
}

/// Records up to 1,000 measurements; repeating the request changes nothing.
#[utoipa::path(post, path = "/api/wellness/metrics/batch", operation_id = "create_metrics", tag = "wellness",
    extensions(("x-role" = json!("staff"))), request_body = MetricBatch,
    responses((status = 207, body = MetricBatchResult)))]
pub(crate) async fn create_metrics(mut cx: Cx<WriteWellness>, Valid(batch): Valid<MetricBatch>) -> ApiResult {
    let (now, own) = (cx.now(), cx.actor.own_records_of());
    let mut results = Vec::with_capacity(batch.items.len());
    let mut read: Vec<(usize, NewMetric)> = Vec::with_capacity(batch.items.len());
    for (index, item) in batch.items.into_iter().enumerate() {
        match parse_value::<NewMetric>(item) {
            Ok(metric) => read.push((index, metric)),
            Err(problem) => results.push(MetricResult::unreadable(index, problem)),
        }
    }
    let types = wellness::types_of(&mut cx.tx, Some(&kinds(&read))).await?;
    let (places, metrics) = admit(read, &types, now, &mut results);
    let ingested = wellness::ingest(&mut cx.tx, now, &metrics, cx.actor.user_id(), own).await?;
    let mut inserted = Vec::new();
    for ((index, metric), outcome) in places.into_iter().zip(&metrics).zip(ingested.outcomes) {
        results.push(match outcome {
            Outcome::Inserted => {
                inserted.push(metric);
                MetricResult::done(index, "inserted", Some(metric.id))
            }
            Outcome::Duplicate(id) => MetricResult::done(index, "duplicate", id),
            Outcome::Refused(refused) => MetricResult::refused(index, refused),
        });
    }
    tell(&mut cx.tx, now, &inserted, ingested.aimed).await?;
    cx.commit(MultiStatus(summed(results))).await
}

fn kinds(read: &[(usize, NewMetric)]) -> Vec<String> {
    let mut kinds: Vec<String> = read.iter().map(|(_, metric)| metric.kind.clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn admit(
    read: Vec<(usize, NewMetric)>,
    types: &OwnTypes,
    now: chrono::DateTime<chrono::Utc>,
    results: &mut Vec<MetricResult>,
) -> (Vec<usize>, Vec<Metric>) {
    let mut admitted = (Vec::with_capacity(read.len()), Vec::with_capacity(read.len()));
    for (index, new) in read {
        match wellness::admit(new, types, now) {
            Ok(metric) => {
                admitted.0.push(index);
                admitted.1.push(metric);
            }
            Err(refused) => results.push(MetricResult::refused(index, refused)),
        }
    }
    admitted
}

fn summed(mut results: Vec<MetricResult>) -> MetricBatchResult {
    results.sort_by_key(|result| result.index);
    let count = |status: &str| results.iter().filter(|result| result.status == status).count();
    MetricBatchResult {
        inserted: count("inserted"),
        duplicates: count("duplicate"),
        failed: count("failed"),
        results,
    }
}
