//! The programs that build and deploy, in the versions that the repository names.

use std::{fs, io, path::Path, process::Command};

/// A program, what it says its version with, and what installs it.
struct Tool {
    name: &'static str,
    command: &'static [&'static str],
    install: &'static str,
}

const CARGO: Tool =
    Tool { name: "cargo", command: &["cargo", "--version"], install: "see https://rustup.rs" };
const CARGO_LAMBDA: Tool = Tool {
    name: "cargo-lambda",
    command: &["cargo", "lambda", "--version"],
    install: if cfg!(windows) {
        "pip install -r scripts/tools/lambda.txt"
    } else {
        "scripts/setup.sh deploy"
    },
};
const SAM: Tool = Tool {
    name: "aws-sam-cli",
    command: &[if cfg!(windows) { "sam.cmd" } else { "sam" }, "--version"],
    install: if cfg!(windows) { "pip install -r scripts/tools/check.txt" } else { "scripts/setup.sh deploy" },
};
const AWS: Tool = Tool { name: "aws", command: &["aws", "--version"], install: "install the AWS CLI" };

/// Programs that are missing or too old. Without AWS its command line is not needed.
pub(crate) fn problems(root: &Path, dry_run: bool) -> io::Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(root.join(path));
    let compiler = after(&read("rust-toolchain.toml")?, "channel = \"");
    let lambda = after(&read("scripts/tools/lambda.txt")?, "cargo-lambda==");
    let sam = after(&read("scripts/tools/check.txt")?, "aws-sam-cli==");
    let mut found: Vec<String> = [(CARGO, compiler), (CARGO_LAMBDA, lambda), (SAM, sam)]
        .iter()
        .filter_map(|(tool, oldest)| tool.problem(root, *oldest))
        .collect();
    if !dry_run {
        found.extend(AWS.problem(root, None));
    }
    Ok(found)
}

impl Tool {
    fn problem(&self, root: &Path, oldest: Option<Version>) -> Option<String> {
        let (name, install) = (self.name, self.install);
        let wanted = oldest.map_or_else(String::new, |version| format!(" {version} or newer"));
        match (self.version(root), oldest) {
            (Some(found), Some(oldest)) if found < oldest => {
                Some(format!("{name} is {found}, and{wanted} is needed. To install it: {install}"))
            }
            (Some(_), _) => None,
            (None, _) => Some(format!("{name}{wanted} is not installed. To install it: {install}")),
        }
    }

    fn version(&self, root: &Path) -> Option<Version> {
        let (program, arguments) = self.command.split_first()?;
        let output = Command::new(program).args(arguments).current_dir(root).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then(|| first_version(&text)).flatten()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The version that stands behind a marker in a file of the repository.
fn after(text: &str, marker: &str) -> Option<Version> {
    first_version(text.split_once(marker)?.1)
}

/// The first `1.2.3` in what a program says of itself.
fn first_version(text: &str) -> Option<Version> {
    text.split(|letter: char| !letter.is_ascii_digit() && letter != '.').find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}
