//! Views, clicks and submissions by CTA, surface, variant and day, with what chance alone would allow.

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};
use utoipa::ToSchema;

use super::CtaFilter;
use crate::{
    auth::Owners,
    db::{DbError, DbResult, TenantTx},
    http::{Params, Problem},
    time::start_of_day,
};

/// More groups than anybody can look at.
const MOST_GROUPS: usize = 10_000;

/// What events are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupBy {
    cta: bool,
    surface: bool,
    variant: bool,
    day: bool,
}

impl GroupBy {
    /// Reads `groupBy`; by CTA when left out.
    pub fn read(params: &mut Params) -> Self {
        let words = params.choices("groupBy", &["cta", "surface", "variant", "day"]);
        let has = |word: &str| words.iter().any(|known| known == word);
        Self {
            cta: words.is_empty() || has("cta"),
            surface: has("surface"),
            variant: has("variant"),
            day: has("day"),
        }
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtaSummaryItem {
    /// The button or form, when grouped by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cta: Option<String>,
    /// The surface, when grouped by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<String>,
    /// The variant, when grouped by it; left out for events without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The day in the tenant's zone, when grouped by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<NaiveDate>,
    /// How often it was seen.
    pub views: i64,
    /// How often it was clicked.
    pub clicks: i64,
    /// How often its form was sent.
    pub submits: i64,
    /// How many known persons were among them.
    pub leads: i64,
    /// Clicks over views, or submissions over views where nothing is clicked. Null without a view.
    pub rate: Option<f64>,
    /// Lower end of the rate's 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
}

/// Groups of events. Crawlers are left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtaSummary {
    /// Start of the range.
    pub from: Option<DateTime<Utc>>,
    /// End of the range, which is not in it.
    pub to: Option<DateTime<Utc>>,
    /// The groups: by day, then the most seen first.
    pub items: Vec<CtaSummaryItem>,
    /// Always null: a summary is one page.
    pub next_cursor: Option<String>,
}

#[derive(FromRow)]
struct Row {
    cta: Option<String>,
    surface: Option<String>,
    variant: Option<String>,
    slot: i32,
    views: i64,
    clicks: i64,
    submits: i64,
    leads: i64,
}

/// Reads the groups.
///
/// # Errors
/// 422 `range_too_wide` for more than 10,000 groups.
pub async fn read_summary(
    tx: &mut TenantTx,
    filter: CtaFilter,
    by: GroupBy,
    own_records_of: Owners<'_>,
) -> Result<CtaSummary, Problem> {
    let filter = filter.of_people();
    let (from, to) = (filter.from, filter.to);
    let days = if by.day { days(tx, &filter, own_records_of).await? } else { Vec::new() };
    let rows = groups(tx, &filter, by, &days, own_records_of).await?;
    if rows.len() > MOST_GROUPS {
        return Err(Problem::invalid(
            "?groupBy",
            "range_too_wide",
            "A summary has at most 10,000 groups: narrow the range.",
        ));
    }
    let day = |slot: i32| days.get(usize::try_from(slot).ok()?.checked_sub(1)?).map(|(day, _)| *day);
    let items = rows.into_iter().map(|row| row.item(day)).collect();
    Ok(CtaSummary { from, to, items, next_cursor: None })
}

impl Row {
    fn item(self, day: impl Fn(i32) -> Option<NaiveDate>) -> CtaSummaryItem {
        let hits = if self.clicks > 0 { self.clicks } else { self.submits };
        let interval = wilson(hits, self.views);
        CtaSummaryItem {
            cta: self.cta,
            surface: self.surface,
            variant: self.variant,
            day: day(self.slot),
            views: self.views,
            clicks: self.clicks,
            submits: self.submits,
            leads: self.leads,
            rate: interval.map(|interval| interval.0),
            low: interval.map(|interval| interval.1),
            high: interval.map(|interval| interval.2),
        }
    }
}

/// Rate and 95 % score interval (Wilson 1927). Somebody may click twice after one view: the interval then is that of
/// a hit for every view.
#[expect(clippy::cast_precision_loss, reason = "nobody counts 2^52 views")]
fn wilson(hits: i64, views: i64) -> Option<(f64, f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054;
    if views <= 0 {
        return None;
    }
    let n = views as f64;
    let p = hits.min(views) as f64 / n;
    let middle = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Some((hits as f64 / n, ((middle - spread) / whole).max(0.0), ((middle + spread) / whole).min(1.0)))
}

/// The days of the tenant's zone that hold events, with the instant at which each begins.
async fn days(
    tx: &mut TenantTx,
    filter: &CtaFilter,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<(NaiveDate, DateTime<Utc>)>> {
    let mut extent = QueryBuilder::new("select min(e.occurred_at), max(e.occurred_at) from cta_events e");
    filter.push(&mut extent, tx.tenant(), own_records_of);
    let (first, last): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        extent.build_query_as().fetch_one(tx.conn()).await?;
    let zone = tx.zone();
    let days = first.zip(last).map(|(first, last)| days_between(first, last, zone));
    days.unwrap_or_else(|| Some(Vec::new()))
        .ok_or_else(|| DbError::Defect("a day has no beginning".to_owned()))
}

fn days_between(
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    zone: Tz,
) -> Option<Vec<(NaiveDate, DateTime<Utc>)>> {
    let (mut day, end) = (first.with_timezone(&zone).date_naive(), last.with_timezone(&zone).date_naive());
    let mut days = Vec::new();
    while day <= end {
        days.push((day, start_of_day(day, zone)?));
        day = day.checked_add_days(Days::new(1))?;
    }
    Some(days)
}

async fn groups(
    tx: &mut TenantTx,
    filter: &CtaFilter,
    by: GroupBy,
    days: &[(NaiveDate, DateTime<Utc>)],
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Row>> {
    let column = |wanted: bool, name: &'static str| if wanted { name } else { "null::text" };
    let mut select = QueryBuilder::new("select ");
    select.push(column(by.cta, "e.cta_id")).push(" as cta, ");
    select.push(column(by.surface, "e.surface")).push(" as surface, ");
    select.push(column(by.variant, "e.variant")).push(" as variant, ");
    if days.is_empty() {
        select.push("0 as slot");
    } else {
        // The database sorts events between the days' beginnings, which are computed here: its own zone files do not matter.
        let edges: Vec<DateTime<Utc>> = days.iter().map(|(_, start)| *start).collect();
        select.push("width_bucket(e.occurred_at, ").push_bind(edges).push("::timestamptz[]) as slot");
    }
    select.push(
        ", count(*) filter (where e.kind = 'view') as views, count(*) filter (where e.kind = 'click') as clicks,
           count(*) filter (where e.kind = 'submit') as submits, count(distinct e.lead_id) as leads from cta_events e",
    );
    filter.push(&mut select, tx.tenant(), own_records_of);
    select.push(" group by 1, 2, 3, 4 order by 4, 5 desc, 6 desc, 1, 2, 3 limit ");
    select.push_bind(i64::try_from(MOST_GROUPS).unwrap_or(i64::MAX).saturating_add(1));
    Ok(select.build_query_as().fetch_all(tx.conn()).await?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe (1998), table I, method 3: 81 of 263 and 15 of 148.
        for (hits, views, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let (_, l, h) = wilson(hits, views).unwrap();
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{l} {h}");
        }
        assert_eq!(wilson(0, 0), None);
    }

    proptest! {
        #[test]
        fn the_rate_lies_in_its_interval(views in 1..100_000_i64, share in 0.0..=1.0_f64) {
            let hits = (views as f64 * share) as i64;
            let (rate, low, high) = wilson(hits, views).unwrap();
            prop_assert!(0.0 <= low && low <= rate + 1e-12 && rate <= high + 1e-12 && high <= 1.0);
        }
    }
}
