//! Automations: definitions, immutable versions, and the runs that pass through them.

mod action;
pub mod catalog;
pub mod engine;
mod execute;
mod graph;
mod model;
mod publish;
mod references;
mod runs;
pub mod schedule;
pub mod settled;
pub mod span;
mod stats;
pub mod steps;
mod store;
mod text;
pub mod triggers;
mod validate;

pub use action::Action;
pub use execute::{Execute, Executed, Skipped, execute};
pub use graph::{Definition, GRAPH_SCHEMA, Graph, MANUAL, Reentry, ReentryMode, SCHEDULE, Step, Trigger};
pub use model::{Automation, AutomationPatch, NewAutomation, Version};
pub use publish::{PausePolicy, archive, pause, publish, resume, versions};
pub use references::missing_references;
pub use runs::{
    Retry, RetryFrom, RetryVersion, Run, RunError, RunFilter, RunStep, cancel, find as find_run,
    list as list_runs, retry,
};
pub use settled::{Outcome, effect_settled};
pub use stats::{Stats, StepStats, stats};
pub use store::{AutomationFilter, find, find_for_update, insert, list, update};
pub use validate::{GraphProblem, refuse};
