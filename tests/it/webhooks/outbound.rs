//! Who is told what happens here.

use serde_json::{Value, json};

use super::{items, receiver::Receiver};
use crate::support::{Tenant, eventually};

async fn endpoint(tenant: &Tenant, url: &str, events: &[&str]) -> Value {
    let endpoint =
        tenant.post("/api/webhook-endpoints", json!({"url": url, "events": events})).await.expect(201);
    assert!(endpoint["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    endpoint
}

fn path(endpoint: &Value, rest: &str) -> String {
    format!("/api/webhook-endpoints/{}{rest}", endpoint["id"].as_str().unwrap())
}

async fn delivery(tenant: &Tenant, endpoint: &Value, status: &str) -> Value {
    eventually(&format!("a {status} delivery"), async || {
        items(tenant, &path(endpoint, &format!("/deliveries?status={status}"))).await.pop()
    })
    .await
}

#[tokio::test]
async fn an_event_is_delivered_signed_and_again_after_a_503_while_others_do_not_wait() {
    let tenant = Tenant::new().await;
    let (down, up) = (Receiver::start(&[503, 200]).await, Receiver::start(&[200]).await);
    let failing = endpoint(&tenant, &down.url, &["lead.*"]).await;
    let healthy = endpoint(&tenant, &up.url, &["lead.created"]).await;
    let lead = tenant.lead(json!({"firstName": "Dora"})).await;

    delivery(&tenant, &healthy, "delivered").await;
    let done = delivery(&tenant, &failing, "delivered").await;
    assert_eq!((&done["attempt"], &done["eventType"]), (&json!(2), &json!("lead.created")));
    let statuses: Vec<&Value> =
        done["history"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(statuses, [&json!(503), &json!(200)]);
    assert_eq!(done["responseExcerpt"], "noted");

    let told = down.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    for delivery in &told {
        assert!(delivery.is_signed_with(failing["secret"].as_str().unwrap()));
        assert!(!delivery.is_signed_with(healthy["secret"].as_str().unwrap()));
        let body = delivery.json();
        assert_eq!(
            (&body["type"], &body["schemaVersion"], &body["tenantId"]),
            (&json!("lead.created"), &json!(1), &json!(tenant.id))
        );
        assert_eq!((&body["data"]["id"], &body["previous"]), (&lead["id"], &Value::Null));
    }
    assert_eq!(up.told().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more_until_it_is_wanted_again() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(&[410, 200]).await;
    let endpoint = endpoint(&tenant, &receiver.url, &["*"]).await;
    tenant.lead(json!({})).await;
    delivery(&tenant, &endpoint, "failed").await;
    let disabled = tenant.get(&path(&endpoint, "")).await.expect(200);
    assert_eq!((&disabled["status"], &disabled["disabledReason"]), (&json!("disabled"), &json!("gone")));
    let missed = tenant.lead(json!({})).await;
    assert_eq!(items(&tenant, &path(&endpoint, "/deliveries")).await.len(), 1);
    tenant.post(&path(&endpoint, "/redeliver"), json!({})).await.expect_problem(409, "endpoint_disabled");

    tenant.patch(&path(&endpoint, ""), json!({"status": "active"})).await.expect(200);
    let again = tenant.post(&path(&endpoint, "/redeliver"), json!({})).await.expect(202);
    assert_eq!(again, json!({"count": 1, "more": false}));
    let since = missed["createdAt"].as_str().unwrap();
    let backfill = json!({"status": "missing", "from": since});
    assert_eq!(tenant.post(&path(&endpoint, "/redeliver"), backfill).await.expect(202)["count"], 1);
    eventually("both deliveries", async || {
        let delivered = items(&tenant, &path(&endpoint, "/deliveries?status=delivered")).await;
        (delivered.len() == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.told().len(), 3);
}

#[tokio::test]
async fn both_secrets_sign_while_one_replaces_the_other_and_a_test_says_how_it_went() {
    let tenant = Tenant::new().await;
    let receiver = Receiver::start(&[200]).await;
    let endpoint = endpoint(&tenant, &receiver.url, &["*"]).await;
    let rotated = tenant.post(&path(&endpoint, "/rotate"), json!({})).await.expect(200);
    let result = tenant.post(&path(&endpoint, "/test"), Value::Null).await.expect(200);
    assert_eq!(
        (&result["delivered"], &result["status"], &result["error"]),
        (&json!(true), &json!(200), &Value::Null)
    );
    let told = receiver.told();
    assert_eq!(told[0].json()["type"], "webhook.test");
    for secret in [&endpoint["secret"], &rotated["secret"]] {
        assert!(told[0].is_signed_with(secret.as_str().unwrap()));
    }
    tenant.patch(&path(&endpoint, ""), json!({"url": "http://127.0.0.1:1/"})).await.expect(200);
    let result = tenant.post(&path(&endpoint, "/test"), Value::Null).await.expect(200);
    assert_eq!((&result["delivered"], &result["error"]["code"]), (&json!(false), &json!("not_sent")));
}

#[tokio::test]
async fn endpoints_listen_to_what_exists_at_addresses_that_can_be_called() {
    let tenant = Tenant::new().await;
    let make = async |url: &str, event: &str| {
        tenant.post("/api/webhook-endpoints", json!({"url": url, "events": [event]})).await
    };
    make("https://example.com/hook", "lead.creatd").await.expect_invalid("/events/0", "unknown_event");
    for url in ["ftp://example.com/", "https://user:pass@example.com/", "nonsense"] {
        make(url, "*").await.expect_invalid("/url", "target_not_allowed");
    }
    make("https://example.com/hook", "lead.*").await.expect(201);
    tenant
        .colleague("manager")
        .await
        .get("/api/webhook-endpoints")
        .await
        .expect_problem(403, "role_required");
}

#[tokio::test]
async fn the_journal_is_followed_forward_without_a_gap() {
    let tenant = Tenant::new().await;
    for _ in 0..5 {
        tenant.lead(json!({})).await;
    }
    let mut seen = Vec::new();
    eventually("five events in the journal", async || {
        seen.clear();
        let mut cursor = String::new();
        loop {
            let page = tenant
                .get(&format!("/api/events?type=lead.created&sort=recordedAt&limit=2{cursor}"))
                .await
                .expect(200);
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|event| event["recordedAt"].to_string()),
            );
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        (seen.len() == 5).then_some(())
    })
    .await;
    assert!(seen.is_sorted());
}
