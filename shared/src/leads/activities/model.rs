//! What an activity looks like, and what may be written of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors, Patch},
    private::Private,
    time,
    values::{Line, Prose, Word},
};

/// An activity: a note, a call, a task, a visit, or something that the system noticed.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The activity.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `note`, `call`, `task`, `visit`, `booking`, `form`, `stage`, `system` …
    pub kind: String,
    /// One line.
    pub title: Option<Private<String>>,
    /// The text.
    pub body: Option<Private<String>>,
    /// What the kind adds.
    #[schema(value_type = Object)]
    pub data: Private<Value>,
    /// The user, key or run behind it.
    pub actor_id: Option<Uuid>,
    /// Tasks: until when.
    pub due_at: Option<DateTime<Utc>>,
    /// Tasks: done when.
    pub done_at: Option<DateTime<Utc>>,
    /// Tasks: by whom.
    pub assignee_id: Option<Uuid>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// An activity that is about to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewActivity {
    /// `note`, `call`, `task`, `visit`, `booking` …
    pub kind: Word,
    /// One line.
    #[serde(default)]
    pub title: Option<Line>,
    /// The text.
    #[serde(default)]
    pub body: Option<Prose>,
    /// What the kind adds.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Tasks: until when.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// Tasks: done when, if they are done already.
    #[serde(default)]
    pub done_at: Option<DateTime<Utc>>,
    /// Tasks: by whom.
    #[serde(default)]
    pub assignee_id: Option<Uuid>,
    /// When it happened; now when left out.
    #[serde(default)]
    pub occurred_at: Option<DateTime<Utc>>,
}

impl Check for NewActivity {
    fn check(&self, errors: &mut FieldErrors) {
        if !self.kind.as_str().bytes().all(|byte| byte.is_ascii_lowercase()) {
            errors.add("/kind", "invalid_word", "A kind is a word of lower-case letters.");
        }
        check_times(
            errors,
            [("/occurredAt", self.occurred_at), ("/dueAt", self.due_at), ("/doneAt", self.done_at)],
        );
    }
}

fn check_times(errors: &mut FieldErrors, times: [(&str, Option<DateTime<Utc>>); 3]) {
    for (pointer, _) in times.iter().filter(|(_, at)| at.is_some_and(|at| !time::is_tellable(at))) {
        errors.add(*pointer, "out_of_range", "A year from 0001 to 9999 is expected.");
    }
}

/// A change of an activity: an absent field stays, null clears it, a value sets it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivityPatch {
    /// One line.
    #[serde(default)]
    #[schema(value_type = Option<Line>)]
    pub title: Patch<Line>,
    /// The text.
    #[serde(default)]
    #[schema(value_type = Option<Prose>)]
    pub body: Patch<Prose>,
    /// What the kind adds, as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub data: Patch<Map<String, Value>>,
    /// Tasks: until when.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub due_at: Patch<DateTime<Utc>>,
    /// Tasks: done when; null opens the task again.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub done_at: Patch<DateTime<Utc>>,
    /// Tasks: by whom.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub assignee_id: Patch<Uuid>,
    /// When it happened; it cannot be cleared.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub occurred_at: Patch<DateTime<Utc>>,
}

impl Check for ActivityPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if self.occurred_at == Patch::Clear {
            errors.add("/occurredAt", "required", "An activity always has a time.");
        }
        let set = |time: &Patch<DateTime<Utc>>| time.as_set().copied();
        check_times(
            errors,
            [
                ("/occurredAt", set(&self.occurred_at)),
                ("/dueAt", set(&self.due_at)),
                ("/doneAt", set(&self.done_at)),
            ],
        );
    }
}
