//! Automations: definitions, immutable versions, and the runs that pass through them.

mod action;
mod graph;
pub mod span;
pub mod steps;
mod text;
pub mod triggers;
mod validate;

pub use action::Action;
pub use graph::{Definition, GRAPH_SCHEMA, Graph, MANUAL, Reentry, ReentryMode, Step, Trigger};
pub use validate::GraphProblem;
