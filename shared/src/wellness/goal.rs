//! The shapes of a goal.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Aggregation,
    progress::{Aim, Judgement, Progress},
    series::Span,
};
use crate::{
    http::{Check, FieldErrors, FromQuery, Params, Patch, SortField, SortKind},
    values::Line,
};

/// Which side of the target is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The target or more.
    #[default]
    AtLeast,
    /// The target or less.
    AtMost,
}

/// How long the target is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Each day.
    #[default]
    Day,
    /// Each week, from Monday.
    Week,
    /// Each calendar month.
    Month,
}

impl Period {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A goal that is about to be set.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewGoal {
    /// The person.
    pub lead_id: Uuid,
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is aimed at.
    pub target: f64,
    /// Unit of the target; the canonical one when left out.
    #[serde(default)]
    pub unit: Option<String>,
    /// Whether the target is to be reached or not to be passed.
    #[serde(default)]
    pub direction: Direction,
    /// How long the target is for.
    #[serde(default)]
    pub period: Period,
    /// How the period's values make one; the type's own way when left out.
    #[serde(default)]
    pub aggregation: Option<Aggregation>,
    /// What it is called.
    #[serde(default)]
    pub title: Option<Line>,
    /// First day; today when left out.
    #[serde(default)]
    pub starts_on: Option<NaiveDate>,
    /// Last day, if there is one.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
}

impl Check for NewGoal {
    fn check(&self, errors: &mut FieldErrors) {
        if let (Some(start), Some(end)) = (self.starts_on, self.ends_on)
            && end < start
        {
            errors.add("/endsOn", "end_before_start", "The last day lies before the first.");
        }
    }
}

/// A goal that is changed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoalPatch {
    /// What is aimed at.
    #[serde(default)]
    pub target: Option<f64>,
    /// Unit of the target; the canonical one when left out.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it is called.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub title: Patch<Line>,
    /// Last day.
    #[serde(default)]
    #[schema(value_type = Option<NaiveDate>)]
    pub ends_on: Patch<NaiveDate>,
    /// `archived` puts it away, `active` takes it up again.
    #[serde(default)]
    pub status: Option<GoalStatus>,
}

impl Check for GoalPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.unit.is_some() && self.target.is_none() {
            errors.add("/target", "required", "A unit is that of a target: give both.");
        }
    }
}

/// What can be said about a goal's status from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GoalStatus {
    /// It is pursued.
    Active,
    /// It is put away.
    Archived,
}

impl GoalStatus {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// A goal as it is stored.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) lead_id: Uuid,
    #[sqlx(rename = "type")]
    pub(super) kind: String,
    pub(super) target: f64,
    pub(super) direction: String,
    pub(super) period: String,
    pub(super) aggregation: String,
    pub(super) title: Option<String>,
    pub(super) starts_on: NaiveDate,
    pub(super) ends_on: Option<NaiveDate>,
    pub(super) status: String,
    pub(super) reached_at: Option<DateTime<Utc>>,
    pub(super) version: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A goal with its progress.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// The goal.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is aimed at, in the canonical unit.
    pub target: f64,
    /// `atLeast` or `atMost`.
    pub direction: String,
    /// `day`, `week` or `month`.
    pub period: String,
    /// How the period's values make one.
    pub aggregation: String,
    /// What it is called.
    pub title: Option<String>,
    /// First day.
    pub starts_on: NaiveDate,
    /// Last day.
    pub ends_on: Option<NaiveDate>,
    /// `active`, `archived`; after the last day `reached` or `missed`.
    pub status: String,
    /// Where the current period stands.
    pub progress: Progress,
    /// Periods in a row that met the goal, up to now.
    pub streak: i32,
    /// The longest such row within the last 800 days.
    pub best_streak: i32,
    /// When a period first met the goal.
    pub reached_at: Option<DateTime<Utc>>,
    /// When it was set.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row.
    #[serde(skip)]
    pub version: i64,
}

impl Goal {
    /// What stands for this state in the `ETag`. Progress changes without the row, so the row's version alone will not do.
    #[must_use]
    pub fn tag(&self) -> i64 {
        let seen = serde_json::to_vec(&(self, self.version)).unwrap_or_default();
        let [a, b, c, d, e, f, g, ..] = crate::crypto::sha256(&seen);
        i64::from_be_bytes([0, a, b, c, d, e, f, g])
    }
}

impl Row {
    pub(super) fn aim(&self) -> Aim {
        Aim {
            target: self.target,
            at_least: self.direction == "atLeast",
            // CHECKs hold the words.
            period: Span::parse(&self.period).unwrap_or(Span::Day),
            aggregation: Aggregation::parse(&self.aggregation).unwrap_or(Aggregation::Last),
            starts_on: self.starts_on,
            ends_on: self.ends_on,
        }
    }

    pub(super) fn judged(self, judgement: Judgement) -> Goal {
        let ended = match (judgement.over, judgement.progress.reached) {
            (false, _) => "active",
            (true, true) => "reached",
            (true, false) => "missed",
        };
        Goal {
            status: if self.status == "active" { ended.to_owned() } else { self.status },
            id: self.id,
            lead_id: self.lead_id,
            kind: self.kind,
            target: self.target,
            direction: self.direction,
            period: self.period,
            aggregation: self.aggregation,
            title: self.title,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            progress: judgement.progress,
            streak: judgement.streak,
            best_streak: judgement.best_streak,
            reached_at: self.reached_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

/// What goals can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct GoalFilter {
    /// People.
    pub lead_id: Vec<Uuid>,
    /// Types.
    #[param(rename = "type")]
    pub kind: Vec<String>,
    /// `active`, `archived`.
    pub status: Vec<String>,
}

impl FromQuery for GoalFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            lead_id: params.ids("leadId"),
            kind: params.words("type"),
            status: params.choices("status", &["active", "archived"]),
        }
    }
}
