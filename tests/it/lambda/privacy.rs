//! Logs speak of ids, never of people: at the most talkative level nothing personal and no secret is written.

use serde_json::{Value, json};
use shared::queue::QueueName;
use tests::lambda::{batch_failures, sqs_batch};

use super::world::World;

/// In every personal value and every secret of the test.
const CANARY: &str = "qanarium";

/// What a business does with the data of one person.
struct Day {
    world: World,
    token: String,
}

impl Day {
    async fn begin() -> Self {
        let mut world = World::new("privacy").await;
        world.set("LOG_LEVEL", "trace");
        let owner = json!({
            "businessName": CANARY, "name": CANARY, "email": format!("{CANARY}@example.com"),
            "password": format!("{CANARY} battery staple"), "country": "DE", "currency": "EUR",
        });
        let made = world.call("auth", "POST", "/api/auth/register", "", &owner.to_string()).await;
        let token = made.json().unwrap()["accessToken"].as_str().unwrap().to_owned();
        Self { world, token }
    }

    async fn call(&self, function: &str, method: &str, path: &str, body: Value, status: u16) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.world.call(function, method, path, &self.token, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        answer.json().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_any_log_names_a_person_or_a_secret() {
    let day = Day::begin().await;
    // The account: a right and a wrong password, a key.
    let login = |password: &str| json!({"email": format!("{CANARY}@example.com"), "password": password});
    day.call("auth", "POST", "/api/auth/login", login(&format!("{CANARY} battery staple")), 200).await;
    day.call("auth", "POST", "/api/auth/login", login(&format!("{CANARY} guess")), 401).await;
    let key = json!({"name": CANARY, "kind": "secret", "scopes": ["leads:read"]});
    let key = day.call("auth", "POST", "/api/api-keys", key, 201).await;

    // A person, and what goes wrong with a person's data.
    let person = json!({"firstName": CANARY, "lastName": CANARY, "email": format!("lead{CANARY}@example.com"),
        "phone": "+4915155566677", "customFields": {"diet": CANARY}});
    let lead = day.call("leads", "POST", "/api/leads", person.clone(), 201).await["id"].clone();
    day.call("leads", "POST", "/api/leads", person, 409).await;
    day.call("leads", "POST", "/api/leads", json!({"email": CANARY, CANARY: 1}), 422).await;
    day.call("leads", "GET", &format!("/api/leads?search={CANARY}"), Value::Null, 200).await;
    let broken =
        day.world.call("leads", "POST", "/api/leads", &day.token, &format!("{{\"email\": \"{CANARY}")).await;
    assert_eq!(broken.status, 400, "{}", broken.text());

    // A message, health data, a form, an invoice.
    let message = json!({"leadId": lead, "channel": "email", "subject": CANARY, "body": CANARY});
    let message = day.call("messages", "POST", "/api/messages/send", message, 202).await;
    let metric = json!({"leadId": lead, "type": "weight", "value": 70, "unit": "kg", "note": CANARY,
        "startAt": "2026-01-01T08:00:00Z"});
    day.call("wellness", "POST", "/api/wellness/metrics", metric, 201).await;
    let source = json!({"provider": "forms", "name": CANARY});
    let source = day.call("webhooks", "POST", "/api/webhooks/sources", source, 201).await;
    let form = json!({"name": CANARY, "email": format!("form{CANARY}@example.com"), "message": CANARY});
    let path = format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap());
    let receipt = day.call("webhooks", "POST", &path, form, 202).await;
    let lines = json!([{"description": CANARY, "quantity": "1", "unitPrice": 500}]);
    day.call(
        "finance",
        "POST",
        "/api/finance/invoices",
        json!({"leadId": lead, "lines": lines, "memo": CANARY}),
        201,
    )
    .await;

    let mut written = day.world.logs();
    let path = format!("/api/messages/{}", message["messageId"].as_str().unwrap());
    let is_sent = async || {
        let message = day.call("messages", "GET", &path, Value::Null, 200).await;
        ["sent", "delivered"].contains(&message["status"].as_str().unwrap())
    };
    while !is_sent().await {
        written.extend(work(&day.world).await);
    }
    let receipts = day.call("webhooks", "GET", "/api/webhooks/receipts", Value::Null, 200).await;
    assert_eq!(receipts["items"][0]["id"], receipt["receiptId"]);
    assert_eq!(receipts["items"][0]["status"], "processed", "{receipts}");

    assert!(written.len() > 15, "the functions say more than {} lines", written.len());
    let secrets =
        [CANARY, "5155566677", &day.token, key["key"].as_str().unwrap(), source["token"].as_str().unwrap()];
    for line in &written {
        for secret in secrets {
            assert!(
                !line.to_lowercase().contains(&secret.to_lowercase()),
                "a log line tells `{secret}`: {line}"
            );
        }
    }
}

/// Lets the workers do what is due and returns what they wrote.
async fn work(world: &World) -> Vec<String> {
    let mut written = Vec::new();
    let hints = world.due().await;
    assert!(!hints.is_empty(), "nothing is due, and the message is not sent");
    for (worker, queue) in [
        ("ingest-receipts", QueueName::Receipts),
        ("send-messages", QueueName::Messages),
        ("run-automations", QueueName::Runs),
    ] {
        let bodies: Vec<String> = hints
            .iter()
            .filter(|hint| hint.kind.queue() == queue)
            .map(|hint| serde_json::to_string(hint).unwrap())
            .collect();
        let environment = world.launch(worker);
        let outcome = environment.invoke(&sqs_batch("queue", &bodies)).await.unwrap();
        assert!(batch_failures(&outcome).unwrap().is_empty());
        written.extend(environment.logs().into_iter().map(|line| line.text));
    }
    written
}
