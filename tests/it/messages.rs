//! Messages: from a request to a provider, once; and what stands in the way.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::support::{Tenant, eventually};

async fn send(tenant: &Tenant, body: Value) -> Value {
    tenant.post("/api/messages/send", body).await.expect(202)
}

/// The message, once it has one of the statuses.
async fn settled(tenant: &Tenant, message: &Value, statuses: &[&str]) -> Value {
    let path = format!("/api/messages/{}", message.as_str().unwrap());
    eventually(&format!("a message becomes {statuses:?}"), async || {
        let message = tenant.get(&path).await.expect(200);
        statuses.contains(&message["status"].as_str().unwrap()).then_some(message)
    })
    .await
}

async fn ledger(tenant: &Tenant, recipient: &str) -> Vec<Value> {
    let page = tenant
        .send(tenant.request(Method::GET, "/api/messages/sandbox").query(&[("recipient", recipient)]))
        .await
        .expect(200);
    page["items"].as_array().unwrap().clone()
}

fn verdict<'a>(sending: &'a Value, rule: &str) -> &'a str {
    let verdicts = sending["verdicts"].as_array().unwrap();
    verdicts
        .iter()
        .find(|verdict| verdict["rule"] == rule)
        .map_or("", |found| found["outcome"].as_str().unwrap())
}

async fn without_quiet_hours() -> Tenant {
    let tenant = Tenant::new().await;
    let never = json!({"quietHours": {"start": "00:00", "end": "00:00"}});
    tenant.patch("/api/tenant", never).await.expect(200);
    tenant
}

#[tokio::test]
async fn a_message_is_written_judged_and_sent_once() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"firstName": "Ada"})).await;
    let body = json!({"leadId": lead["id"], "channel": "email", "subject": "Hi {{ lead.firstName }}",
                      "body": "Welcome to {{ tenant.name }}, {{ vars.nick | default('friend') }}"});
    let sending = send(&tenant, body).await;
    assert_eq!((sending["status"].as_str(), verdict(&sending, "address")), (Some("queued"), "passed"));

    let message = settled(&tenant, &sending["messageId"], &["sent"]).await;
    assert_eq!(
        (&message["subject"], &message["body"]),
        (&json!("Hi Ada"), &json!("Welcome to Studio Nord, friend"))
    );
    let statuses: Vec<&str> =
        message["history"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["queued", "sending", "sent"]);

    let sent = ledger(&tenant, lead["email"].as_str().unwrap()).await;
    assert_eq!((sent.len(), &sent[0]["attempts"]), (1, &json!(1)));
    assert_eq!(message["providerId"], format!("sandbox-{}", sent[0]["id"].as_str().unwrap()));

    let conversation = format!("/api/conversations/{}", sending["conversationId"].as_str().unwrap());
    let thread = tenant.get(&format!("{conversation}/messages")).await.expect(200);
    assert_eq!(thread["items"][0]["id"], sending["messageId"]);
    let reply =
        tenant.post(&format!("{conversation}/messages"), json!({"body": "{{ as it is }}"})).await.expect(202);
    let reply = settled(&tenant, &reply["messageId"], &["sent"]).await;
    assert_eq!(
        (&reply["body"], &reply["conversationId"]),
        (&json!("{{ as it is }}"), &sending["conversationId"])
    );
}

#[tokio::test]
async fn one_key_sends_once_however_often_it_is_used() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let body = json!({"leadId": lead["id"], "channel": "email", "body": "Once"});
    let answers = join_all((0..10).map(async |_| {
        loop {
            let request = tenant.request(Method::POST, "/api/messages/send").header("idempotency-key", "k1");
            let answer = tenant.send(request.json(&body)).await;
            if answer.status != 409 {
                return answer.expect(202);
            }
        }
    }))
    .await;
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    settled(&tenant, &answers[0]["messageId"], &["sent"]).await;
    assert_eq!(ledger(&tenant, lead["email"].as_str().unwrap()).await.len(), 1);
}

#[tokio::test]
async fn advertising_needs_consent_and_ends_with_one_click() {
    let tenant = without_quiet_hours().await;
    let lead = tenant.lead(json!({})).await;
    let body = json!({"leadId": lead["id"], "channel": "email", "purpose": "marketing",
                      "body": "Buy! {{ unsubscribeUrl }}"});
    let blocked = send(&tenant, body.clone()).await;
    assert_eq!((blocked["status"].as_str(), verdict(&blocked, "consent")), (Some("blocked"), "blocked"));

    let consents = format!("/api/leads/{}/consents", lead["id"].as_str().unwrap());
    let granted = json!({"channel": "email", "purpose": "marketing", "state": "granted"});
    tenant.post(&consents, granted).await.expect(201);
    let sending = send(&tenant, body.clone()).await;
    let message = settled(&tenant, &sending["messageId"], &["sent"]).await;

    let text = message["body"].as_str().unwrap();
    let path = &text[text.find("/api/public/unsubscribe/").unwrap()..];
    let anonymous = crate::support::Client::anonymous();
    assert_eq!(anonymous.get(path).await.status, 200);
    assert_eq!(
        verdict(&send(&tenant, body.clone()).await, "suppression"),
        "passed",
        "looking changes nothing"
    );
    for _ in 0..2 {
        anonymous.send(anonymous.request(Method::POST, path)).await.expect(200);
    }
    let ended = send(&tenant, body).await;
    assert_eq!((ended["status"].as_str(), verdict(&ended, "suppression")), (Some("blocked"), "blocked"));
    let expected =
        send(&tenant, json!({"leadId": lead["id"], "channel": "email", "body": "Your invoice"})).await;
    assert_eq!(expected["status"], "queued");
    let forged = path.replace(&path[path.len() - 3..], "AAA");
    anonymous.send(anonymous.request(Method::POST, &forged)).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn advertising_in_quiet_hours_waits_for_their_end() {
    let tenant = Tenant::new().await;
    let now = clock::now().with_timezone(&chrono_tz::Europe::Berlin);
    let minute = |hours: i64| (now + TimeDelta::hours(hours)).format("%H:%M").to_string();
    let quiet = json!({"quietHours": {"start": minute(-1), "end": minute(3)}});
    tenant.patch("/api/tenant", quiet).await.expect(200);
    let lead = tenant.lead(json!({})).await;
    let consents = format!("/api/leads/{}/consents", lead["id"].as_str().unwrap());
    tenant
        .post(&consents, json!({"channel": "email", "purpose": "marketing", "state": "granted"}))
        .await
        .expect(201);

    let body = json!({"leadId": lead["id"], "channel": "email", "purpose": "marketing", "body": "Buy!"});
    let deferred = send(&tenant, body).await;
    assert_eq!(
        (deferred["status"].as_str(), verdict(&deferred, "quietHours")),
        (Some("deferred"), "deferred")
    );
    let send_at: DateTime<Utc> = deferred["sendAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(send_at.with_timezone(&chrono_tz::Europe::Berlin).format("%H:%M").to_string(), minute(3));
    let business =
        send(&tenant, json!({"leadId": lead["id"], "channel": "email", "body": "Your booking"})).await;
    assert_eq!(business["status"], "queued");
}

#[tokio::test]
async fn trouble_ends_in_a_failure_with_its_class_or_in_one_delivery() {
    let tenant = Tenant::new().await;
    let to = |to: &str| json!({"to": to, "channel": "email", "body": "Hello"});
    let refused = send(&tenant, to("fail@example.com")).await;
    let lost = send(&tenant, to("lost@example.com")).await;
    let flaky = send(&tenant, to("flaky@example.com")).await;

    let failed = settled(&tenant, &refused["messageId"], &["failed"]).await;
    assert_eq!(
        (&failed["failure"]["class"], &failed["failure"]["code"]),
        (&json!("permanent"), &json!("invalid_recipient"))
    );
    let retry = format!("/api/messages/{}/retry", failed["id"].as_str().unwrap());
    let again = tenant.post(&retry, json!({})).await.expect(202);
    let again = settled(&tenant, &again["messageId"], &["failed"]).await;
    assert_eq!(again["retryOfId"], failed["id"]);

    settled(&tenant, &lost["messageId"], &["sent"]).await;
    let once = ledger(&tenant, "lost@example.com").await;
    assert_eq!((once.len(), &once[0]["attempts"]), (1, &json!(2)), "the same key was used again");
    settled(&tenant, &flaky["messageId"], &["sent"]).await;
    let retry = format!("/api/messages/{}/retry", flaky["messageId"].as_str().unwrap());
    tenant.post(&retry, json!({})).await.expect_problem(409, "not_retryable");
}

#[tokio::test]
async fn a_scheduled_message_can_be_called_back() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let soon = clock::now() + TimeDelta::seconds(2);
    let body =
        |at: DateTime<Utc>| json!({"leadId": lead["id"], "channel": "email", "body": "Later", "sendAt": at});
    let kept = send(&tenant, body(soon)).await;
    let dropped = send(&tenant, body(soon)).await;
    assert_eq!(kept["status"], "scheduled");
    let schedule = format!("/api/messages/{}/schedule", dropped["messageId"].as_str().unwrap());
    assert_eq!(tenant.delete(&schedule).await.expect(200)["status"], "canceled");
    let message = settled(&tenant, &kept["messageId"], &["sent"]).await;
    assert!(message["sentAt"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() >= soon, "{message}");
    let path = format!("/api/messages/{}", dropped["messageId"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.expect(200)["status"], "canceled");
    let schedule = format!("/api/messages/{}/schedule", kept["messageId"].as_str().unwrap());
    tenant.delete(&schedule).await.expect_problem(409, "already_under_way");
}

#[tokio::test]
async fn templates_name_their_errors_and_what_they_miss_and_keep_their_versions() {
    let tenant = Tenant::new().await;
    let new = |body: &str| json!({"name": "Welcome", "channel": "email", "subject": "Hi", "body": body});
    let broken = tenant.post("/api/templates", new("one\n{{ lead. }}")).await;
    broken.expect_invalid("/body", "template_syntax");
    assert!(broken.text.contains("line 2"), "{broken}");

    let template =
        tenant.post("/api/templates", new("<p>{{ lead.firstName }} {{ vars.plan }}</p>")).await.expect(201);
    assert_eq!(
        (&template["version"], &template["variables"]),
        (&json!(1), &json!(["lead.firstName", "vars.plan"]))
    );
    let path = format!("/api/templates/{}", template["id"].as_str().unwrap());
    let lead = tenant.lead(json!({"firstName": "<b>Ada</b>"})).await;
    let rendered = tenant.post(&format!("{path}/render"), json!({"leadId": lead["id"]})).await.expect(200);
    assert_eq!(rendered["missing"], json!(["vars.plan"]));
    assert!(!rendered["html"].as_str().unwrap().contains("<b>"), "{rendered}");
    assert_eq!(rendered["body"], "<b>Ada</b>");

    let changed = tenant.patch(&path, json!({"body": "Hello"})).await.expect(200);
    assert_eq!(changed["version"], 2);
    assert_eq!(tenant.patch(&path, json!({"name": "Hello"})).await.expect(200)["version"], 2);
    let sms = json!({"leadId": lead["id"], "channel": "sms", "templateId": template["id"]});
    tenant.post("/api/messages/send", sms).await.expect_invalid("/templateId", "wrong_channel");
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_refused_account_is_paused_and_what_waits_for_it_goes_out_when_it_is_mended() {
    let tenant = Tenant::new().await;
    let (base, mut requests) = stand_in(vec![
        (401, r#"{"code":20003,"message":"Authenticate"}"#),
        (201, r#"{"sid":"SM00000000000000000000000000000001","status":"queued"}"#),
    ])
    .await;
    let connection = json!({"channel": "sms", "provider": "twilio", "name": "Main",
        "settings": {"accountSid": "AC123", "from": "+4930123456", "baseUrl": base,
                     "statusCallback": "https://example.com/api/webhooks/twilio/t"},
        "secrets": {"authToken": "secret-token"}});
    let made = tenant.post("/api/connections", connection).await;
    assert!(!made.text.contains("secret-token"), "{made}");
    let connection = made.expect(201);
    assert_eq!((&connection["isDefault"], &connection["status"]), (&json!(true), &json!("active")));
    let path = format!("/api/connections/{}", connection["id"].as_str().unwrap());

    let sending =
        send(&tenant, json!({"to": "+4915112345678", "channel": "sms", "body": "Grüße & Küsse"})).await;
    let first = requests.recv().await.unwrap();
    assert!(first.starts_with("POST /2010-04-01/Accounts/AC123/Messages.json "), "{first}");
    assert!(first.to_lowercase().contains("authorization: basic "), "{first}");
    assert!(first.contains("Body=Gr%C3%BC%C3%9Fe+%26+K%C3%BCsse") && first.contains("effect%3D"), "{first}");
    eventually("the account is paused", async || {
        (tenant.get(&path).await.expect(200)["status"] == "paused").then_some(())
    })
    .await;
    let notes = tenant.get("/api/notifications").await.expect(200);
    assert_eq!(notes["items"][0]["kind"], "connection.paused");
    let waiting =
        tenant.get(&format!("/api/messages/{}", sending["messageId"].as_str().unwrap())).await.expect(200);
    assert_eq!(waiting["status"], "queued");

    tenant.patch(&path, json!({"status": "active"})).await.expect(200);
    let sent = settled(&tenant, &sending["messageId"], &["sent"]).await;
    assert_eq!(sent["providerId"], "SM00000000000000000000000000000001");
    requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err(), "the provider was called twice");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_field() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let post = async |body: Value| tenant.post("/api/messages/send", body).await;
    post(json!({"channel": "email", "body": "x"})).await.expect_invalid("/leadId", "required");
    post(json!({"leadId": lead["id"], "channel": "email"})).await.expect_invalid("/body", "required");
    post(json!({"leadId": lead["id"], "channel": "pigeon", "body": "x"}))
        .await
        .expect_invalid("/channel", "unknown_value");
    post(json!({"to": "nobody", "channel": "email", "body": "x"}))
        .await
        .expect_invalid("/to", "invalid_email");
    post(json!({"leadId": lead["id"], "channel": "email", "body": "{{ x"}))
        .await
        .expect_invalid("/body", "template_syntax");
    let inject = json!({"leadId": lead["id"], "channel": "email", "body": "x", "subject": "{{ vars.a }}",
                        "variables": {"a": "Hi\r\nBcc: all@example.com"}});
    post(inject).await.expect_invalid("/subject", "line_break");
    let no_phone = send(&tenant, json!({"leadId": lead["id"], "channel": "sms", "body": "x"})).await;
    assert_eq!((no_phone["status"].as_str(), verdict(&no_phone, "address")), (Some("blocked"), "blocked"));
}

/// A provider's stand-in: answers in turn and tells each request as it came.
#[expect(clippy::disallowed_methods, reason = "the stand-in runs beside the test and ends with its runtime")]
pub(crate) async fn stand_in(answers: Vec<(u16, &'static str)>) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = unbounded_channel();
    drop(tokio::spawn(async move {
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let request = read_request(&mut socket).await;
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            tell.send(request).unwrap();
        }
    }));
    (base, told)
}

pub(crate) async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = socket.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) || read == 0 {
                return text;
            }
        }
    }
}
