//! An automation: its row, its wire shape, and what a request may say about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::graph::Definition;
use crate::{
    http::{Check, Patch},
    values::Line,
};

/// An automation.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Automation {
    /// The automation.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// `draft`, `active`, `paused` or `archived`.
    pub status: String,
    /// `{type, filter?}`
    #[schema(value_type = Object)]
    pub trigger: Value,
    /// The steps of the draft; runs use the published version.
    #[schema(value_type = Vec<Object>)]
    pub steps: Value,
    /// When a person may enter again.
    #[schema(value_type = Option<Object>)]
    pub reentry: Option<Value>,
    /// The condition that ends a run early, as a success.
    #[schema(value_type = Option<Object>)]
    pub goal: Option<Value>,
    /// Limits.
    #[schema(value_type = Option<Object>)]
    pub caps: Option<Value>,
    /// The published version; null while there is none.
    #[serde(rename = "version")]
    pub current_version: Option<i32>,
    /// While paused: `hold` or `drop`.
    pub pause_policy: Option<String>,
    /// When it was last published.
    pub published_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub row_version: i64,
}

impl Automation {
    /// The draft's definition.
    #[must_use]
    pub fn definition(&self) -> Definition {
        Definition {
            trigger: self.trigger.clone(),
            steps: self.steps.as_array().cloned().unwrap_or_default(),
            reentry: self.reentry.clone(),
            goal: self.goal.clone(),
            caps: self.caps.clone(),
        }
    }
}

/// An automation that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAutomation {
    /// What people call it.
    pub name: Line,
    /// `{type, filter?}`; see the catalogue.
    #[schema(value_type = Object)]
    pub trigger: Value,
    /// Steps `{id, type, …, next?}`; see the catalogue.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<Value>,
    /// `{mode: never|afterExit|always|window, days?}`; `never` when left out.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub reentry: Option<Value>,
    /// The condition that ends a run early, as a success.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub goal: Option<Value>,
    /// Limits.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub caps: Option<Value>,
}

impl Check for NewAutomation {}

impl NewAutomation {
    /// The name and the definition.
    #[must_use]
    pub fn into_parts(self) -> (Line, Definition) {
        let Self { name, trigger, steps, reentry, goal, caps } = self;
        (name, Definition { trigger, steps, reentry, goal, caps })
    }
}

/// What a PATCH changes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutomationPatch {
    /// What people call it.
    #[serde(default)]
    pub name: Option<Line>,
    /// `{type, filter?}`
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub trigger: Option<Value>,
    /// All steps.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    pub steps: Option<Vec<Value>>,
    /// When a person may enter again.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub reentry: Patch<Value>,
    /// The condition that ends a run early.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub goal: Patch<Value>,
    /// Limits.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub caps: Patch<Value>,
}

impl Check for AutomationPatch {}

impl AutomationPatch {
    /// The definition and the name as they will be.
    #[must_use]
    pub fn apply(self, to: &Automation) -> (String, Definition) {
        let mut definition = to.definition();
        let keep = |patch: Patch<Value>, old: Option<Value>| match patch {
            Patch::Keep => old,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        };
        definition.trigger = self.trigger.unwrap_or(definition.trigger);
        definition.steps = self.steps.unwrap_or(definition.steps);
        definition.reentry = keep(self.reentry, definition.reentry);
        definition.goal = keep(self.goal, definition.goal);
        definition.caps = keep(self.caps, definition.caps);
        (self.name.map_or_else(|| to.name.clone(), Line::into_string), definition)
    }
}

/// A published version.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// 1, 2, 3 …
    pub version: i32,
    /// Trigger, steps, reentry, goal and caps as they were.
    #[schema(value_type = Object)]
    pub graph: Value,
    /// SHA-256 of the graph, in hexadecimal digits.
    pub sha256: String,
    /// By whom.
    pub published_by: Option<Uuid>,
    /// When.
    pub published_at: DateTime<Utc>,
}
