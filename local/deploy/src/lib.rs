//! Everything before `sam deploy`: what is missing is said at once, before the long build, and what was built is looked at before it is uploaded.
//!
//! `scripts/deploy-prepare.sh` and its twin for PowerShell only start this. A dry run asks this machine alone and changes nothing; the real one
//! also asks AWS whether the secrets are there, builds every function and validates the template. Neither deploys: the last thing printed is what to type.

mod artifacts;
mod plan;
mod secrets;
mod settings;
mod template;
mod tools;
pub mod yaml;

use std::{collections::HashMap, fs, io, io::Write, path::PathBuf};

use plan::{Plan, Step};
use settings::Settings;
use template::Template;

/// What was asked for.
#[derive(Debug)]
pub struct Request {
    /// The repository.
    pub root: PathBuf,
    /// `staging` or `production`.
    pub environment: String,
    /// Whether only to look.
    pub dry_run: bool,
    /// Variables of the caller; those of `.env.<environment>` come second.
    pub given: HashMap<String, String>,
}

/// Why the preparation ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// All that must be mended first, a sentence each.
    #[error("{} thing(s) are missing:\n  - {}", .0.len(), .0.join("\n  - "))]
    Problems(Vec<String>),
    /// A step failed; its own words stand above.
    #[error("`{0}` failed, see above")]
    Step(String),
    /// The template cannot be read.
    #[error("template.yaml: {0}")]
    Template(#[from] yaml::YamlError),
    /// A file of the repository cannot be read, or the terminal cannot be written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Prepares a deployment, writing what is done to `out`.
///
/// # Errors
/// When anything is missing or a step fails.
pub fn prepare(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    let template = Template::read(&fs::read_to_string(request.root.join("template.yaml"))?)?;
    let settings = Settings::read(&request.root, &request.environment, &request.given, &template)?;
    let plan = Plan::new(&template, &settings);
    let mut problems = settings.problems(&template);
    problems.extend(tools::problems(&request.root, request.dry_run)?);
    if request.dry_run {
        plan.describe(out)?;
    } else {
        problems.extend(secrets::problems(&settings));
    }
    for note in settings.notes() {
        writeln!(out, "note: {note}")?;
    }
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    if request.dry_run {
        writeln!(out, "\nNothing is missing. This was a dry run: AWS was not asked and nothing was built.")?;
        return Ok(());
    }
    for step in plan.steps() {
        run(step, request, out)?;
    }
    let (sizes, wrong) = artifacts::look(&request.root, &template.functions, settings.architecture());
    write!(out, "\n{sizes}")?;
    if !wrong.is_empty() {
        return Err(Failure::Problems(wrong));
    }
    writeln!(out, "\nReady. Now type:\n\n{}", plan.next_commands())?;
    Ok(())
}

fn run(step: &Step, request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "\n== {}\n$ {}", step.what, step.line())?;
    out.flush()?;
    if step.command(&request.root).status().is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err(Failure::Step(step.line()))
    }
}
