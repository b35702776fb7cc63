//! The shapes of a sales path.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors, Patch},
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
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// What changes on a path.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelinePatch {
    /// Its name.
    pub name: Option<Line>,
    /// `true` makes it the default instead of the former one.
    pub is_default: Option<bool>,
    /// Its place among the paths.
    pub position: Option<i32>,
    /// `true` puts it away, `false` takes it back.
    pub archived: Option<bool>,
    /// All its stages, in order. One with an `id` stays and changes, one without comes new, one that is not named goes.
    #[serde(default)]
    #[schema(value_type = Option<Vec<StageChange>>)]
    pub stages: Patch<Vec<StageChange>>,
}

/// A stage as it shall be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageChange {
    /// The stage that stays; a new one when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its name.
    pub name: Line,
    /// How likely a deal here is won, per cent.
    #[serde(default)]
    pub probability: i16,
    /// What reaching it means.
    #[serde(default)]
    pub outcome: Outcome,
}

impl Check for NewPipeline {
    fn check(&self, errors: &mut FieldErrors) {
        check_stages(self.stages.iter().map(|stage| stage.probability), errors);
    }
}

impl Check for PipelinePatch {
    fn check(&self, errors: &mut FieldErrors) {
        match &self.stages {
            Patch::Keep => {}
            Patch::Clear => errors.add("/stages", "required", "A pipeline always has stages."),
            Patch::Set(stages) => {
                check_stages(stages.iter().map(|stage| stage.probability), errors);
                let mut seen = HashSet::new();
                for (index, id) in stages.iter().map(|stage| stage.id).enumerate() {
                    if id.is_some_and(|id| !seen.insert(id)) {
                        errors.add(
                            format!("/stages/{index}/id"),
                            "duplicate_id",
                            "The stage is named twice.",
                        );
                    }
                }
            }
        }
    }
}

fn check_stages(probabilities: impl ExactSizeIterator<Item = i16>, errors: &mut FieldErrors) {
    if !(1..=50).contains(&probabilities.len()) {
        errors.add("/stages", "out_of_range", "A pipeline has 1 to 50 stages.");
    }
    for (index, probability) in probabilities.enumerate() {
        if !(0..=100).contains(&probability) {
            errors.add(format!("/stages/{index}/probability"), "out_of_range", "Per cent, from 0 to 100.");
        }
    }
}

/// The stages as columns, for statements that write them all at once.
#[derive(Default)]
pub(super) struct StageColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) names: Vec<String>,
    pub(super) positions: Vec<i32>,
    pub(super) probabilities: Vec<i16>,
    pub(super) outcomes: Vec<&'static str>,
}

impl StageColumns {
    pub(super) fn new(stages: impl IntoIterator<Item = StageChange>) -> Self {
        let mut columns = Self::default();
        for (position, stage) in (0..).zip(stages) {
            columns.ids.push(stage.id.unwrap_or_else(new_id));
            columns.names.push(stage.name.into_string());
            columns.positions.push(position);
            columns.probabilities.push(stage.probability);
            columns.outcomes.push(stage.outcome.as_str());
        }
        columns
    }

    pub(super) fn into_stages(self, pipeline_id: Uuid) -> Vec<Stage> {
        let columns = self.ids.into_iter().zip(self.names).zip(self.positions).zip(self.probabilities);
        columns
            .zip(self.outcomes)
            .map(|((((id, name), position), probability), outcome)| Stage {
                id,
                pipeline_id,
                name,
                position,
                probability,
                outcome: outcome.to_owned(),
            })
            .collect()
    }
}

impl From<NewStage> for StageChange {
    fn from(new: NewStage) -> Self {
        Self { id: None, name: new.name, probability: new.probability, outcome: new.outcome }
    }
}
