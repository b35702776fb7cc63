//! Killed and stopped workers.
