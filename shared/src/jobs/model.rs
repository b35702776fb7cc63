//! The shapes of a job.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::{Actor, FromQuery, Params, SortField, SortKind};

/// Long work that somebody asked for.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job.
    pub id: Uuid,
    /// `import`, `export`, `bulk`.
    pub kind: String,
    /// `awaitingParts`, `queued`, `running`, `completed`, `failed`, `cancelled`.
    pub status: String,
    /// Rows or leads in all; null until they are counted.
    pub total: Option<i32>,
    /// Leads that it made, or in a dry run would make.
    pub created: i32,
    /// Rows or leads that it changed something by.
    pub updated: i32,
    /// Those by which nothing changes.
    pub skipped: i32,
    /// Those that were refused; `/errors` says why.
    pub failed: i32,
    /// Whether it only counts what would happen.
    pub dry_run: bool,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub request: Value,
    /// What there is to say in the end: columns that were ignored, the parts of a file.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why it failed, or `person_erased`: it was ended, or its file is gone, because a person whom it named was erased.
    #[schema(value_type = Option<JobTrouble>)]
    pub error: Option<Json<JobTrouble>>,
    /// How often it was begun since it last came further.
    pub attempts: i32,
    /// When somebody asked to end it.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// The colleague who asked for it.
    pub created_by: Option<Uuid>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was first begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobTrouble {
    /// Stable word.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Makes and changes leads after a file.
    Import,
    /// Writes leads into a file.
    Export,
    /// Does the same to many leads.
    Bulk,
}

impl JobKind {
    const ALL: [Self; 3] = [Self::Import, Self::Export, Self::Bulk];
    pub(super) const WORDS: [&'static str; 3] = ["import", "export", "bulk"];

    /// The word in JSON and SQL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
            Self::Bulk => "bulk",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Who asked, and whose records they saw when they did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobActor {
    /// `user` or `apiKey`.
    pub kind: String,
    /// The user or key.
    pub id: Uuid,
    /// The owners whose records the job may touch; none means all records.
    pub owners: Option<Vec<Uuid>>,
}

impl JobActor {
    /// Whoever makes a request.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        Self {
            kind: actor.kind().to_owned(),
            id: actor.id(),
            owners: actor.own_records_of().map(<[Uuid]>::to_vec),
        }
    }

    /// (kind, id) for activities.
    #[must_use]
    pub fn named(&self) -> (&'static str, Option<Uuid>) {
        (if self.kind == "apiKey" { "apiKey" } else { "user" }, Some(self.id))
    }

    /// Who owns what is made without an owner.
    #[must_use]
    pub fn usual_owner(&self) -> Option<Uuid> {
        self.owners.as_ref().map(|_| self.id)
    }

    /// Whether a lead of this owner may be seen.
    #[must_use]
    pub fn sees(&self, owner: Option<Uuid>) -> bool {
        self.owners.as_ref().is_none_or(|owners| owner.is_some_and(|owner| owners.contains(&owner)))
    }
}

/// A job that is about to be asked for.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// Whether its file is still to come.
    pub awaits_parts: bool,
    /// What was asked for, as it is shown and as the worker reads it.
    pub request: Value,
}

/// What jobs can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// `import`, `export`, `bulk`.
    pub kind: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
}

impl FromQuery for JobFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            kind: params.choices("kind", &JobKind::WORDS),
            status: params.choices(
                "status",
                &["awaitingParts", "queued", "running", "completed", "failed", "cancelled"],
            ),
        }
    }
}
