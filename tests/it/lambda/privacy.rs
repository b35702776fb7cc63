//! Logs speak of ids, never of people: at the most talkative level nothing personal and no secret is written, by any
//! function, whatever goes wrong.

use std::collections::BTreeMap;

use local::functions::{APIS, SCHEDULES, WORKERS};
use serde_json::{Value, json};
use tests::lambda::{batch_failures, schedule, sqs_batch};

use super::world::World;

/// In every personal value and every secret of the test.
const CANARY: &str = "qanarium";
/// The digits of every telephone number.
const NUMBER: &str = "5155566677";
/// What a business does with the data of one person.
struct Day {
    world: World,
    token: String,
    refresh: String,
    secrets: Vec<String>,
    /// What the workers wrote, by function.
    written: BTreeMap<&'static str, Vec<String>>,
}

impl Day {
    async fn begin() -> Self {
        let mut world = World::new("privacy").await;
        world.set("LOG_LEVEL", "trace");
        let owner = json!({
            "businessName": CANARY, "name": CANARY, "email": format!("{CANARY}@example.com"), "password": password(),
            "country": "DE", "currency": "EUR",
        });
        let made = world.call("auth", "POST", "/api/auth/register", "", &owner.to_string()).await;
        let made = made.json().unwrap();
        let (token, refresh) = (text(&made["accessToken"]), text(&made["refreshToken"]));
        let secrets = vec![CANARY.to_owned(), NUMBER.to_owned(), token.clone(), refresh.clone()];
        Self { world, token, refresh, secrets, written: BTreeMap::new() }
    }

    async fn call(&self, function: &str, method: &str, path: &str, body: Value, status: u16) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.world.call(function, method, path, &self.token, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        answer.json().unwrap_or_default()
    }

    async fn post(&self, function: &str, path: &str, body: Value, status: u16) -> Value {
        self.call(function, "POST", path, body, status).await
    }

    /// A request that is refused, whichever way.
    async fn refused(&self, function: &str, path: &str, body: Value) {
        let answer = self.world.call(function, "POST", path, &self.token, &body.to_string()).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }

    /// What is wrong in the ways that a caller gets wrong: the answer says so, the log does not repeat it.
    async fn mistakes(&self, function: &str, path: &str) {
        let nobody = format!("{path}/0198a000-0000-7000-8000-00000000dead");
        self.post(function, path, json!({CANARY: CANARY}), 422).await;
        self.call(function, "GET", &format!("{path}?{CANARY}={CANARY}"), Value::Null, 422).await;
        self.call(function, "GET", &format!("{path}?cursor={CANARY}"), Value::Null, 422).await;
        let broken = format!("{{\"name\": \"{CANARY}");
        assert_eq!(self.world.call(function, "POST", path, &self.token, &broken).await.status, 400);
        let forged = self.world.call(function, "GET", path, CANARY, "").await;
        assert_eq!(forged.status, 401, "{}", forged.text());
        let missing = self.world.call(function, "PATCH", &nobody, &self.token, "{}").await;
        assert!([404, 405].contains(&missing.status), "{}", missing.text());
    }

    /// Lets the workers do what is due, until they have nothing to do or have had enough turns.
    async fn work(&mut self) {
        for _ in 0..8 {
            let hints = self.world.due().await;
            if hints.is_empty() {
                break;
            }
            for (worker, queue) in WORKERS {
                let due = hints.iter().filter(|hint| hint.kind.queue() == queue);
                let bodies: Vec<String> = due.map(|hint| serde_json::to_string(hint).unwrap()).collect();
                if bodies.is_empty() {
                    continue;
                }
                let environment = self.world.launch(worker);
                let outcome = environment.invoke(&sqs_batch("queue", &bodies)).await.unwrap();
                assert!(batch_failures(&outcome).unwrap().is_empty(), "{worker}");
                self.note(worker, environment.logs().into_iter().map(|line| line.text));
            }
        }
    }

    async fn tick(&mut self) {
        for name in SCHEDULES {
            let environment = self.world.launch(name);
            environment.invoke(&schedule(&json!({}))).await.unwrap().payload().unwrap();
            self.note(name, environment.logs().into_iter().map(|line| line.text));
        }
    }

    fn note(&mut self, function: &'static str, lines: impl Iterator<Item = String>) {
        self.written.entry(function).or_default().extend(lines);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn password() -> String {
    format!("{CANARY} battery staple")
}

/// Coming in by every door, rightly and wrongly.
async fn sign_in(day: &mut Day) {
    let login = |password: &str| json!({"email": format!("{CANARY}@example.com"), "password": password});
    day.post("auth", "/api/auth/login", login(&password()), 200).await;
    day.post("auth", "/api/auth/login", login(&format!("{CANARY} guess")), 401).await;
    day.post("auth", "/api/auth/reauth", json!({"password": CANARY}), 401).await;
    day.post("auth", "/api/auth/reauth", json!({"password": password()}), 200).await;
    let refreshed = day.post("auth", "/api/auth/refresh", json!({"refreshToken": day.refresh}), 200).await;
    day.secrets.push(text(&refreshed["refreshToken"]));
    day.post("auth", "/api/auth/refresh", json!({"refreshToken": CANARY}), 401).await;

    let key = json!({"name": CANARY, "kind": "secret", "scopes": ["leads:read"]});
    let key = day.post("auth", "/api/api-keys", key, 201).await;
    day.secrets.push(text(&key["key"]));
    let guest = json!({"email": format!("guest{CANARY}@example.com"), "role": "staff", "name": CANARY});
    let invited = day.post("auth", "/api/users/invite", guest.clone(), 201).await;
    day.secrets.push(text(&invited["token"]));
    day.post("auth", "/api/users/invite", guest, 409).await;
    let accept = |token: &Value| json!({"token": token, "password": password()});
    let colleague = day.post("auth", "/api/auth/accept-invite", accept(&invited["token"]), 200).await;
    day.post("auth", "/api/auth/accept-invite", accept(&invited["token"]), 410).await;
    day.post("auth", "/api/auth/accept-invite", accept(&json!(CANARY)), 404).await;
    let forgot = json!({"email": format!("guest{CANARY}@example.com")});
    let asked = day.post("auth", "/api/auth/forgot", forgot, 202).await;
    day.secrets.push(text(&asked["token"]));
    day.post("auth", "/api/auth/reset", accept(&asked["token"]), 204).await;
    day.post("auth", "/api/auth/reset", accept(&asked["token"]), 410).await;
    day.post("auth", "/api/auth/verify-email", json!({"token": CANARY}), 404).await;
    let user = format!("/api/users/{}", text(&colleague["user"]["id"]));
    day.call("auth", "PATCH", &user, json!({"name": CANARY, "team": CANARY}), 200).await;
    day.call("auth", "PATCH", "/api/me", json!({"name": CANARY}), 200).await;
    day.call("auth", "PATCH", "/api/tenant", json!({"name": CANARY}), 200).await;
    day.post("auth", "/api/me/email", json!({"email": format!("new{CANARY}@example.com")}), 202).await;
    let enrolment = day.post("auth", "/api/auth/mfa", json!({}), 200).await;
    day.secrets.extend([text(&enrolment["secret"]), text(&enrolment["recoveryCodes"][0])]);
    day.post("auth", "/api/auth/mfa/verify", json!({"code": CANARY}), 401).await;
    day.call("auth", "GET", &format!("/api/users?search={CANARY}"), Value::Null, 200).await;
    for path in ["/api/users", "/api/api-keys"] {
        day.mistakes("auth", path).await;
    }
}

/// A person, and what goes wrong with a person's data. Answers the lead.
async fn people(day: &mut Day) -> Value {
    let field = json!({"entity": "lead", "key": "diet", "label": CANARY, "type": "text"});
    day.post("leads", "/api/custom-fields", field, 201).await;
    let person = json!({"firstName": CANARY, "lastName": CANARY, "email": format!("lead{CANARY}@example.com"),
        "phone": format!("+491{NUMBER}"), "customFields": {"diet": CANARY}});
    let lead = day.post("leads", "/api/leads", person.clone(), 201).await["id"].clone();
    let path = format!("/api/leads/{}", text(&lead));
    day.post("leads", "/api/leads", person, 409).await;
    day.call("leads", "GET", &format!("/api/leads?search={CANARY}"), Value::Null, 200).await;
    day.call("leads", "PATCH", &path, json!({"lastName": CANARY, "customFields": {"diet": CANARY}}), 200)
        .await;
    day.call("leads", "PATCH", &path, json!({"email": CANARY}), 422).await;
    let identity = json!({"kind": "email", "value": format!("second{CANARY}@example.com")});
    day.post("leads", &format!("{path}/identities"), identity, 201).await;
    day.post("leads", &format!("{path}/activities"), json!({"kind": "note", "body": CANARY}), 201).await;
    day.post("leads", &format!("{path}/tags"), json!({"tags": [CANARY]}), 200).await;
    let who = json!({"field": "firstName", "op": "eq", "value": CANARY});
    day.post("leads", "/api/segments", json!({"name": CANARY, "conditions": who}), 201).await;
    day.post("leads", "/api/segments/preview", json!({"conditions": {"field": CANARY}}), 422).await;
    day.mistakes("leads", "/api/leads").await;

    let bulk = json!({"op": "addTags", "filter": {"search": CANARY}, "params": {"tags": [CANARY]}});
    day.post("jobs", "/api/leads/bulk", bulk, 202).await;
    day.refused("jobs", "/api/leads/bulk", json!({"op": CANARY})).await;
    let file = json!([{"firstName": CANARY, "email": format!("filed{CANARY}@example.com")}, {"email": CANARY, "phone": CANARY}]);
    day.post("jobs", "/api/leads/import", file, 202).await;
    day.post("jobs", "/api/leads/import", json!({CANARY: CANARY}), 202).await;
    day.call("jobs", "GET", &format!("/api/leads/export?search={CANARY}"), Value::Null, 200).await;
    day.post("jobs", &format!("/api/leads/export?search={CANARY}"), Value::Null, 202).await;
    lead
}

/// Messages, health data, money, clicks. Answers a message that will be sent.
async fn business(day: &mut Day, lead: &Value) -> Value {
    let endpoint =
        json!({"url": format!("https://{CANARY}.invalid/{CANARY}"), "events": ["*"], "description": CANARY});
    let endpoint = day.post("webhooks", "/api/webhook-endpoints", endpoint, 201).await;
    day.secrets.push(text(&endpoint["secret"]));
    day.mistakes("webhooks", "/api/webhook-endpoints").await;
    let steps = json!([{"id": "hello", "type": "sendMessage", "channel": "email", "subject": CANARY, "body": CANARY},
        {"id": "tell", "type": "notify", "role": "owner", "body": CANARY},
        {"id": "post", "type": "webhook", "url": format!("https://{CANARY}.invalid/"), "body": {"who": CANARY}}]);
    let automation = json!({"name": CANARY, "trigger": {"type": "manual"}, "steps": steps});
    let automation = day.post("automations", "/api/automations", automation, 201).await;
    let path = format!("/api/automations/{}", text(&automation["id"]));
    day.post("automations", &format!("{path}/publish"), json!({}), 200).await;
    let execute = json!({"leadIds": [lead], "payload": {"word": CANARY}});
    day.post("automations", &format!("{path}/execute"), execute, 202).await;
    day.mistakes("automations", "/api/automations").await;

    let template = json!({"name": CANARY, "channel": "email", "subject": CANARY, "body": CANARY});
    day.post("messages", "/api/templates", template, 201).await;
    let account = json!({"channel": "email", "provider": "resend", "name": CANARY, "secrets": {"apiKey": CANARY},
        "settings": {"from": format!("{CANARY}@example.com")}});
    day.post("messages", "/api/connections", account, 201).await;
    let sandbox = json!({"channel": "email", "provider": "sandbox", "name": CANARY, "isDefault": true});
    day.post("messages", "/api/connections", sandbox, 201).await;
    let message = json!({"leadId": lead, "channel": "email", "subject": CANARY, "body": CANARY});
    let sent = day.post("messages", "/api/messages/send", message, 202).await;
    let refused = json!({"to": "fail@example.com", "channel": "email", "subject": CANARY, "body": CANARY});
    day.post("messages", "/api/messages/send", refused, 202).await;
    let number = json!({"to": NUMBER, "channel": "email", "body": CANARY});
    day.refused("messages", "/api/messages/send", number).await;
    let note = format!("/api/conversations/{}/notes", text(&sent["conversationId"]));
    day.post("messages", &note, json!({"body": CANARY}), 201).await;
    day.mistakes("messages", "/api/templates").await;

    let metric = json!({"leadId": lead, "type": "weight", "value": 70, "unit": "kg", "note": CANARY,
        "startAt": "2026-01-01T08:00:00Z"});
    day.post("wellness", "/api/wellness/metrics", metric, 201).await;
    day.post(
        "wellness",
        "/api/wellness/goals",
        json!({"leadId": lead, "type": "steps", "target": 9, "title": CANARY}),
        201,
    )
    .await;
    day.mistakes("wellness", "/api/wellness/metrics").await;

    let lines = json!([{"description": CANARY, "quantity": "1", "unitPrice": 500}]);
    let invoice = json!({"leadId": lead, "lines": lines, "memo": CANARY});
    let invoice = day.post("finance", "/api/finance/invoices", invoice, 201).await;
    let path = format!("/api/finance/invoices/{}", text(&invoice["id"]));
    day.post("finance", &format!("{path}/finalize"), json!({}), 200).await;
    let paid = json!({"amount": 500, "tender": "card", "reference": CANARY});
    let paid = day.post("finance", &format!("{path}/payments"), paid, 201).await;
    let refund = format!("/api/finance/payments/{}/refund", text(&paid["id"]));
    day.post("finance", &refund, json!({"amount": 100, "reason": CANARY}), 201).await;
    day.refused("finance", &refund, json!({"amount": 9_999, "reason": CANARY})).await;
    day.mistakes("finance", "/api/finance/invoices").await;

    let click =
        json!({"eventId": CANARY, "surface": "page", "ctaId": CANARY, "kind": "click", "leadId": lead});
    day.post("analytics", "/api/analytics/cta", click, 202).await;
    day.call("analytics", "GET", &format!("/api/analytics/cta?{CANARY}=1"), Value::Null, 422).await;
    day.call("analytics", "GET", "/api/analytics/overview", Value::Null, 200).await;
    day.call("analytics", "GET", "/api/analytics/cta/export?from=2026-01-01&to=2099-01-01", Value::Null, 200)
        .await;
    sent
}

/// A form that is filled in, rightly and wrongly. Answers its receipt.
async fn forms(day: &mut Day) -> Value {
    let source = day
        .post("webhooks", "/api/webhooks/sources", json!({"provider": "forms", "name": CANARY}), 201)
        .await;
    day.secrets.push(text(&source["token"]));
    let form = json!({"name": CANARY, "email": format!("form{CANARY}@example.com"), "message": CANARY});
    let path = format!("/api/webhooks/forms/{}", text(&source["token"]));
    let receipt = day.post("webhooks", &path, form, 202).await;
    day.refused("webhooks", &format!("/api/webhooks/forms/{CANARY}"), json!({"name": CANARY})).await;
    let stripe =
        json!({"provider": "stripe", "name": CANARY, "secret": format!("whsec_{CANARY}0123456789abcdef")});
    let stripe = day.post("webhooks", "/api/webhooks/sources", stripe, 201).await;
    day.secrets.push(text(&stripe["token"]));
    let unsigned = format!("/api/webhooks/stripe/{}", text(&stripe["token"]));
    let refused = day.world.call("webhooks", "POST", &unsigned, "", &json!({"id": CANARY}).to_string()).await;
    assert!([400, 401].contains(&refused.status), "{}", refused.text());
    receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_any_log_names_a_person_or_a_secret() {
    let mut day = Day::begin().await;
    sign_in(&mut day).await;
    let lead = people(&mut day).await;
    let message = business(&mut day, &lead).await;
    let receipt = forms(&mut day).await;
    day.work().await;

    // The workers did what there was to do, so what they wrote is about it.
    let path = format!("/api/messages/{}", text(&message["messageId"]));
    let message = day.call("messages", "GET", &path, Value::Null, 200).await;
    assert!(["sent", "delivered"].contains(&message["status"].as_str().unwrap()), "{message}");
    let receipts =
        day.call("webhooks", "GET", "/api/webhooks/receipts?status=processed", Value::Null, 200).await;
    assert_eq!(receipts["items"][0]["id"], receipt["receiptId"], "{receipts}");
    let jobs = day.call("jobs", "GET", "/api/jobs", Value::Null, 200).await;
    let ended = jobs["items"].as_array().unwrap().iter().filter(|job| job["finishedAt"].is_string()).count();
    assert_eq!(ended, 4, "{jobs}");

    // The end of a person, and what the night does.
    let person = format!("/api/leads/{}", text(&lead));
    day.post("leads", &format!("{person}/privacy/export"), json!({}), 200).await;
    day.post("leads", &format!("{person}/privacy/erase"), json!({"reason": CANARY}), 200).await;
    day.tick().await;

    let verified = day.call("auth", "GET", "/api/audit/verify", Value::Null, 200).await;
    let anchored = day.written["nightly"]
        .iter()
        .any(|line| line.contains("audit log anchored") && line.contains(&text(&verified["head"]["hash"])));
    assert!(
        anchored && verified["ok"] == true,
        "the night writes the head of the audit log down: {verified}"
    );

    let apis = day.world.logs_by_function();
    for (function, _) in APIS {
        assert!(apis.get(function).is_some_and(|lines| lines.len() > 2), "{function} was not used");
    }
    for worker in WORKERS.map(|(worker, _)| worker).into_iter().chain(SCHEDULES) {
        assert!(day.written.contains_key(worker), "{worker} was not used");
    }
    let written = day.written.iter().map(|(name, lines)| (*name, lines));
    let spoken = apis.iter().map(|(name, lines)| (name.as_str(), lines)).chain(written);
    for (function, lines) in spoken {
        for line in lines {
            let lower = line.to_lowercase();
            let told = day.secrets.iter().find(|secret| lower.contains(&secret.to_lowercase()));
            assert!(told.is_none(), "a line of {function} tells `{}`: {line}", told.unwrap());
        }
    }
}
