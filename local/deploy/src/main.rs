//! `deploy-prepare [--dry-run] [--environment staging|production]`, run in the root of the repository.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use deploy_prepare::{Request, prepare};

const USAGE: &str = "usage: scripts/deploy-prepare.sh [--dry-run] [--environment staging|production]

Checks the settings and tools of a deployment, reads the names in its secrets, builds every function, validates the template, and prints what to
type next. With --dry-run: checks what can be checked on this machine, prints the plan, changes nothing. Settings come from the environment or from
.env.<environment>, under the names of the template's parameters: SecretsArn is SECRETS_ARN. See docs/deploy.md.";

fn main() -> ExitCode {
    let mut request = Request {
        root: PathBuf::from("."),
        environment: "staging".to_owned(),
        dry_run: false,
        given: environment(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.len()) {
            ("--dry-run", _) => request.dry_run = true,
            ("--environment", 1..) => request.environment = arguments.next().unwrap_or_default(),
            ("--help" | "-h", _) => {
                drop(writeln!(io::stdout(), "{USAGE}"));
                return ExitCode::SUCCESS;
            }
            _ => {
                drop(writeln!(io::stderr(), "{USAGE}"));
                return ExitCode::from(2);
            }
        }
    }
    match prepare(&request, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            drop(writeln!(io::stderr(), "\ndeploy-prepare: {failure}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the parameters of a deployment are no variables of the product"
)]
fn environment() -> HashMap<String, String> {
    std::env::vars().collect()
}
