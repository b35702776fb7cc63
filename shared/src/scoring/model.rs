//! The shapes of scoring.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    conditions::Condition,
    http::{Check, FieldErrors},
    values::Line,
};

/// Rules at most.
const MAX_RULES: usize = 50;
/// Points of one rule at most, for or against.
const MAX_POINTS: i32 = 1_000;

/// Points for those for whom a condition holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The rule; the product's own rules have none.
    pub id: Option<Uuid>,
    /// What people read.
    pub reason: String,
    /// For whom.
    #[schema(value_type = Condition)]
    pub condition: Value,
    /// How many; negative ones speak against somebody.
    pub points: i32,
    /// How they fade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
}

/// How points fade: half of them are left after each half-life, in whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decay {
    /// Days, 1 to 3,660.
    pub half_life_days: u16,
    /// Since when; nothing is left when there is no such time.
    #[serde(default)]
    pub since: Since,
}

/// A time of a lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Since {
    /// When something last happened with the person.
    #[default]
    LastActivityAt,
    /// When the person last wrote.
    LastInboundAt,
    /// When the lead came into being.
    CreatedAt,
    /// When it came to its stage.
    StageEnteredAt,
}

impl Since {
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::LastActivityAt => "l.last_activity_at",
            Self::LastInboundAt => "l.last_inbound_at",
            Self::CreatedAt => "l.created_at",
            Self::StageEnteredAt => "l.stage_entered_at",
        }
    }
}

/// The rules of a business.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scoring {
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// Whether these are the product's own, because the business has none.
    pub is_default: bool,
    /// When they last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Version of the row, which is its `ETag`; 0 for the product's own.
    #[serde(skip)]
    pub version: i64,
}

/// A rule as it is given.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRule {
    /// A rule that is there already keeps its id.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// What people read.
    pub reason: Line,
    /// For whom.
    #[schema(value_type = Condition)]
    pub condition: Value,
    /// How many, −1,000 to 1,000 without 0.
    pub points: i32,
    /// How they fade.
    #[serde(default)]
    pub decay: Option<Decay>,
}

/// All rules of a business.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoringChange {
    /// Up to 50 rules; none means that everybody scores what automations give. Null goes back to the product's own.
    pub rules: Option<Vec<NewRule>>,
}

impl Check for ScoringChange {
    fn check(&self, errors: &mut FieldErrors) {
        let rules = self.rules.as_deref().unwrap_or_default();
        if rules.len() > MAX_RULES {
            errors.add("/rules", "too_many_values", "At most 50 rules are taken.");
        }
        for (index, rule) in rules.iter().enumerate() {
            if rule.points == 0 || rule.points.abs() > MAX_POINTS {
                errors.add(
                    format!("/rules/{index}/points"),
                    "out_of_range",
                    "Points are −1,000 to 1,000, and not 0.",
                );
            }
            if rule.decay.is_some_and(|decay| !(1..=3_660).contains(&decay.half_life_days)) {
                errors.add(
                    format!("/rules/{index}/decay/halfLifeDays"),
                    "out_of_range",
                    "A half-life is 1 to 3,660 days.",
                );
            }
            if rule.id.is_some() && rules.iter().take(index).any(|other| other.id == rule.id) {
                errors.add(format!("/rules/{index}/id"), "duplicate", "Each rule is there once.");
            }
        }
    }
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScorePart {
    /// The rule; none for the product's own rules and for what was given.
    pub rule_id: Option<Uuid>,
    /// Why.
    pub reason: String,
    /// How many points.
    pub points: i64,
}

/// A score with its reasons.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The lead.
    pub lead_id: Uuid,
    /// The sum of the parts.
    pub score: i64,
    /// Why, in the order of the rules.
    pub parts: Vec<ScorePart>,
    /// As of when. Lists and conditions see it a minute later at most.
    pub at: DateTime<Utc>,
}
