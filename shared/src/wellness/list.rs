//! Measurements as they were recorded, narrowed by the one filter grammar; and what a series is asked for.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Aggregation, Metric, series::Span};
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    time::start_of_day,
};

/// An end of a range: an instant, or a day whose first moment depends on whose days are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// An instant.
    Instant(DateTime<Utc>),
    /// The first moment of a day.
    Date(NaiveDate),
}

impl Bound {
    pub(super) const fn instant(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Date(_) => None,
        }
    }

    pub(super) const fn date(self) -> Option<NaiveDate> {
        match self {
            Self::Date(date) => Some(date),
            Self::Instant(_) => None,
        }
    }

    pub(super) fn in_zone(self, tz: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Date(date) => start_of_day(date, tz),
        }
    }

    fn read(params: &mut Params, name: &str) -> Option<Self> {
        let text = params.text(name)?;
        if let Ok(instant) = DateTime::parse_from_rfc3339(&text) {
            return Some(Self::Instant(instant.with_timezone(&Utc)));
        }
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Some(Self::Date(date));
        }
        params.refuse(
            name,
            "invalid_time",
            "RFC 3339 (2026-03-01T09:00:00Z) or a date (2026-03-01) is expected.",
        );
        None
    }
}

/// A series that is asked for.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// The person.
    pub lead_id: Uuid,
    /// The type.
    pub kind: String,
    /// How long a bucket is.
    pub span: Span,
    /// The zone whose days are meant.
    pub tz: Option<Tz>,
    /// What `value` is to be.
    pub agg: Option<Aggregation>,
    /// From here on.
    pub from: Option<Bound>,
    /// Up to here.
    pub to: Option<Bound>,
}

impl SeriesRequest {
    /// Whether an end of the range may lie within a day.
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self.from, Some(Bound::Instant(_))) || matches!(self.to, Some(Bound::Instant(_)))
    }
}

/// What measurements can be narrowed by.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct MetricFilter {
    /// People. A series is of one.
    pub lead_id: Vec<Uuid>,
    /// Types. A series is of one.
    #[param(rename = "type")]
    pub kind: Vec<String>,
    /// Sources.
    pub source: Vec<String>,
    /// Began at or after. A plain date is a day of `tz`; without `tz` one of the tenant, and in a series one of the device.
    #[param(value_type = Option<String>)]
    pub from: Option<Bound>,
    /// Began before.
    #[param(value_type = Option<String>)]
    pub to: Option<Bound>,
    /// The zone whose days are meant (IANA).
    #[param(value_type = Option<String>)]
    pub tz: Option<Tz>,
    /// `hour`, `day`, `week` or `month` answers a series of buckets instead of rows: without `tz` those of the devices'
    /// clocks, with `agg` (sum, avg, min, max, last, count) for what `value` is.
    #[param(value_type = Option<String>)]
    pub bucket: Option<SeriesRequest>,
}

impl FromQuery for MetricFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "startAt", column: "start_at", kind: SortKind::Time },
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
    ];

    fn read(params: &mut Params) -> Self {
        let (from, to) = (Bound::read(params, "from"), Bound::read(params, "to"));
        if let (Some(start), Some(end)) = (from, to)
            && start.in_zone(Tz::UTC) > end.in_zone(Tz::UTC)
        {
            params.refuse("from", "range_reversed", "`from` is later than `to`.");
        }
        let (lead_id, kind, source) = (params.ids("leadId"), params.words("type"), params.words("source"));
        let tz = read_zone(params);
        let bucket = read_series(params, &lead_id, &kind, (from, to), tz);
        Self { lead_id, kind, source, from, to, tz, bucket }
    }
}

fn read_zone(params: &mut Params) -> Option<Tz> {
    let name = params.text("tz")?;
    let tz = name.parse::<Tz>().ok();
    if tz.is_none() {
        params.refuse("tz", "unknown_zone", "An IANA time zone like Europe/Berlin is expected.");
    }
    tz
}

fn read_series(
    params: &mut Params,
    leads: &[Uuid],
    kinds: &[String],
    (from, to): (Option<Bound>, Option<Bound>),
    tz: Option<Tz>,
) -> Option<SeriesRequest> {
    let agg = choice(params, "agg", Aggregation::WORDS).and_then(|word| Aggregation::parse(&word));
    let span = Span::parse(&choice(params, "bucket", Span::WORDS)?)?;
    if leads.len() != 1 {
        params.refuse("leadId", "required", "A series is of one lead.");
    }
    if kinds.len() != 1 {
        params.refuse("type", "required", "A series is of one type.");
    }
    let (lead_id, kind) = (leads.first().copied()?, kinds.first().cloned()?);
    Some(SeriesRequest { lead_id, kind, span, tz, agg, from, to })
}

/// One word out of a closed list.
pub(super) fn choice(params: &mut Params, name: &str, known: &[&str]) -> Option<String> {
    let mut words = params.choices(name, known);
    if words.len() > 1 {
        params.refuse(name, "too_many_values", "One value is expected.");
    }
    words.pop()
}

/// One page of measurements, of leads that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn list_metrics(
    tx: &mut TenantTx,
    query: &ListQuery<MetricFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Metric>> {
    let zone = query.filter.tz.unwrap_or(tx.zone());
    let mut select = QueryBuilder::new(
        "select m.id, m.lead_id, m.type, m.value, m.unit, m.original_value, m.original_unit, m.start_at, m.end_at,
                m.offset_minutes, m.local_date, m.grain, m.source, m.external_id, m.note, m.data, m.created_at, m.updated_at,
                m.version from metrics m",
    );
    push_filter(&mut select, tx.tenant(), zone, &query.filter, own_records_of);
    push_page(&mut select, "m", &query.page);
    let rows = select.build_query_as::<Metric>().fetch_all(tx.conn()).await?;
    let by_creation = query.page.sort.word == "createdAt";
    let mut page = query.page.page(rows, |row| Keyset {
        value: KeysetValue::Time(if by_creation { row.created_at } else { row.start_at }),
        id: row.id,
    });
    if query.page.include_total {
        let mut count = QueryBuilder::new("select count(*) from metrics m");
        push_filter(&mut count, tx.tenant(), zone, &query.filter, own_records_of);
        page.total = Some(count.build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

fn push_filter(
    query: &mut QueryBuilder<'_, Postgres>,
    tenant: Uuid,
    zone: Tz,
    filter: &MetricFilter,
    own_records_of: Owners<'_>,
) {
    query.push(" where m.tenant_id = ").push_bind(tenant);
    push_any(query, "m.lead_id", &filter.lead_id);
    push_any(query, "m.type", &filter.kind);
    push_any(query, "m.source", &filter.source);
    let bound = |bound: Option<Bound>| bound.and_then(|bound| bound.in_zone(zone));
    push_range(query, "m.start_at", (bound(filter.from), bound(filter.to)));
    query.push(" and exists (select from leads l where l.tenant_id = m.tenant_id and l.id = m.lead_id and l.deleted_at is null");
    if let Some(owner) = own_records_of {
        query.push(" and l.owner_id = any (").push_bind(owner.to_vec()).push(")");
    }
    query.push(")");
}

/// One measurement, of a lead that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn find_metric(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Metric>> {
    let metric = sqlx::query_as!(
        Metric,
        r#"select m.id, m.lead_id, m.type as kind, m.value as "value: _", m.unit, m.original_value as "original_value: _",
                  m.original_unit, m.start_at, m.end_at, m.offset_minutes, m.local_date, m.grain, m.source, m.external_id,
                  m.note as "note: _", m.data as "data: _", m.created_at, m.updated_at, m.version
             from metrics m join leads l on l.tenant_id = m.tenant_id and l.id = m.lead_id
            where m.tenant_id = $1 and m.id = $2 and l.deleted_at is null and ($3::uuid[] is null or l.owner_id = any ($3))"#,
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(metric)
}

/// What the same source has said about the same moment before.
///
/// # Errors
/// When the database refuses.
pub async fn find_twin(tx: &mut TenantTx, of: &Metric) -> DbResult<Option<Metric>> {
    let metric = sqlx::query_as!(
        Metric,
        r#"select m.id, m.lead_id, m.type as kind, m.value as "value: _", m.unit, m.original_value as "original_value: _",
                  m.original_unit, m.start_at, m.end_at, m.offset_minutes, m.local_date, m.grain, m.source, m.external_id,
                  m.note as "note: _", m.data as "data: _", m.created_at, m.updated_at, m.version
             from metrics m
            where m.tenant_id = $1 and m.lead_id = $2 and m.type = $3 and m.source = $4 and m.grain = $5 and m.start_at = $6"#,
        tx.tenant(),
        of.lead_id,
        of.kind,
        of.source,
        of.grain,
        of.start_at,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(metric)
}
