//! Recording measurements: checked by themselves first, then written together.

use chrono::{DateTime, Duration, NaiveDate, SubsecRound, TimeZone, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    OwnTypes, TypeOut,
    model::{Grain, Metric, MetricPatch, NewMetric},
};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    http::Problem,
    ids::new_id,
    private::Private,
};

/// Clocks of devices are ahead of ours by so much without being wrong.
const SKEW: Duration = Duration::minutes(5);
/// A stretch of so many hours is a whole day's total, even on the day that is an hour short.
const WHOLE_DAY: Duration = Duration::hours(20);

/// A measurement that is in order by itself, in the canonical unit. Whether its lead exists the database says.
pub type Admitted = Metric;

/// Why a measurement is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The field.
    pub pointer: &'static str,
    /// `unknown_type`, `unknown_unit`, `out_of_range`, `in_future`, `end_before_start`, `unknown_lead`, `consent_required`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl Refused {
    fn new(pointer: &'static str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer, code, detail: detail.into() }
    }

    fn unknown_lead() -> Self {
        Self::new("/leadId", "unknown_lead", "There is no such lead.")
    }

    fn consent() -> Self {
        Self::new("/leadId", "consent_required", "This person has not agreed that health data be kept.")
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if refused.code == "consent_required" {
            return Self::new(http::StatusCode::FORBIDDEN, refused.code, refused.detail);
        }
        Self::invalid(refused.pointer, refused.code, refused.detail)
    }
}

/// Checks a measurement against its type and the clock, and converts it.
///
/// # Errors
/// The first thing that is wrong.
pub fn admit(new: NewMetric, types: &OwnTypes, now: DateTime<Utc>) -> Result<Admitted, Refused> {
    let Some(kind) = types.find(&new.kind) else {
        return Err(Refused::new(
            "/type",
            "unknown_type",
            "No such type; GET /api/wellness/types lists them.",
        ));
    };
    let original = *new.value.expose();
    let value = canonical(&kind, original, &new.unit)?;
    let (start_at, offset_minutes, local_date) = placed(&new, now)?;
    let end_at = new.end_at.map(|end| end.trunc_subsecs(6));
    Ok(Metric {
        id: new_id(),
        lead_id: new.lead_id,
        kind: new.kind,
        value: Private::new(value),
        unit: kind.unit,
        original_value: Private::new(original),
        original_unit: new.unit,
        start_at,
        end_at,
        offset_minutes,
        local_date,
        grain: new.grain.unwrap_or_else(|| grain(start_at, end_at)).word().to_owned(),
        source: new.source.map_or_else(|| "manual".to_owned(), crate::values::Line::into_string),
        external_id: new.external_id.map(crate::values::Line::into_string),
        note: new.note.map(|note| Private::new(note.into_string())),
        data: Private::new(Value::Object(new.data)),
        created_at: now,
        updated_at: now,
        version: 1,
    })
}

/// The value in the canonical unit, if it is plausible.
fn canonical(kind: &TypeOut, original: f64, unit: &str) -> Result<f64, Refused> {
    let Some(value) = kind.convert(original, unit) else {
        let detail = format!("{} is measured in {}.", kind.key, kind.accepted_units.join(", "));
        return Err(Refused::new("/unit", "unknown_unit", detail));
    };
    if kind.holds(value) {
        return Ok(value);
    }
    let (min, max) = (kind.min.unwrap_or(f64::MIN), kind.max.unwrap_or(f64::MAX));
    Err(Refused::new("/value", "out_of_range", format!("From {min} to {max} {} is plausible.", kind.unit)))
}

/// The measurement as a correction leaves it.
///
/// # Errors
/// `unknown_unit`, `out_of_range`.
pub fn corrected(metric: Metric, patch: MetricPatch, kind: &TypeOut) -> Result<Metric, Refused> {
    let mut metric = metric;
    if let Some(value) = patch.value {
        let unit = patch.unit.unwrap_or_else(|| kind.unit.clone());
        metric.value = Private::new(canonical(kind, *value.expose(), &unit)?);
        (metric.original_value, metric.original_unit, metric.unit) = (value, unit, kind.unit.clone());
    }
    if patch.note.is_mentioned() {
        let (_, note) = patch.note.into_parts();
        metric.note = note.map(|note| Private::new(note.into_string()));
    }
    Ok(metric)
}

/// The start, the device's offset and the day on its clock.
fn placed(new: &NewMetric, now: DateTime<Utc>) -> Result<(DateTime<Utc>, i16, NaiveDate), Refused> {
    const REFUSED: &str = "A device's clock is at most 16 hours from UTC.";
    let written = new.start_at.offset().local_minus_utc() / 60;
    let offset = i32::from(new.offset_minutes.unwrap_or_default());
    let offset = if new.offset_minutes.is_some() { offset } else { written };
    let zone = chrono::FixedOffset::east_opt(offset * 60).filter(|_| (-960..=960).contains(&offset));
    let Some(zone) = zone else { return Err(Refused::new("/offsetMinutes", "out_of_range", REFUSED)) };
    let start_at = new.start_at.with_timezone(&Utc).trunc_subsecs(6);
    if start_at > now + SKEW {
        return Err(Refused::new("/startAt", "in_future", "A measurement cannot lie in the future."));
    }
    if new.end_at.is_some_and(|end| end > now + SKEW) {
        return Err(Refused::new("/endAt", "in_future", "A measurement cannot end in the future."));
    }
    if new.end_at.is_some_and(|end| end < start_at) {
        return Err(Refused::new("/endAt", "end_before_start", "The end lies before the start."));
    }
    if start_at.timestamp() < EARLIEST {
        return Err(Refused::new("/startAt", "out_of_range", "Measurements begin with the year 1900."));
    }
    let local_date = zone.from_utc_datetime(&start_at.naive_utc()).date_naive();
    Ok((start_at, i16::try_from(offset).unwrap_or_default(), local_date))
}

/// 1900-01-01T00:00:00Z.
const EARLIEST: i64 = -2_208_988_800;

fn grain(start: DateTime<Utc>, end: Option<DateTime<Utc>>) -> Grain {
    match end {
        None => Grain::Instant,
        Some(end) if end - start >= WHOLE_DAY => Grain::Day,
        Some(_) => Grain::Interval,
    }
}

/// What became of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Inserted,
    /// The same source had said it before; the id is that of the earlier one, unless it came in the same breath.
    Duplicate(Option<Uuid>),
    /// The lead is unknown, or has not agreed.
    Refused(Refused),
}

/// The outcome of each measurement, in their order, and whether any goal looks at one of the inserted.
#[derive(Debug)]
pub struct Ingested {
    /// In the order given.
    pub outcomes: Vec<Outcome>,
    /// Whether goals must be evaluated.
    pub aimed: bool,
}

struct Verdict {
    id: Uuid,
    known: bool,
    consent: Option<String>,
    inserted: bool,
    existing: Option<Uuid>,
    aimed: bool,
}

/// Writes measurements and adds what is new to the days' sums, all in one statement.
///
/// A day's sums take the *difference*, which the row's lock orders, so batches that arrive together are all counted.
///
/// # Errors
/// When the database refuses.
pub async fn ingest(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    metrics: &[Admitted],
    recorded_by: Option<Uuid>,
    own_records_of: Owners<'_>,
) -> DbResult<Ingested> {
    if metrics.is_empty() {
        return Ok(Ingested { outcomes: Vec::new(), aimed: false });
    }
    let verdicts = write(tx, now, metrics, recorded_by, own_records_of).await?;
    let aimed = verdicts.iter().any(|verdict| verdict.inserted && verdict.aimed);
    let by_id: std::collections::HashMap<Uuid, Verdict> =
        verdicts.into_iter().map(|verdict| (verdict.id, verdict)).collect();
    let outcomes = metrics.iter().map(|metric| judge(by_id.get(&metric.id))).collect();
    Ok(Ingested { outcomes, aimed })
}

fn judge(verdict: Option<&Verdict>) -> Outcome {
    match verdict {
        Some(Verdict { known: false, .. }) | None => Outcome::Refused(Refused::unknown_lead()),
        Some(Verdict { consent: Some(state), .. }) if state != "granted" => {
            Outcome::Refused(Refused::consent())
        }
        Some(Verdict { inserted: true, .. }) => Outcome::Inserted,
        Some(Verdict { existing, .. }) => Outcome::Duplicate(*existing),
    }
}

/// A column of the batch.
fn column<'a, T>(metrics: &'a [Metric], read: impl Fn(&'a Metric) -> T) -> Vec<T> {
    metrics.iter().map(read).collect()
}

async fn write(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    metrics: &[Metric],
    recorded_by: Option<Uuid>,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Verdict>> {
    let verdicts = sqlx::query_as!(
        Verdict,
        r#"
        with given as (
            select * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::float8[], $6::text[], $7::float8[], $8::text[],
                                 $9::timestamptz[], $10::timestamptz[], $11::int2[], $12::date[], $13::text[], $14::text[],
                                 $15::text[], $16::text[], $17::jsonb[])
                as g (id, lead_id, type, value, unit, original_value, original_unit, start_at, end_at, offset_minutes,
                      local_date, grain, source, external_id, note, data)
        ), people as (
            select l.id, (select c.state from consents c
                           where c.tenant_id = $1 and c.lead_id = l.id and c.purpose = 'health'
                           order by c.effective_at desc, c.id desc limit 1) as consent
              from leads l
             where l.tenant_id = $1 and l.id = any($3) and l.deleted_at is null and ($20::uuid[] is null or l.owner_id = any ($20))
        ), inserted as (
            insert into metrics (tenant_id, id, lead_id, type, value, unit, original_value, original_unit, start_at, end_at,
                                 offset_minutes, local_date, grain, source, external_id, note, data, recorded_by,
                                 created_at, updated_at)
            select $1, g.id, g.lead_id, g.type, g.value, g.unit, g.original_value, g.original_unit, g.start_at, g.end_at,
                   g.offset_minutes, g.local_date, g.grain, g.source, g.external_id, g.note, g.data, $18, $19, $19
              from given g join people p on p.id = g.lead_id and coalesce(p.consent, 'granted') = 'granted'
             -- One order for everybody: batches that overlap wait for each other instead of locking each other out.
             order by g.lead_id, g.type, g.source, g.grain, g.start_at
            on conflict on constraint metrics_tenant_id_lead_id_type_source_grain_start_at_key do nothing
            returning id, lead_id, type, local_date, source, grain, value, start_at
        ), summed as (
            insert into metric_days as d (tenant_id, lead_id, type, local_date, source, grain, count, sum, min, max, last, last_at)
            select $1, i.lead_id, i.type, i.local_date, i.source, i.grain, count(*), sum(i.value), min(i.value), max(i.value),
                   (array_agg(i.value order by i.start_at desc, i.id desc))[1], max(i.start_at)
              from inserted i
             group by i.lead_id, i.type, i.local_date, i.source, i.grain
             order by i.lead_id, i.type, i.local_date, i.source, i.grain
            on conflict on constraint metric_days_pkey do update
               set count = d.count + excluded.count, sum = d.sum + excluded.sum,
                   min = least(d.min, excluded.min), max = greatest(d.max, excluded.max),
                   last = case when excluded.last_at >= d.last_at then excluded.last else d.last end,
                   last_at = greatest(d.last_at, excluded.last_at)
        )
        select g.id as "id!", p.id is not null as "known!", p.consent, i.id is not null as "inserted!", m.id as "existing?",
               exists (select from metric_goals a where a.tenant_id = $1 and a.lead_id = g.lead_id and a.type = g.type
                          and a.status = 'active') as "aimed!"
          from given g
          left join people p on p.id = g.lead_id
          left join inserted i on i.id = g.id
          left join metrics m on m.tenant_id = $1 and m.lead_id = g.lead_id and m.type = g.type and m.source = g.source
                             and m.grain = g.grain and m.start_at = g.start_at
        "#,
        tx.tenant(),
        &column(metrics, |m| m.id),
        &column(metrics, |m| m.lead_id),
        &column(metrics, |m| m.kind.as_str()) as &[&str],
        &column(metrics, |m| *m.value.expose()),
        &column(metrics, |m| m.unit.as_str()) as &[&str],
        &column(metrics, |m| *m.original_value.expose()),
        &column(metrics, |m| m.original_unit.as_str()) as &[&str],
        &column(metrics, |m| m.start_at),
        &column(metrics, |m| m.end_at) as &[Option<DateTime<Utc>>],
        &column(metrics, |m| m.offset_minutes),
        &column(metrics, |m| m.local_date),
        &column(metrics, |m| m.grain.as_str()) as &[&str],
        &column(metrics, |m| m.source.as_str()) as &[&str],
        &column(metrics, |m| m.external_id.as_deref()) as &[Option<&str>],
        &column(metrics, |m| m.note.as_ref().map(|note| note.expose().as_str())) as &[Option<&str>],
        &column(metrics, |m| m.data.expose().clone()),
        recorded_by,
        now,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    fn metric(text: &str) -> Result<Admitted, Refused> {
        let mut body = serde_json::json!({"leadId": Uuid::nil(), "type": "weight", "value": 180, "unit": "lb",
            "startAt": "2026-03-01T23:30:00-08:00"});
        let changes: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
        body.as_object_mut().unwrap().extend(changes);
        admit(serde_json::from_value(body).unwrap(), &OwnTypes::default(), now())
    }

    #[test]
    fn pounds_become_kilograms_and_the_day_is_the_devices() {
        let admitted = metric("{}").unwrap();
        assert!((admitted.value.expose() - 81.646_626_6).abs() < 1e-9 && admitted.unit == "kg");
        assert_eq!((*admitted.original_value.expose(), admitted.original_unit.as_str()), (180.0, "lb"));
        assert_eq!((admitted.offset_minutes, admitted.local_date.to_string().as_str()), (-480, "2026-03-01"));
        let sent = metric(r#"{"startAt":"2026-03-02T07:30:00Z","offsetMinutes":-480}"#).unwrap();
        assert_eq!((sent.start_at, sent.local_date), (admitted.start_at, admitted.local_date));
        assert_eq!(
            metric(r#"{"startAt":"2026-03-01T23:30:00Z"}"#).unwrap().local_date.to_string(),
            "2026-03-01"
        );
    }

    #[test]
    fn each_refusal_has_a_name() {
        for (change, code) in [
            (r#"{"type":"wait"}"#, "unknown_type"),
            (r#"{"unit":"furlong"}"#, "unknown_unit"),
            (r#"{"value":-1}"#, "out_of_range"),
            (r#"{"value":1e300}"#, "out_of_range"),
            (r#"{"startAt":"2026-03-02T12:05:01Z"}"#, "in_future"),
            (r#"{"startAt":"1812-03-02T12:05:01Z"}"#, "out_of_range"),
            (r#"{"endAt":"2026-03-02T13:00:00Z"}"#, "in_future"),
            (r#"{"endAt":"2026-03-01T00:00:00Z"}"#, "end_before_start"),
            (r#"{"offsetMinutes":961}"#, "out_of_range"),
        ] {
            assert_eq!(metric(change).unwrap_err().code, code, "{change}");
        }
        assert!(metric(r#"{"startAt":"2026-03-02T12:04:59Z"}"#).is_ok(), "a clock that is a little ahead");
    }

    #[test]
    fn the_grain_follows_from_the_stretch() {
        let grain = |change: &str| metric(change).unwrap().grain;
        assert_eq!(grain("{}"), "instant");
        assert_eq!(grain(r#"{"startAt":"2026-03-01T08:00:00Z","endAt":"2026-03-01T09:00:00Z"}"#), "interval");
        assert_eq!(grain(r#"{"startAt":"2026-03-01T00:00:00Z","endAt":"2026-03-02T00:00:00Z"}"#), "day");
        assert_eq!(grain(r#"{"grain":"session"}"#), "session");
    }
}
