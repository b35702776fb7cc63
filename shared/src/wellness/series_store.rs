//! Reading a series.
//!
//! With a zone, the boundaries of its hours or days are computed here, with the clock changes that chrono-tz knows, and the
//! database only sorts rows between them; so the server's own zone files do not matter. Without a zone, the day is
//! the device's: whole days come from the rollup, everything else from the rows.

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Aggregation, TypeOut,
    days::{DayRow, priorities},
    list::{Bound, SeriesRequest},
    series::{Bucket, Piece, Span, Sums, fold},
};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    http::Problem,
    leads,
    time::resolve,
};

/// More buckets than anybody can look at.
const MOST_BUCKETS: usize = 10_000;

/// One bucket of a series.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Where the bucket begins. Without `tz` there is no one instant, as devices may differ: then it is the local start,
    /// written as if it were UTC.
    pub start: DateTime<Utc>,
    /// Where it begins on the local clock.
    pub local_start: NaiveDateTime,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub avg: f64,
    /// Sum.
    pub sum: f64,
    /// Latest value.
    pub last: f64,
    /// Number of measurements.
    pub count: i64,
    /// The one that `agg` asks for, or the type's own.
    pub value: f64,
}

/// A series of buckets, earliest first; empty ones are left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// The person.
    pub lead_id: Uuid,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The canonical unit.
    pub unit: String,
    /// How long a bucket is.
    pub bucket: Span,
    /// The zone whose days are meant; null for the days of the devices.
    pub tz: Option<String>,
    /// What `value` is.
    pub agg: Aggregation,
    /// The buckets.
    pub items: Vec<Point>,
    /// Always null: a series is one page.
    pub next_cursor: Option<String>,
}

/// Reads a series. A lead that the caller may not see has an empty one.
///
/// # Errors
/// 422 `range_too_wide` for more than 10,000 buckets.
pub async fn read_series(
    tx: &mut TenantTx,
    request: &SeriesRequest,
    kind: TypeOut,
    own_records_of: Owners<'_>,
) -> Result<Series, Problem> {
    let (lead, agg) = (request.lead_id, request.agg.unwrap_or(kind.aggregation));
    let mut items = Vec::new();
    if leads::exists(tx, lead, own_records_of).await? {
        let pieces = match request.tz {
            Some(tz) => zoned(tx, request, tz).await?,
            None if request.span != Span::Hour && !request.is_cut() => whole_days(tx, request).await?,
            None => floating(tx, request).await?,
        };
        let rules = priorities(tx, std::slice::from_ref(&kind.key)).await?;
        let buckets = fold(&pieces, rules.of(lead, &kind.key), request.span);
        if buckets.len() > MOST_BUCKETS {
            return Err(too_wide());
        }
        items = buckets.iter().map(|bucket| point(bucket, request, agg)).collect();
    }
    let tz = request.tz.map(|tz| tz.name().to_owned());
    Ok(Series {
        lead_id: lead,
        kind: kind.key,
        unit: kind.unit,
        bucket: request.span,
        tz,
        agg,
        items,
        next_cursor: None,
    })
}

fn too_wide() -> Problem {
    Problem::invalid(
        "?from",
        "range_too_wide",
        "A series has at most 10,000 buckets: narrow the range or widen the bucket.",
    )
}

fn point(bucket: &Bucket, request: &SeriesRequest, agg: Aggregation) -> Point {
    let start = match request.tz {
        Some(tz) if request.span != Span::Hour => resolve(bucket.local, tz).unwrap_or(bucket.start),
        Some(_) | None => bucket.start,
    };
    let sums = &bucket.sums;
    Point {
        start,
        local_start: bucket.local,
        min: sums.min,
        max: sums.max,
        avg: sums.avg(),
        sum: sums.sum,
        last: sums.last,
        count: sums.count,
        value: sums.value(agg),
    }
}

/// Days of the devices, from the rollup.
async fn whole_days(tx: &mut TenantTx, request: &SeriesRequest) -> DbResult<Vec<Piece>> {
    let (from, to) = (request.from.and_then(Bound::date), request.to.and_then(Bound::date));
    let rows = sqlx::query_as!(
        DayRow,
        "select lead_id, type as kind, local_date, source, grain, count, sum, min, max, last, last_at from metric_days
          where tenant_id = $1 and lead_id = $2 and type = $3
            and ($4::date is null or local_date >= $4) and ($5::date is null or local_date < $5)",
        tx.tenant(),
        request.lead_id,
        request.kind,
        from,
        to,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.iter().map(DayRow::piece).collect())
}

struct Slice {
    local: Option<NaiveDateTime>,
    slot: Option<i32>,
    source: String,
    whole_day: bool,
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    last_at: DateTime<Utc>,
}

impl Slice {
    fn piece(self, start: DateTime<Utc>, local: NaiveDateTime) -> Piece {
        let sums = Sums {
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            last: self.last,
            last_at: self.last_at,
        };
        Piece { start, local, source: self.source, whole_day: self.whole_day, sums }
    }
}

/// Hours or days of the devices, from the rows.
async fn floating(tx: &mut TenantTx, request: &SeriesRequest) -> DbResult<Vec<Piece>> {
    let unit = if request.span == Span::Hour { "hour" } else { "day" };
    let (from, to) = (request.from, request.to);
    let slices = sqlx::query_as!(
        Slice,
        r#"select date_trunc($4, (start_at at time zone 'UTC') + offset_minutes * interval '1 minute') as local,
                  null::int as slot, source, grain = 'day' as "whole_day!", count(*) as "count!", sum(value) as "sum!",
                  min(value) as "min!", max(value) as "max!",
                  (array_agg(value order by start_at desc, id desc))[1] as "last!", max(start_at) as "last_at!"
             from metrics
            where tenant_id = $1 and lead_id = $2 and type = $3
              and ($5::timestamptz is null or start_at >= $5) and ($6::timestamptz is null or start_at < $6)
              and ($7::date is null or local_date >= $7) and ($8::date is null or local_date < $8)
            group by 1, 3, 4"#,
        tx.tenant(),
        request.lead_id,
        request.kind,
        unit,
        from.and_then(Bound::instant),
        to.and_then(Bound::instant),
        from.and_then(Bound::date),
        to.and_then(Bound::date),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(slices
        .into_iter()
        .filter_map(|slice| slice.local.map(|local| slice.piece(local.and_utc(), local)))
        .collect())
}

/// Hours or days of a zone, from the rows.
async fn zoned(tx: &mut TenantTx, request: &SeriesRequest, tz: Tz) -> Result<Vec<Piece>, Problem> {
    let bound = |bound: Option<Bound>| bound.and_then(|bound| bound.in_zone(tz));
    let (from, to) = (bound(request.from), bound(request.to));
    let Some((first, last)) = extent(tx, request, from, to).await? else { return Ok(Vec::new()) };
    let slots = slots(first, last, request.span, tz).ok_or_else(too_wide)?;
    let edges: Vec<DateTime<Utc>> = slots.iter().map(|(edge, _)| *edge).collect();
    let slices = sqlx::query_as!(
        Slice,
        r#"select null::timestamp as local, width_bucket(start_at, $4::timestamptz[]) as slot, source,
                  grain = 'day' as "whole_day!", count(*) as "count!", sum(value) as "sum!", min(value) as "min!",
                  max(value) as "max!", (array_agg(value order by start_at desc, id desc))[1] as "last!",
                  max(start_at) as "last_at!"
             from metrics
            where tenant_id = $1 and lead_id = $2 and type = $3
              and ($5::timestamptz is null or start_at >= $5) and ($6::timestamptz is null or start_at < $6)
            group by 2, 3, 4"#,
        tx.tenant(),
        request.lead_id,
        request.kind,
        &edges,
        from,
        to,
    )
    .fetch_all(tx.conn())
    .await
    .map_err(crate::db::DbError::from)?;
    let place = |slice: &Slice| {
        let slot = usize::try_from(slice.slot?).ok()?.checked_sub(1)?;
        slots.get(slot).copied()
    };
    Ok(slices
        .into_iter()
        .filter_map(|slice| place(&slice).map(|(start, local)| slice.piece(start, local)))
        .collect())
}

/// The first and last measurement within the range.
async fn extent(
    tx: &mut TenantTx,
    request: &SeriesRequest,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> DbResult<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let row = sqlx::query!(
        "select min(start_at) as first, max(start_at) as last from metrics
          where tenant_id = $1 and lead_id = $2 and type = $3
            and ($4::timestamptz is null or start_at >= $4) and ($5::timestamptz is null or start_at < $5)",
        tx.tenant(),
        request.lead_id,
        request.kind,
        from,
        to,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.first.zip(row.last))
}

/// The hours or days of a zone from `first` to `last`: the instant at which each begins, and its local time. `None`
/// when there are too many.
fn slots(
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    span: Span,
    tz: Tz,
) -> Option<Vec<(DateTime<Utc>, NaiveDateTime)>> {
    let mut slots = Vec::new();
    if span == Span::Hour {
        // Whole local hours; a quarter of an hour divides every zone's distance from UTC and every clock change.
        let mut local_hour = None;
        let mut at = first - Duration::minutes(i64::from(first.with_timezone(&tz).minute()));
        at = DateTime::from_timestamp(at.timestamp().div_euclid(900) * 900, 0)?;
        while at <= last {
            let wall = at.with_timezone(&tz);
            let hour = (Span::Hour.start(wall.naive_local()), *wall.offset());
            if local_hour != Some(hour) {
                slots.push((at, hour.0));
                local_hour = Some(hour);
            }
            if slots.len() > 20 * MOST_BUCKETS {
                return None;
            }
            at += Duration::minutes(15);
        }
        return Some(slots);
    }
    let mut day: NaiveDate = first.with_timezone(&tz).date_naive();
    let end = last.with_timezone(&tz).date_naive();
    while day <= end {
        let midnight = day.and_time(NaiveTime::MIN);
        slots.push((resolve(midnight, tz)?, midnight));
        day = day.checked_add_days(Days::new(1))?;
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn days_of_clock_changes_have_23_and_25_hours() {
        let tz = Tz::Europe__Berlin;
        let days = slots(at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z"), Span::Day, tz).unwrap();
        let lengths: Vec<i64> = days.windows(2).map(|pair| (pair[1].0 - pair[0].0).num_hours()).collect();
        assert_eq!(lengths, [24, 23]);
        let hours = slots(at("2026-10-24T22:00:00Z"), at("2026-10-25T22:59:59Z"), Span::Hour, tz).unwrap();
        assert_eq!(hours.len(), 25);
        assert_eq!(hours[2].1, hours[3].1, "two o'clock comes twice");
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_the_slot_of_its_local_hour_and_day(
            seconds in 1_600_000_000..1_800_000_000_i64,
            more in 0..400_000_i64,
            zone in proptest::sample::select(vec![
                Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Australia__Lord_Howe, Tz::Asia__Kathmandu,
                Tz::America__Sao_Paulo, Tz::UTC,
            ]),
            hourly: bool,
        ) {
            let (first, last) = (DateTime::from_timestamp(seconds, 0).unwrap(), DateTime::from_timestamp(seconds + more, 0).unwrap());
            let span = if hourly { Span::Hour } else { Span::Day };
            let slots = slots(first, last, span, zone).unwrap();
            prop_assert!(slots.is_sorted_by_key(|slot| slot.0) && slots[0].0 <= first);
            for step in 0..=20 {
                let instant = first + (last - first) / 20 * step;
                let place = slots.partition_point(|slot| slot.0 <= instant);
                prop_assert_eq!(slots[place - 1].1, span.start(instant.with_timezone(&zone).naive_local()));
            }
        }
    }
}
