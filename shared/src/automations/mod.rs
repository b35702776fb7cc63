//! Automations: definitions, immutable versions, and the runs that pass through them.

pub mod settled;
pub mod triggers;
