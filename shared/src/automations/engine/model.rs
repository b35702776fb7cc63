//! What the engine passes from the claim to the walk to the flush.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    assignment::Assigned,
    auth::Role,
    conditions::Past,
    events::NewEvent,
    messages::{Channel, Purpose},
};

/// A run that this worker holds the lease of.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The run.
    pub id: Uuid,
    /// Its automation.
    pub automation_id: Uuid,
    /// The version that it stays on.
    pub version: i32,
    /// The person, if it is about one.
    pub lead_id: Option<Uuid>,
    /// The step that it stands at; none before the first.
    pub current_step: Option<String>,
    /// How many steps were begun.
    pub step_seq: i32,
    /// Why it slept; the current step has then begun and is not over.
    pub wake_kind: Option<String>,
    /// The fencing epoch of this claim.
    pub lease_epoch: i64,
    /// Variables: `vars`, and `event` for a run that was started by hand.
    pub context: Value,
    /// Automations between this run and a person's act.
    pub depth: i16,
}

/// Why a run sleeps.
pub(super) mod wake {
    /// For a time.
    pub(in crate::automations::engine) const TIME: &str = "time";
    /// For an event, perhaps with a time limit.
    pub(in crate::automations::engine) const EVENT: &str = "event";
    /// For a message or a call to be settled.
    pub(in crate::automations::engine) const EFFECT: &str = "effect";
    /// Before a call is tried again.
    pub(in crate::automations::engine) const RETRY: &str = "retry";
    /// Not at all: a call is under way, or was when its worker died.
    pub(in crate::automations::engine) const CALL: &str = "call";
}

/// What the walk is told about the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The person as `lead_facts` shows them; none when the run is about nobody, or the person is gone.
    pub lead: Option<Value>,
    /// `event` in conditions and texts.
    pub event: Value,
    /// What the person did, as far as the graph asks for it.
    pub past: Past,
    /// `tenant` in texts.
    pub tenant: Value,
    /// The row of the step that had begun before the run slept.
    pub open_step: Option<OpenStep>,
}

/// The step that had begun.
#[derive(Clone, Debug)]
pub(super) struct OpenStep {
    /// Its status.
    pub status: String,
    /// Failed: why.
    pub error: Option<(String, String)>,
}

/// A row of `automation_run_steps`, new or ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StepRow {
    pub(super) run_id: Uuid,
    pub(super) seq: i32,
    pub(super) step_id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) output: Option<Value>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) ended: bool,
}

/// An activity that a step records.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ActivityRow {
    pub(super) id: Uuid,
    pub(super) lead_id: Uuid,
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) assignee_id: Option<Uuid>,
    pub(super) run_id: Uuid,
    pub(super) dedupe_key: String,
}

/// Word to colleagues.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    /// To one, or to all with a role or a higher one.
    pub to: NoticeTo,
    /// `automation` or `automation.failed`.
    pub kind: &'static str,
    /// One line.
    pub title: Option<String>,
    /// The text.
    pub body: String,
    /// About whom.
    pub lead_id: Option<Uuid>,
    /// The run and its automation.
    pub data: Value,
    /// The cause.
    pub dedupe_key: String,
}

/// Whom a notice is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoticeTo {
    /// A colleague.
    User(Uuid),
    /// All with this role or a higher one.
    Role(Role),
}

/// A message that a step sends.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) lead_id: Uuid,
    pub(super) channel: Channel,
    pub(super) purpose: Purpose,
    pub(super) template: Option<(Uuid, i32)>,
    pub(super) subject: Option<String>,
    pub(super) body: String,
    pub(super) html: Option<String>,
    pub(super) seq: i32,
}

/// A step that asks whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct WantedTurn {
    pub(super) lead_id: Uuid,
    pub(super) of: Turns,
    pub(super) seq: i32,
}

/// Whose turns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turns {
    /// A policy's.
    Policy(Uuid),
    /// Of these colleagues.
    List(Vec<Uuid>),
}

/// A request that a step makes, with every variable filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// As HTTP writes it.
    pub method: String,
    /// The target.
    pub url: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// JSON; none for methods without a body.
    pub body: Option<String>,
    /// Keeps the answer as `vars.<saveAs>`.
    pub save_as: Option<String>,
}

/// Everything that a walk wants written.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    /// Steps begun or ended.
    pub steps: Vec<StepRow>,
    /// Columns of the lead and their new values.
    pub lead: Map<String, Value>,
    /// Activities.
    pub activities: Vec<ActivityRow>,
    /// Notices.
    pub notices: Vec<Notice>,
    /// Events.
    pub events: Vec<NewEvent>,
    /// The message that the run now waits for.
    pub message: Option<Outgoing>,
    /// The turn that is to be taken for the person, after which the run goes on.
    pub turn: Option<WantedTurn>,
    /// The person got a colleague who was named.
    pub assigned: Vec<Assigned>,
    /// The request that is to be made now; none repeats the one that was made before.
    pub call: Option<HttpRequest>,
}

/// Where a walk stopped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// It has walked long enough for one look and goes on at the next.
    Again,
    /// It sleeps.
    Waiting {
        /// Until then at the latest.
        until: Option<DateTime<Utc>>,
        /// Why.
        kind: &'static str,
        /// For which event.
        event: Option<String>,
    },
    /// A request is to be made.
    Calling,
    /// It has ended well.
    Completed(String),
    /// It has ended badly.
    Failed {
        /// Stable word.
        code: String,
        /// For people.
        message: String,
    },
    /// A person must look.
    Attention {
        /// Stable word.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// It was called off.
    Cancelled(&'static str),
}

/// What came of a walk.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    /// To be written.
    pub writes: Writes,
    /// Where it stopped.
    pub next: Next,
    /// The step it stands at.
    pub current_step: Option<String>,
    /// How many steps were begun.
    pub step_seq: i32,
    /// The person as changed.
    pub lead: Option<Value>,
}
