//! Constraints decide, and their names are API.
//!
//! Checking first and inserting later leaves a gap in which another request wins. A statement is therefore just run,
//! and the unique index or foreign key that refuses it is translated by its name. A test holds each name used in code
//! against the schema.

use super::DbResult;
use crate::http::Problem;

/// Translates the violation of one named constraint into an answer for the caller.
pub trait OnConstraint<T> {
    /// Replaces a violation of `name` by `answer`; every other error stays what it is.
    ///
    /// # Errors
    /// The given answer, or the original error as a problem.
    fn on_constraint(self, name: &str, answer: impl FnOnce() -> Problem) -> Result<T, Problem>;
}

impl<T> OnConstraint<T> for DbResult<T> {
    fn on_constraint(self, name: &str, answer: impl FnOnce() -> Problem) -> Result<T, Problem> {
        self.map_err(|error| if error.constraint() == Some(name) { answer() } else { error.into() })
    }
}

impl<T> OnConstraint<T> for Result<T, Problem> {
    fn on_constraint(self, name: &str, answer: impl FnOnce() -> Problem) -> Self {
        self.map_err(|problem| if problem.constraint() == Some(name) { answer() } else { problem })
    }
}
