//! The program as a person runs it, in a copy of what it reads, with stand-ins for the tools that write down how they were called.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect has failed, and says where"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const APP: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:app";
const MIGRATE: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:migrate";
const WHOLE: &str =
    r#"{"DATABASE_URL":"postgres://canary","JWT_SIGNING_KEYS":"canary","SECRET_BOX_KEYS":"canary"}"#;

/// `cargo lambda build` makes a file per function with the head of an ELF file for arm64.
const CARGO: &str = r#"case "$*" in
--version) echo "cargo 1.95.0 (0000000 2026-01-01)" ;;
"lambda --version") echo "cargo-lambda ${LAMBDA_VERSION:-1.9.2} (0000000)" ;;
"lambda build"*) for name in $FUNCTIONS; do
    mkdir -p "target/lambda/$name"
    printf "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\267\0" > "target/lambda/$name/bootstrap"
done ;;
esac"#;
const SAM: &str = r#"echo "SAM CLI, version 1.170.0""#;
const AWS: &str = r#"case "$*" in
--version) echo "aws-cli/2.31.0" ;;
*secret:app*) printf '%s' "$APP_SECRET" ;;
"lambda invoke"*) for last; do :; done; echo '{"applied":1}' > "$last"; echo "$FUNCTION_ERROR" ;;
*secret:migrate*) printf '%s' '{"DATABASE_URL":"postgres://canary"}' ;;
esac"#;

/// A folder with what the program reads.
struct Desk {
    root: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// How a run ended.
struct Outcome {
    success: bool,
    text: String,
    /// Calls of the tools, a line each.
    calls: String,
}

impl Desk {
    fn new(name: &str) -> Self {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("scripts/tools")).unwrap();
        fs::create_dir_all(root.join("bin")).unwrap();
        for file in
            ["template.yaml", "rust-toolchain.toml", "scripts/tools/lambda.txt", "scripts/tools/check.txt"]
        {
            fs::copy(repo.join(file), root.join(file)).unwrap();
        }
        let functions = fs::read_dir(repo.join("functions")).unwrap();
        let functions: Vec<_> =
            functions.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        let variables = vec![("APP_SECRET", WHOLE.to_owned()), ("FUNCTIONS", functions.join(" "))];
        Self { root, variables }
    }

    fn with_tools(self) -> Self {
        for (name, script) in [("cargo", CARGO), ("sam", SAM), ("aws", AWS), ("zip", "")] {
            let path = self.root.join("bin").join(name);
            let log = self.root.join("calls");
            fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", log.display()))
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn with_secrets(self) -> Self {
        self.with("SECRETS_ARN", APP).with("MIGRATE_SECRETS_ARN", MIGRATE)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", self.root.join("bin").display());
        let path = if self.root.join("bin/cargo").exists() { path } else { String::new() };
        let output = Command::new(env!("CARGO_BIN_EXE_deploy-prepare"))
            .args(arguments)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", path)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|part| String::from_utf8(part).unwrap()).concat();
        let calls = fs::read_to_string(self.root.join("calls")).unwrap_or_default();
        assert!(!text.contains("canary"), "a secret was shown: {text}");
        Outcome { success: output.status.success(), text, calls }
    }
}

#[track_caller]
fn has(text: &str, fragments: &[&str]) {
    for fragment in fragments {
        assert!(text.contains(fragment), "no {fragment:?} in: {text}");
    }
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let desk = Desk::new("missing").with("DOMAIN_NAME", "api.example.com").with("LOG_LEVEL", "loud");
    let outcome = desk.run(&["--dry-run", "--environment", "production"]);
    assert!(!outcome.success, "{}", outcome.text);
    has(
        &outcome.text,
        &[
            "SECRETS_ARN is not set",
            "MIGRATE_SECRETS_ARN is not set",
            "CERTIFICATE_ARN is not set, and DomainName needs it",
            "LOG_LEVEL=loud: must be one of TRACE",
            "cargo-lambda 1.9.2 or newer is not installed",
            "aws-sam-cli 1.170.0 or newer is not installed",
        ],
    );
}

#[test]
fn a_dry_run_names_every_command_and_runs_none_of_them() {
    let desk = Desk::new("dry").with_tools();
    let file = format!("# of the account\nSECRETS_ARN={APP}\nMIGRATE_SECRETS_ARN = {MIGRATE}\n");
    fs::write(desk.root.join(".env.staging"), file).unwrap();
    let outcome = desk.run(&["--dry-run"]);
    assert!(outcome.success, "{}", outcome.text);
    let deploy = format!(
        "sam deploy --config-env staging --parameter-overrides Environment=staging MigrateSecretsArn={MIGRATE} SecretsArn={APP}"
    );
    has(
        &outcome.text,
        &[
            &format!("aws secretsmanager get-secret-value --secret-id {APP} "),
            "cargo lambda build --release --locked --arm64",
            "sam validate --lint",
            "scripts/deploy-migrate.sh wellspring-staging",
            &deploy,
        ],
    );
    assert!(outcome.calls.lines().all(|call| call.ends_with("--version")), "{}", outcome.calls);
    assert!(!outcome.calls.contains("aws"), "{}", outcome.calls);
    assert!(!desk.root.join("target").exists(), "a dry run has built something");
}

#[test]
fn a_secret_without_a_key_and_an_old_tool_end_it_before_the_build() {
    let desk = Desk::new("secret").with_tools().with_secrets().with("LAMBDA_VERSION", "1.8.11");
    let outcome = desk.with("APP_SECRET", r#"{"DATABASE_URL":"canary","JWT_SIGNING_KEYS":" "}"#).run(&[]);
    assert!(!outcome.success, "{}", outcome.text);
    let no = |key: &str| format!("the secret {APP} has no {key}");
    has(&outcome.text, &[&no("JWT_SIGNING_KEYS"), &no("SECRET_BOX_KEYS"), "cargo-lambda is 1.8.11"]);
    assert!(!outcome.calls.contains("lambda build"), "{}", outcome.calls);
}

#[test]
fn what_was_built_for_another_processor_is_not_ready() {
    let desk = Desk::new("processor").with_tools().with_secrets();
    let ready = desk.run(&[]);
    assert!(ready.success, "{}", ready.text);
    has(&ready.text, &["Ready. Now type:", "ingest-receipts", "0.0 MB"]);
    let wrong = desk.with("ARCHITECTURE", "x86_64").run(&[]);
    assert!(!wrong.success, "{}", wrong.text);
    has(&wrong.text, &["target/lambda/auth/bootstrap is built for arm64, and the template says x86_64"]);
    assert!(!wrong.text.contains("Ready"), "{}", wrong.text);
}

#[test]
fn one_secret_for_everything_is_refused() {
    let desk = Desk::new("one-secret").with_tools().with("SECRETS_ARN", APP).with("MIGRATE_SECRETS_ARN", APP);
    let outcome = desk.run(&["--dry-run"]);
    assert!(!outcome.success, "{}", outcome.text);
    has(&outcome.text, &["name one secret"]);
}

#[test]
fn a_migration_that_fails_fails_its_script_and_deploys_nothing() {
    let desk = Desk::new("migrate").with_tools();
    let script = desk.root.join("scripts/deploy-migrate.sh");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/deploy-migrate.sh"), &script).unwrap();
    fs::create_dir_all(desk.root.join("target/lambda/migrate")).unwrap();
    fs::write(desk.root.join("target/lambda/migrate/bootstrap"), "code").unwrap();
    let path = format!("{}:/usr/bin:/bin", desk.root.join("bin").display());
    let run = |error: &str| {
        // By its shell: a file that was just written may still be open in a process that another test is starting.
        let mut command = Command::new("bash");
        command.arg(&script).arg("wellspring-staging").env("PATH", &path).env("FUNCTION_ERROR", error);
        command.output().unwrap().status.success()
    };
    assert!(run("None"));
    assert!(!run("Unhandled"));
    let calls = fs::read_to_string(desk.root.join("calls")).unwrap();
    let lambda: Vec<_> = calls.lines().filter(|call| call.starts_with("aws lambda")).collect();
    assert_eq!(lambda.len(), 6, "{calls}");
    has(lambda[0], &["update-function-code --function-name wellspring-staging-migrate"]);
    has(lambda[2], &["invoke --function-name wellspring-staging-migrate"]);
    assert!(!calls.contains("deploy"), "{calls}");
}

#[test]
fn both_scripts_start_this_program() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    for name in ["deploy-prepare.sh", "deploy-prepare.ps1"] {
        let script = fs::read_to_string(scripts.join(name)).unwrap();
        has(&script, &["cargo run --quiet --locked -p deploy-prepare -- "]);
    }
}
