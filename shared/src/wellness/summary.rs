//! A person's health at a glance: for each type the latest value, today, and the mean day of a week and a month.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Aggregation, TypeOut,
    days::{DayRow, priorities},
    series::{Bucket, Piece, Span, fold},
    types::types_of,
};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    leads,
};

/// One type of a person's summary. Values are in `unit`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SummaryItem {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// The canonical unit.
    pub unit: String,
    /// How a day's values make one.
    pub aggregation: Aggregation,
    /// The latest value.
    pub latest: f64,
    /// When it was measured.
    pub latest_at: DateTime<Utc>,
    /// Today's value; null without a measurement.
    pub today: Option<f64>,
    /// Mean of the days with measurements among the last seven, today included.
    pub average7_days: Option<f64>,
    /// The same of the last thirty.
    pub average30_days: Option<f64>,
    /// Days with measurements among the last thirty.
    pub days: usize,
}

/// A person's health at a glance.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The person.
    pub lead_id: Uuid,
    /// The day that `today` means, in the tenant's zone.
    pub date: NaiveDate,
    /// One entry per type that was ever measured, by type.
    pub items: Vec<SummaryItem>,
}

/// Reads the summary; of a lead that the caller may not see it is empty.
///
/// # Errors
/// When the database refuses.
pub async fn read_summary(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Summary> {
    let date = now.with_timezone(&tx.zone()).date_naive();
    if !leads::exists(tx, lead, own_records_of).await? {
        return Ok(Summary { lead_id: lead, date, items: Vec::new() });
    }
    let mut by_type: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for row in days(tx, lead, date).await? {
        let piece = row.piece();
        by_type.entry(row.kind).or_default().push(piece);
    }
    let kinds: Vec<String> = by_type.keys().cloned().collect();
    let (types, rules) = (types_of(tx, Some(&kinds)).await?, priorities(tx, &kinds).await?);
    let items = by_type
        .iter()
        .filter_map(|(kind, pieces)| {
            item(types.find(kind)?, &fold(pieces, rules.of(lead, kind), Span::Day), date)
        })
        .collect();
    Ok(Summary { lead_id: lead, date, items })
}

/// The last thirty days of each type, and the last day of a type that was not measured since.
async fn days(tx: &mut TenantTx, lead: Uuid, today: NaiveDate) -> DbResult<Vec<DayRow>> {
    let rows = sqlx::query_as!(
        DayRow,
        "select d.lead_id, d.type as kind, d.local_date, d.source, d.grain, d.count, d.sum, d.min, d.max, d.last, d.last_at
           from metric_days d
           join (select type, max(local_date) as latest from metric_days where tenant_id = $1 and lead_id = $2 group by type) as seen
             on seen.type = d.type
          where d.tenant_id = $1 and d.lead_id = $2 and (d.local_date > $3 or d.local_date = seen.latest)",
        tx.tenant(),
        lead,
        today - Days::new(30),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

fn item(kind: TypeOut, days: &[Bucket], today: NaiveDate) -> Option<SummaryItem> {
    let latest = days.iter().max_by_key(|day| day.sums.last_at)?.sums;
    let within = |back: u64| {
        let first = today - Days::new(back);
        move |day: &&Bucket| day.local.date() > first
    };
    let value = |day: &Bucket| day.sums.value(kind.aggregation);
    let recent: Vec<f64> = days.iter().filter(within(30)).map(value).collect();
    let week: Vec<f64> = days.iter().filter(within(7)).map(value).collect();
    Some(SummaryItem {
        latest: latest.last,
        latest_at: latest.last_at,
        today: days.iter().find(|day| day.local.date() == today).map(value),
        average7_days: mean(&week),
        average30_days: mean(&recent),
        days: recent.len(),
        kind: kind.key,
        title: kind.title,
        unit: kind.unit,
        aggregation: kind.aggregation,
    })
}

#[expect(clippy::cast_precision_loss, reason = "thirty days")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
