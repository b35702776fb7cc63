//! The real template is sound in itself, and each comparison sees the difference that it is for.

use std::path::Path;

use super::{Template, example_drift};

const TEMPLATE: &str = include_str!("../../../template.yaml");
const EXAMPLE: &str = include_str!("../../../.env.example");

const VARIABLES: [&str; 30] = [
    "APP_ENV",
    "PORT",
    "DATABASE_URL",
    "PUBLIC_BASE_URL",
    "SECRETS_ARN",
    "JWT_SIGNING_KEYS",
    "SECRET_BOX_KEYS",
    "CORS_ORIGINS",
    "ALLOW_PRIVATE_TARGETS",
    "LOG_LEVEL",
    "REDIS_URL",
    "RATE_LIMITS",
    "FRONT_END_SECRETS",
    "PLATFORM_MAIL_PROVIDER",
    "PLATFORM_MAIL_FROM",
    "PLATFORM_MAIL_BASE_URL",
    "PLATFORM_MAIL_API_KEY",
    "SQS_RECEIPTS_URL",
    "SQS_RUNS_URL",
    "SQS_MESSAGES_URL",
    "SQS_DELIVERIES_URL",
    "SQS_JOBS_URL",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPORT",
    "PG_BIN_DIR",
    "SEED",
];

const WORKERS: [(&str, &str); 5] = [
    ("receipts", "ingest-receipts"),
    ("runs", "run-automations"),
    ("messages", "send-messages"),
    ("deliveries", "deliver-webhooks"),
    ("jobs", "run-jobs"),
];

fn template() -> Template {
    Template::read(TEMPLATE).unwrap()
}

/// The template with one piece of text replaced; the piece must be there.
fn changed(from: &str, to: &str) -> Template {
    assert!(TEMPLATE.contains(from), "the template no longer contains {from:?}");
    Template::read(&TEMPLATE.replacen(from, to, 1)).unwrap()
}

fn routes(template: &Template) -> Vec<(&str, &str, &str)> {
    let every =
        template.functions.iter().flat_map(|f| f.routes.iter().map(|r| (&*r.method, &*r.path, &*f.name)));
    every.filter(|(method, ..)| *method != "OPTIONS").collect()
}

fn nudges(template: &Template) -> Vec<(&str, &str)> {
    template.functions.iter().flat_map(|f| f.sends.iter().map(|queue| (&*f.name, &**queue))).collect()
}

#[track_caller]
fn one(found: &[String], fragment: &str) {
    assert!(
        found.len() == 1 && found[0].contains(fragment),
        "expected one sentence with {fragment:?}, got {found:#?}"
    );
}

#[test]
fn the_gateway_leaves_cors_to_the_application() {
    assert!(
        !TEMPLATE.contains("CorsConfiguration"),
        "a gateway with CORS settings answers preflights itself and overwrites the headers of shared/src/http/service.rs"
    );
}

#[test]
fn every_function_crate_is_deployed_under_its_own_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let mut crates: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let template = template();
    let mut deployed: Vec<_> = template.functions.iter().map(|function| function.name.clone()).collect();
    crates.sort();
    deployed.sort();
    assert_eq!(crates, deployed);
}

#[test]
fn the_template_is_sound() {
    let template = template();
    assert_eq!(template.route_drift(&routes(&template)), Vec::<String>::new());
    assert_eq!(template.env_drift(&VARIABLES), Vec::<String>::new());
    assert_eq!(template.queue_drift(&WORKERS), Vec::<String>::new());
    assert_eq!(template.policy_drift(&nudges(&template)), Vec::<String>::new());
    let schedules = [("sweep", "rate(1 minute)"), ("nightly", "cron(10 2 * * ? *)")];
    assert_eq!(template.schedule_drift(&schedules), Vec::<String>::new());
    assert_eq!(
        template.runbook_drift(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")),
        Vec::<String>::new()
    );
    assert_eq!(example_drift(EXAMPLE, &VARIABLES), Vec::<String>::new());
}

#[test]
fn sizes_and_rights_are_those_of_the_design() {
    let template = template();
    let auth = template.function("auth").unwrap();
    assert_eq!((auth.memory, auth.timeout, auth.fallback), (1769, 15, true));
    assert!(template.functions.iter().filter(|f| f.name != "auth").all(|f| f.memory == 256));
    assert_eq!(template.function("migrate").unwrap().secrets, ["MigrateSecretsArn"]);
    assert!(template.functions.iter().filter(|f| f.name != "migrate").all(|f| f.secrets == ["SecretsArn"]));
    assert_eq!(template.function("deliver-webhooks").unwrap().sends, ["deliveries"]);
}

#[test]
fn a_route_missing_on_either_side_is_told() {
    let template = template();
    let mut code = routes(&template);
    code.push(("PUT", "/api/leads/{id}", "leads"));
    one(&template.route_drift(&code), "leads serves PUT /api/leads/{id}");
    code.pop();
    code.retain(|route| *route != ("GET", "/api/events", "webhooks"));
    one(&template.route_drift(&code), "(ListEvents), and no code serves it");
}

#[test]
fn a_route_of_the_wrong_function_is_told() {
    let template = template();
    let code: Vec<_> = routes(&template)
        .into_iter()
        .map(|(method, path, name)| (method, path, if path == "/api/auth/jwks" { "leads" } else { name }))
        .collect();
    one(&template.route_drift(&code), "sends it to auth");
}

#[test]
fn a_lost_fallback_is_told() {
    let template = changed("        Fallback: {Type: HttpApi, Properties: {ApiId: !Ref Api}}\n", "");
    one(&template.route_drift(&routes(&template)), "Unknown paths must reach auth");
}

#[test]
fn variables_missing_superfluous_or_secret_are_told() {
    let found = template().env_drift(&[&VARIABLES[..], &["NEW_SETTING"]].concat());
    assert!(found.len() == 17 && found.iter().all(|sentence| sentence.contains("NEW_SETTING")), "{found:#?}");
    let found = changed("        LOG_LEVEL:", "        LOG_LEVEL_X:").env_drift(&VARIABLES);
    assert!(found.len() == 34 && found.iter().all(|sentence| sentence.contains("LOG_LEVEL")), "{found:#?}");
    let found =
        changed("        LOG_LEVEL:", "        SECRET_BOX_KEYS: x\n        LOG_LEVEL:").env_drift(&VARIABLES);
    assert!(
        found.len() == 17 && found.iter().all(|sentence| sentence.contains("secrets come through")),
        "{found:#?}"
    );
    let swapped = changed("{SecretArn: !Ref MigrateSecretsArn}", "{SecretArn: !Ref SecretsArn}");
    one(&swapped.env_drift(&VARIABLES), "migrate is told to read");
}

#[test]
fn a_short_visibility_and_a_missing_dead_letter_queue_are_told() {
    let template = changed("VisibilityTimeout: 360", "VisibilityTimeout: 359");
    one(&template.policy_drift(&nudges(&template)), "at least 360 s");
    let template = changed("!GetAtt ReceiptsDlq.Arn", "!GetAtt LostDlq.Arn");
    one(&template.policy_drift(&nudges(&template)), "receipts has no dead-letter queue");
    let template = changed("maxReceiveCount: 5", "maxReceiveCount: 2");
    one(&template.policy_drift(&nudges(&template)), "gives up after 2 receives");
}

#[test]
fn rights_too_few_and_too_many_are_told() {
    let template = template();
    let mut code = nudges(&template);
    code.push(("auth", "messages"));
    one(&template.policy_drift(&code), "auth nudges messages");
    code.pop();
    code.retain(|nudge| *nudge != ("nightly", "runs"));
    one(&template.policy_drift(&code), "nightly may send to runs and never does");
    let blind = changed("        - SQSPollerPolicy: {QueueName: !GetAtt RunsQueue.QueueName}\n", "");
    one(&blind.policy_drift(&nudges(&blind)), "run-automations is fed from runs and may not receive");
}

#[test]
fn a_queue_fed_wrongly_is_told() {
    let template =
        changed("EventSourceArn: !GetAtt RunsQueue.Arn", "EventSourceArn: !GetAtt MessagesQueue.Arn");
    one(&template.queue_drift(&WORKERS), "run-automations works on runs");
    let template = changed("FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: []");
    one(&template.policy_drift(&nudges(&template)), "partial failures");
}

#[test]
fn an_alarm_without_its_page_is_told() {
    let template = changed("  SweepNotRunning:\n", "  SweepAsleep:\n");
    let found = template.runbook_drift(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("write docs/runbooks/sweep-asleep.md"));
    assert!(found[2].contains("sweep-not-running.md belongs to no alarm"));
}

#[test]
fn an_example_without_a_meaning_or_a_reader_is_told() {
    one(&example_drift("# Where this runs.\nA=1\nB=2\n", &["A", "B"]), "what B means");
    one(&example_drift("# One.\nA=1\n# Two.\nB=2\n", &["A"]), "B, which no code reads");
    one(&example_drift("# One.\nA=1\n", &["A", "B"]), "B 0 times");
}

#[test]
fn a_broken_template_is_an_error_with_its_place() {
    let error = Template::read("Resources: {A: [}").unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    let error = Template::read("Resources: {A: {Type: AWS::Serverless::Function}}").unwrap_err().to_string();
    assert_eq!(error, "template.yaml: A has no CodeUri");
}
