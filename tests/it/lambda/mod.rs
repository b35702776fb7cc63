//! Lambda fidelity: the real binaries, fed over the Runtime API with the recorded events.

mod crash;
mod ended;
mod jobs;
mod lost_answer;
mod privacy;
mod rotation;
mod trips;
mod world;

use serde_json::Value;
use tests::lambda::{
    Emulator, Function, batch_failures, parse_http, recorded, recordings, set_header, set_path, sqs_batch,
};

use self::world::World;
use crate::support::{Tenant, stack};

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_event_gets_an_answer_from_the_real_binary() {
    let tenant = Tenant::new().await;
    let token = tenant.registration["accessToken"].as_str().unwrap();
    let emulator = Emulator::start().await;
    for name in recordings().unwrap() {
        let (function, _) = name.split_once('/').unwrap();
        let environment = emulator.launch(world::function(function, &stack().values)).unwrap();
        let mut event = recorded(&name).unwrap();
        let over_http = event.get("requestContext").is_some();
        if over_http && event["headers"].get("authorization").is_some() {
            set_header(&mut event, "authorization", &format!("Bearer {token}"));
        }
        if event.get("tenant").is_some() {
            event["tenant"] = tenant.id.as_str().into();
        }
        let outcome = environment.invoke(&event).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        if over_http {
            let answer = parse_http(&outcome).unwrap();
            assert!(answer.status < 500, "{name}: {} {}", answer.status, answer.text());
            assert!(answer.header("x-request-id").is_some(), "{name}");
        } else {
            outcome.payload().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_poisoned_record_of_a_batch_comes_back() {
    stack();
    let emulator = Emulator::start().await;
    let environment = emulator.launch(world::function("run-automations", &stack().values)).unwrap();
    let event = recorded("run-automations/sqs-runs-with-poison").unwrap();
    let poisoned = event["Records"][1]["messageId"].as_str().unwrap();
    let outcome = environment.invoke(&event).await.unwrap();
    assert_eq!(batch_failures(&outcome).unwrap(), [poisoned]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_comes_back_when_the_database_is_down_and_requests_say_503() {
    let mut values = stack().values.clone();
    values.insert("DATABASE_URL".to_owned(), "postgres://wellspring_app@127.0.0.1:1/none".to_owned());
    let emulator = Emulator::start().await;
    let worker = emulator.launch(world::function("ingest-receipts", &values)).unwrap();
    let hint = r#"{"tenant":"0198a000-0000-7000-8000-000000000001","kind":"receipt","id":"0198a000-0000-7000-8000-000000000002"}"#;
    let event = sqs_batch("receipts", &[hint]);
    assert_eq!(batch_failures(&worker.invoke(&event).await.unwrap()).unwrap().len(), 1);

    let api = emulator.launch(world::function("webhooks", &values)).unwrap();
    let mut form = recorded("webhooks/form").unwrap();
    // A token of the right shape: only then the database is asked.
    set_path(&mut form, &format!("/api/webhooks/forms/{}", shared::demo::tenants(1)[0].form_token));
    let answer = parse_http(&api.invoke(&form).await.unwrap()).unwrap();
    let problem: Value = answer.json().unwrap();
    assert_eq!((answer.status, problem["part"].as_str()), (503, Some("database")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_configuration_is_named_completely_before_the_first_poll() {
    let emulator = Emulator::start().await;
    let function = Function::of_workspace("leads").unwrap().with_env("APP_ENV", "somewhere");
    let environment = emulator.launch(function).unwrap();
    let exit = environment.wait_exit(std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!(exit.code, Some(1));
    let logs: String = environment.logs().iter().map(|line| line.text.as_str()).collect();
    for name in ["APP_ENV", "DATABASE_URL", "JWT_SIGNING_KEYS", "SECRET_BOX_KEYS", "SQS_RUNS_URL"] {
        assert!(logs.contains(name), "{name} is not named in: {logs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_schema_is_refused_as_runtime_role() {
    let mut values = stack().values.clone();
    values.insert("DATABASE_URL".to_owned(), stack().owner_url.clone());
    let environment = Emulator::start().await.launch(world::function("leads", &values)).unwrap();
    let exit = environment.wait_exit(std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!(exit.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_made_and_listed_through_the_gateways_events() {
    let world = World::new("gateway").await;
    let token = world.register().await;
    let lead = world.call("leads", "POST", "/api/leads", &token, r#"{"email":"gateway@example.com"}"#).await;
    assert_eq!(lead.status, 201, "{}", lead.text());
    let list = world.call("leads", "GET", "/api/leads?search=gateway", &token, "").await.json().unwrap();
    assert_eq!(list["items"][0]["id"], lead.json().unwrap()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_a_mail_account_says_so_when_it_starts_and_when_it_is_looked_at() {
    let mut values = stack().values.clone();
    values.insert("APP_ENV".to_owned(), "production".to_owned());
    for (name, value) in
        [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]
    {
        values.insert(name.to_owned(), value.to_owned());
    }
    for name in ["RECEIPTS", "RUNS", "MESSAGES", "DELIVERIES", "JOBS"] {
        let url = "https://sqs.eu-central-1.amazonaws.com/000000000000/q".to_owned();
        values.insert(format!("SQS_{name}_URL"), url);
    }
    let environment = Emulator::start().await.launch(world::function("auth", &values)).unwrap();
    let health = recorded("auth/health").unwrap();
    let answer = parse_http(&environment.invoke(&health).await.unwrap()).unwrap();
    let ready: Value = answer.json().unwrap();
    assert_eq!((answer.status, &ready["warnings"]), (200, &serde_json::json!(["no_platform_mail"])));
    let logs: String = environment.logs().iter().map(|line| line.text.as_str()).collect();
    assert!(logs.contains("no_platform_mail"), "{logs}");
}
