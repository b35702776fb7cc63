//! What the operator decides: trial, active, suspended.

use chrono::{TimeDelta, Utc};
use migrate::RunError;
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    app::App,
    config::{Config, Needs},
};

use super::{alter, login, mail, sign_in, text};
use crate::support::{
    Client, Tenant, eventually, stack,
    tenant::{self, PASSWORD, unique_email},
};

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
async fn what_comes_due_while_a_business_is_suspended_leaves_once_when_it_is_active_again() {
    let (tenant, bystander) = (Tenant::new().await, Tenant::new().await);
    let at = |seconds| (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339();
    let plan = async |tenant: &Tenant, send_at: String| {
        let lead = tenant.lead(json!({"email": tenant::unique_email("due")})).await;
        let message = json!({"leadId": lead["id"], "channel": "email", "body": "Hello", "sendAt": send_at});
        let sent = tenant.post("/api/messages/send", message).await.expect(202);
        (format!("/api/messages/{}", text(&sent["messageId"])), text(&lead["email"]).to_owned())
    };
    // The hint to send it is on its way before the business is suspended.
    let (message, recipient) = plan(&tenant, at(5)).await;
    let (later, _) = plan(&bystander, at(7)).await;
    operate(json!({"tenant": tenant.id, "status": "suspended", "reason": "unpaid"})).await.unwrap();
    let forgotten = json!({"email": tenant.email});
    Client::anonymous().post("/api/auth/forgot", forgotten).await.expect_status(202);
    mail(&tenant, &tenant.email, "Choose a new password").await;
    until_sent(&bystander, &later).await;
    assert_eq!(tenant.get(&message).await.expect(200)["status"], "scheduled");
    let received = async || {
        let request =
            tenant.request(Method::GET, "/api/messages/sandbox").query(&[("recipient", &recipient)]);
        tenant.send(request).await.expect(200)["items"].as_array().unwrap().len()
    };
    assert_eq!(received().await, 0);
    operate(json!({"tenant": tenant.id, "status": "active"})).await.unwrap();
    until_sent(&tenant, &message).await;
    assert_eq!(received().await, 1);
}

#[tokio::test]
async fn a_suspended_business_exports_and_its_other_jobs_rest_until_they_are_ended_or_it_goes_on() {
    let tenant = Tenant::new().await;
    tenant.lead(json!({})).await;
    let csv = |method, path: String, body: &'static str| {
        tenant.send(tenant.request(method, &path).header("content-type", "text/csv").body(body))
    };
    let mut imports = Vec::new();
    for body in ["email\nrests@example.com\n", "email\nends@example.com\n"] {
        let job = csv(Method::POST, "/api/leads/import?upload=parts".to_owned(), "").await.expect(201);
        let path = format!("/api/jobs/{}", text(&job["id"]));
        csv(Method::PUT, format!("{path}/parts/1"), body).await.expect(200);
        imports.push(path);
    }
    operate(json!({"tenant": tenant.id, "status": "suspended", "reason": "unpaid"})).await.unwrap();
    let start = format!("{}/start", imports[0]);
    tenant.post(&start, json!({})).await.expect_problem(423, "tenant_suspended");
    // As if they had been started just before.
    alter(&tenant, "update jobs set status = 'queued'");
    let export = tenant.send(tenant.request(Method::POST, "/api/leads/export?format=csv")).await.expect(202);
    let ended = async |path: String| {
        eventually("the job", async || {
            let job = tenant.get(&path).await.expect(200);
            ["completed", "failed"].contains(&text(&job["status"])).then_some(job)
        })
        .await
    };
    let export = ended(format!("/api/jobs/{}", text(&export["id"]))).await;
    assert_eq!((&export["status"], &export["result"]["rows"]), (&json!("completed"), &json!(1)), "{export}");
    for path in &imports {
        assert_eq!(tenant.get(path).await.expect(200)["status"], "queued");
    }
    let cancelled = tenant.post(&format!("{}/cancel", imports[1]), json!({})).await.expect(202);
    assert_eq!(cancelled["status"], "cancelled");
    operate(json!({"tenant": tenant.id, "status": "active"})).await.unwrap();
    let import = ended(imports[0].clone()).await;
    assert_eq!((&import["status"], &import["created"]), (&json!("completed"), &json!(1)), "{import}");
    assert_eq!(tenant.get("/api/leads?include=total").await.expect(200)["total"], 2);
}

#[tokio::test]
async fn a_suspended_business_takes_nobody_in_and_its_people_keep_their_accounts() {
    const NEW_PASSWORD: &str = "another horse, another battery";
    let tenant = Tenant::new().await;
    let guest = json!({"email": unique_email("guest"), "role": "staff"});
    let invite = tenant.post("/api/users/invite", guest).await.expect(201);
    let moved = unique_email("moved");
    let asked = tenant.post("/api/me/email", json!({"email": moved})).await.expect(202);
    operate(json!({"tenant": tenant.id, "status": "suspended", "reason": "unpaid"})).await.unwrap();

    let anonymous = Client::anonymous();
    let accept = json!({"token": invite["token"], "password": PASSWORD});
    anonymous.post("/api/auth/accept-invite", accept.clone()).await.expect_problem(423, "tenant_suspended");
    // How one signs in is one's own affair: a stolen password is changed whether or not the business has paid.
    anonymous.post("/api/auth/verify-email", json!({"token": asked["token"]})).await.expect(200);
    let forgotten = anonymous.post("/api/auth/forgot", json!({"email": moved})).await.expect(202);
    let reset = json!({"token": forgotten["token"], "password": NEW_PASSWORD});
    anonymous.post("/api/auth/reset", reset).await.expect(204);
    let session = login(json!({"email": moved, "password": NEW_PASSWORD})).await.expect(200);
    let change = json!({"currentPassword": NEW_PASSWORD, "newPassword": PASSWORD});
    super::client(&session).post("/api/me/password", change).await.expect(200);
    sign_in(&moved).await;

    operate(json!({"tenant": tenant.id, "status": "active"})).await.unwrap();
    anonymous.post("/api/auth/accept-invite", accept).await.expect(200);
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
