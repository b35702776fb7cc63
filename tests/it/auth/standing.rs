//! What the operator decides: trial, active, suspended.

use migrate::RunError;
use serde_json::{Value, json};
use shared::{
    app::App,
    config::{Config, Needs},
};

use super::{alter, sign_in, text};
use crate::support::{Tenant, eventually, stack, tenant::PASSWORD};

/// Invokes the operator's function.
async fn operate(payload: Value) -> Result<Value, RunError> {
    let mut values = stack().values.clone();
    values.insert("DATABASE_URL".to_owned(), stack().owner_url.clone());
    let config = Config::from_values(values, Needs::Migrate).unwrap();
    migrate::run(&config, payload).await.map(|report| serde_json::to_value(report).unwrap())
}

async fn night() {
    let app = App::new(Config::from_values(stack().values.clone(), Needs::Worker).unwrap(), 1).unwrap();
    nightly::tick(&app).await.unwrap();
}

fn slug(tenant: &Tenant) -> &str {
    text(&tenant.registration["tenant"]["slug"])
}

async fn until_sent(tenant: &Tenant, message: &str) {
    eventually("the message leaving", async || {
        (tenant.get(message).await.expect(200)["status"] == "sent").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_suspends_a_business_and_lets_it_go_on() {
    let (tenant, bystander) = (Tenant::new().await, Tenant::new().await);
    let lead = tenant.lead(json!({})).await;
    let message =
        json!({"leadId": lead["id"], "channel": "email", "body": "Hello", "sendAt": "2199-01-01T00:00:00Z"});
    let message = tenant.post("/api/messages/send", message).await.expect(202);
    let message = format!("/api/messages/{}", text(&message["messageId"]));
    let order = json!({"tenant": slug(&tenant), "status": "suspended", "reason": "unpaid since January"});
    let report = operate(order.clone()).await.unwrap();
    assert_eq!(
        (&report["tenant"], &report["before"], &report["changed"]),
        (&json!(tenant.id), &json!("trial"), &json!(true))
    );
    assert_eq!(operate(order).await.unwrap()["changed"], false, "an order that is repeated changes nothing");

    // From the next request on, for those who are signed in and those who come.
    tenant.post("/api/leads", json!({"firstName": "New"})).await.expect_problem(423, "tenant_suspended");
    let own = tenant.get("/api/tenant").await.expect(200);
    assert_eq!((&own["status"], &own["statusReason"]), (&json!("suspended"), &json!("unpaid since January")));
    assert_eq!(tenant.get("/api/leads").await.expect(200)["items"][0]["id"], lead["id"]);
    sign_in(&tenant.email).await;
    tenant.post("/api/auth/reauth", json!({"password": PASSWORD})).await.expect(200);
    tenant.get("/api/analytics/cta/export?from=2026-01-01&to=2026-01-02").await.expect_status(200);

    // What it owes waits while others' goes out, and leaves once it may.
    alter(&tenant, "update effects set next_attempt_at = now(); update messages set send_at = now()");
    let other = json!({"leadId": bystander.lead(json!({})).await["id"], "channel": "email", "body": "Hello"});
    let other = bystander.post("/api/messages/send", other).await.expect(202);
    until_sent(&bystander, &format!("/api/messages/{}", text(&other["messageId"]))).await;
    assert_eq!(tenant.get(&message).await.expect(200)["status"], "scheduled");
    operate(json!({"tenant": tenant.id, "status": "active"})).await.unwrap();
    tenant.post("/api/leads", json!({"firstName": "New"})).await.expect(201);
    until_sent(&tenant, &message).await;
    let own = tenant.get("/api/tenant").await.expect(200);
    assert_eq!((&own["status"], &own["statusReason"]), (&json!("active"), &Value::Null));

    let log = tenant.get("/api/audit?action=tenant.suspended,tenant.active&sort=seq").await.expect(200);
    let entries = log["items"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        entries.iter().map(|entry| (text(&entry["action"]), text(&entry["actorKind"]))).collect();
    assert_eq!(told, [("tenant.suspended", "system"), ("tenant.active", "system")]);
    assert_eq!(entries[0]["after"]["statusReason"], "unpaid since January");
    assert_eq!(tenant.get("/api/audit/verify").await.expect(200)["ok"], true);
}

#[tokio::test]
async fn an_order_that_says_too_little_too_much_or_nobody_changes_nothing() {
    let tenant = Tenant::new().await;
    for (order, wrong) in [
        (json!({"tenant": tenant.id, "status": "suspended"}), "/reason"),
        (json!({"tenant": tenant.id, "status": "closed", "reason": "x"}), "/status"),
        (json!({"tenant": tenant.id}), "/status"),
        (json!({"status": "active"}), "/tenant"),
        (json!({"tenant": tenant.id, "status": "active", "until": "2027-01-01"}), "/until"),
        (
            json!({"tenant": tenant.id, "status": "active", "trialEndsAt": "2027-01-01T00:00:00Z"}),
            "/trialEndsAt",
        ),
        (json!({"tenant": tenant.id, "status": "trial", "trialEndsAt": "soon"}), "/trialEndsAt"),
        (json!([1]), ""),
        (json!({"tenant": "nobody-has-this-slug", "status": "active"}), "no business"),
        (json!({"tenant": "0198a000-0000-7000-8000-00000000dead", "status": "active"}), "no business"),
    ] {
        let refused = operate(order.clone()).await.unwrap_err().to_string();
        assert!(refused.contains(wrong), "{order}: {refused}");
    }
    assert_eq!(tenant.get("/api/tenant").await.expect(200)["status"], "trial");
    assert_eq!(operate(json!({})).await.unwrap(), json!({"applied": 0}));
}

#[tokio::test]
async fn a_trial_ends_in_the_night_after_its_last_day() {
    let (over, running, endless) = (Tenant::new().await, Tenant::new().await, Tenant::new().await);
    let trial =
        |tenant: &Tenant, ends: &str| json!({"tenant": tenant.id, "status": "trial", "trialEndsAt": ends});
    operate(trial(&over, "2026-01-01T00:00:00Z")).await.unwrap();
    operate(trial(&running, "2199-01-01T00:00:00Z")).await.unwrap();
    // Somebody else's night may have had this minute already.
    let own = eventually("the night ending a trial", async || {
        night().await;
        let own = over.get("/api/tenant").await.expect(200);
        (own["status"] == "suspended").then_some(own)
    })
    .await;
    assert_eq!(own["statusReason"], "trial_ended");
    over.post("/api/leads", json!({"firstName": "New"})).await.expect_problem(423, "tenant_suspended");
    let log = over.get("/api/audit?action=tenant.suspended").await.expect(200);
    assert_eq!(log["items"][0]["after"]["statusReason"], "trial_ended");
    for tenant in [&running, &endless] {
        assert_eq!(tenant.get("/api/tenant").await.expect(200)["status"], "trial");
        tenant.lead(json!({})).await;
    }
}
