//! The steps, as data: a dry run prints what the real one runs.

use std::{
    io::{self, Write},
    path::Path,
    process::Command,
};

use crate::{secrets, settings::Settings, template::Template};

/// One command and what it is for.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    words: Vec<String>,
}

impl Step {
    fn new(what: &'static str, words: &[&str]) -> Self {
        Self { what, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    /// As one would type it.
    pub(crate) fn line(&self) -> String {
        self.words.join(" ")
    }

    pub(crate) fn command(&self, root: &Path) -> Command {
        let program = self.words.first().map_or("", String::as_str);
        let mut command = Command::new(program);
        command.args(self.words.iter().skip(1)).current_dir(root);
        // Queries are checked against .sqlx; the linter reports nothing to its maker.
        command.env("SQLX_OFFLINE", "true").env("SAM_CLI_TELEMETRY", "0");
        command
    }
}

/// All steps of one deployment.
#[derive(Debug)]
pub(crate) struct Plan {
    asks: Vec<Step>,
    steps: Vec<Step>,
    functions: usize,
    next: String,
}

impl Plan {
    pub(crate) fn new(template: &Template, settings: &Settings) -> Self {
        let mut build = vec!["cargo", "lambda", "build", "--release", "--locked"];
        if settings.architecture() == "arm64" {
            build.push("--arm64");
        }
        let sam = if cfg!(windows) { "sam.cmd" } else { "sam" };
        let validate =
            [sam, "validate", "--lint", "--template", "template.yaml", "--config-env", &settings.environment];
        let arns = ["SecretsArn", "MigrateSecretsArn"].map(|name| settings.get(name).unwrap_or("<not set>"));
        Self {
            asks: arns
                .iter()
                .map(|arn| Step {
                    what: "look whether a secret holds every key",
                    words: secrets::command(arn),
                })
                .collect(),
            steps: vec![
                Step::new("build every function", &build),
                Step::new("validate the template", &validate),
            ],
            functions: template.functions.len(),
            next: next(settings),
        }
    }

    /// What is run once nothing is missing.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The plan as text.
    pub(crate) fn describe(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "The plan:\n")?;
        writeln!(out, "  1. check the settings and tools of this machine (done in a dry run too)")?;
        let mut number = 1;
        for step in self.asks.iter().chain(&self.steps) {
            number += 1;
            writeln!(out, "  {number}. {}\n       {}", step.what, step.line())?;
        }
        writeln!(
            out,
            "  {}. look at the {} bootstraps under target/lambda: architecture and size",
            number + 1,
            self.functions
        )?;
        writeln!(out, "\nThen you type:\n\n{}", self.next)
    }

    /// What to type after the preparation.
    pub(crate) fn next_commands(&self) -> &str {
        &self.next
    }
}

/// The schema goes before the code that needs it. Only a stack that does not exist has to be made first.
fn next(settings: &Settings) -> String {
    let environment = &settings.environment;
    let stack = format!("wellspring-{environment}");
    let deploy = format!(
        "sam deploy --config-env {environment} --parameter-overrides {}",
        settings.overrides().join(" ")
    );
    let migrate = format!("scripts/deploy-migrate.sh {stack}");
    let look = format!("scripts/deploy-look.sh {stack}");
    format!(
        "  # a stack that is there: migrations before traffic\n  {migrate}\n  {deploy}\n  {look}\n\n  \
         # a new stack: it answers 503 until it is migrated\n  {deploy}\n  {migrate}\n  {look}\n"
    )
}
