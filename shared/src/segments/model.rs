//! The shapes of a segment.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    conditions::Condition,
    http::{Check, Problem},
    leads::Lead,
    mask::Masked,
    values::Line,
};

/// A saved question about leads.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The segment.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// `live` is asked anew each time, `static` is the answer of the moment in which it was made.
    pub kind: String,
    /// The tree.
    #[schema(value_type = Condition)]
    pub conditions: Value,
    /// How many belonged to it when it was last asked, of a static one how many belong to it now; null for those who see only some records.
    pub member_count: Option<i32>,
    /// When it was last asked.
    pub evaluated_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Segment {
    /// The tree as the engine reads it.
    ///
    /// # Errors
    /// When what is stored cannot be read, which would be a defect.
    pub fn condition(&self) -> Result<Condition, Problem> {
        serde_json::from_value(self.conditions.clone()).map_err(|_| Problem::internal())
    }

    /// Whether it is asked anew each time.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.kind == SegmentKind::Live.as_str()
    }
}

/// When a segment is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SegmentKind {
    /// Each time.
    #[default]
    Live,
    /// Once, when it is made.
    Static,
}

impl SegmentKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Static => "static",
        }
    }
}

/// A segment that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSegment {
    /// Its name.
    pub name: Line,
    /// When it is asked.
    #[serde(default)]
    pub kind: SegmentKind,
    /// The tree.
    #[schema(value_type = Condition)]
    pub conditions: Value,
}

impl Check for NewSegment {}

/// What changes on a segment.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentPatch {
    /// Its name.
    pub name: Option<Line>,
    /// The tree. It is asked at once, and nobody comes or goes by it.
    #[schema(value_type = Option<Condition>)]
    pub conditions: Option<Value>,
}

impl Check for SegmentPatch {}

/// Who a tree is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Preview {
    /// All for whom it holds.
    pub count: i64,
    /// The newest 20 of them.
    pub sample: Vec<Lead>,
}

impl Masked for Preview {
    fn masked(self) -> Self {
        Self { sample: self.sample.into_iter().map(Lead::masked).collect(), ..self }
    }
}
