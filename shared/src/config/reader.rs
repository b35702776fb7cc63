//! A reader that goes on after a problem, so that one run of a binary names them all.

use std::collections::HashMap;

use super::ConfigProblems;

/// Values by name, with the problems found so far.
pub struct Reader {
    values: HashMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    /// Starts reading.
    #[must_use]
    pub const fn new(values: HashMap<String, String>) -> Self {
        Self { values, problems: Vec::new() }
    }

    /// A value that must be there.
    pub fn required<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.parsed(name, None, parse)
    }

    /// A value that may have a default. An empty value counts as absent.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        default: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = self.optional(name).or_else(|| default.map(str::to_owned)) else {
            self.problems.push(format!("{name} is not set ({})", meaning(name)));
            return None;
        };
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(format!("{name}: {problem}"));
                None
            }
        }
    }

    /// A value that may be absent.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        self.values.get(name).filter(|text| !text.trim().is_empty()).map(|text| text.trim().to_owned())
    }

    /// A comma-separated list, empty when absent.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.optional(name)
            .map(|text| {
                text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
            })
            .unwrap_or_default()
    }

    /// Notes a problem with a variable that was read in another way.
    pub fn refuse(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name}: {problem}"));
    }

    /// All problems, or nothing.
    ///
    /// # Errors
    /// When there was any problem.
    pub fn finish(self) -> Result<(), ConfigProblems> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigProblems(self.problems)) }
    }
}

fn meaning(name: &str) -> &'static str {
    super::VARIABLES.iter().find(|(known, _)| *known == name).map_or("undocumented", |(_, meaning)| *meaning)
}
