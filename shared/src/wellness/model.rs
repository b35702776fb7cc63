//! The shapes of a measurement.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors, Patch},
    private::Private,
    values::{Line, Prose},
};

/// A measurement of a person.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// The measurement.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// What was measured: a key of the catalogue.
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    pub kind: String,
    /// The value in the type's canonical unit.
    pub value: Private<f64>,
    /// The canonical unit.
    pub unit: String,
    /// The value as it was sent.
    pub original_value: Private<f64>,
    /// The unit as it was sent.
    pub original_unit: String,
    /// When it was measured, or when the measured time began.
    pub start_at: DateTime<Utc>,
    /// When the measured time ended; null for a moment.
    pub end_at: Option<DateTime<Utc>>,
    /// Minutes by which the device's clock was ahead of UTC.
    pub offset_minutes: i16,
    /// The day of `startAt` on the device's clock.
    pub local_date: NaiveDate,
    /// `instant`, `interval`, `day` (a whole day's total) or `session`.
    pub grain: String,
    /// Who measured: watch, phone, scale, coach …
    pub source: String,
    /// The source's own id.
    pub external_id: Option<String>,
    /// A remark.
    pub note: Option<Private<String>>,
    /// What sessions add: phases, kind of sport.
    #[schema(value_type = Object)]
    pub data: Private<Value>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// What one measurement covers. A day's total and the samples of that day are never added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// A moment.
    Instant,
    /// A stretch of time.
    Interval,
    /// A whole day's total.
    Day,
    /// A workout, a night, a class.
    Session,
}

impl Grain {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Interval => "interval",
            Self::Day => "day",
            Self::Session => "session",
        }
    }
}

/// A measurement that is about to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMetric {
    /// The person.
    pub lead_id: Uuid,
    /// What was measured: a key of the catalogue.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value.
    pub value: Private<f64>,
    /// One of the type's accepted units.
    pub unit: String,
    /// When it was measured, or when the measured time began. At most five minutes ahead of now.
    pub start_at: DateTime<FixedOffset>,
    /// When the measured time ended; left out for a moment.
    #[serde(default)]
    pub end_at: Option<DateTime<Utc>>,
    /// Minutes by which the device's clock was ahead of UTC; the offset written in `startAt` when left out.
    #[serde(default)]
    pub offset_minutes: Option<i16>,
    /// What it covers. When left out: no end is `instant`, 20 hours and more are `day`, the rest is `interval`.
    #[serde(default)]
    pub grain: Option<Grain>,
    /// Who measured; `manual` when left out.
    #[serde(default)]
    pub source: Option<Line>,
    /// The source's own id.
    #[serde(default)]
    pub external_id: Option<Line>,
    /// A remark.
    #[serde(default)]
    pub note: Option<Prose>,
    /// What sessions add.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

impl Check for NewMetric {}

/// A correction. Time, type and person say which measurement it is and stay: a wrong one is deleted and sent anew.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricPatch {
    /// The right value.
    #[serde(default)]
    pub value: Option<Private<f64>>,
    /// Its unit; the canonical one when left out.
    #[serde(default)]
    pub unit: Option<String>,
    /// A remark.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub note: Patch<Prose>,
}

impl Check for MetricPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.unit.is_some() && self.value.is_none() {
            errors.add("/value", "required", "A unit is that of a value: give both.");
        }
    }
}
