//! The life of one person with a business: a word of theirs in everything that the API lets anybody write.

use reqwest::Method;
use serde_json::{Value, json};
use shared::webhooks::verify;

use crate::support::{Client, Tenant, eventually, stack};

/// What a person left behind.
pub struct Life {
    /// The lead.
    pub lead: Value,
    /// One that was merged into it.
    pub absorbed: Value,
    /// The primary address.
    pub email: String,
    /// A scheduled message.
    pub scheduled: String,
    /// A waiting run.
    pub run: String,
    /// A draft.
    pub draft: Value,
    /// A finalized and paid invoice.
    pub invoice: Value,
    /// The webhooks that named them.
    pub receipts: Vec<String>,
    /// Words that nobody else uses, as any table might spell them.
    pub words: Vec<String>,
}

impl Life {
    /// Path of the lead, with more behind it.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/leads/{}{rest}", id(&self.lead))
    }

    /// Lives it. `word` is unique, of lower-case letters; `number` has nine digits.
    pub async fn of(tenant: &Tenant, word: &str, number: &str) -> Self {
        let email = format!("{word}@example.com");
        let (lead, absorbed) = known(tenant, word, number).await;
        let at = |rest: &str| format!("/api/leads/{}{rest}", id(&lead));
        noted(tenant, word, &at).await;
        let mut receipts = posted(tenant, word, number).await;
        let (scheduled, draft_message) = written(tenant, word, &lead).await;
        let run = automated(tenant, word, &lead).await;
        let (draft, invoice) = billed(tenant, word, &lead).await;
        measured(tenant, word, &lead).await;
        visited(tenant, word, &lead).await;
        receipts.push(answered(tenant, word, number).await);
        eventually("the message has left", async || {
            let sent = tenant.get(&format!("/api/messages/{draft_message}")).await.expect(200);
            (sent["status"] == "sent" || sent["status"] == "delivered").then_some(())
        })
        .await;
        // The last word about advertising.
        let refusal = json!({"channel": "email", "purpose": "marketing", "state": "revoked", "reason": word, "proof": {"text": word}});
        tenant.post(&at("/consents"), refusal).await.expect(201);
        let words = vec![word.to_owned(), word.to_uppercase(), number.to_owned()];
        Self { lead, absorbed, email, scheduled, run, draft, invoice, receipts, words }
    }
}

/// The id of a resource.
pub fn id(resource: &Value) -> &str {
    resource["id"].as_str().expect("a resource has an id")
}

/// What programs call it: nothing that tells of the person.
pub fn key_of(word: &str) -> String {
    word.bytes().rev().map(|letter| format!("{letter:x}")).collect()
}

async fn known(tenant: &Tenant, word: &str, number: &str) -> (Value, Value) {
    let consent = |channel: &str, state: &str| json!({"channel": channel, "purpose": "marketing", "state": state, "reason": word, "proof": {"text": word}});
    let body = json!({
        "firstName": word, "lastName": word, "email": format!("{word}@example.com"), "phone": format!("+49171{}", &number[2..]),
        "source": "instagram", "tags": [word], "customFields": {"diet": word}, "firstTouch": {"utm": {"source": word}},
        "consents": [consent("email", "revoked"), consent("sms", "granted")],
    });
    let request = tenant.request(Method::POST, "/api/leads").header("idempotency-key", key_of(word));
    let lead = tenant.send(request.json(&body)).await.expect(201);
    let at = |rest: &str| format!("/api/leads/{}{rest}", id(&lead));
    for (kind, value) in [
        ("email", format!("{word}.second@example.com")),
        ("external", format!("crm:{word}")),
        ("visitor", format!("visitor-{word}")),
    ] {
        tenant.post(&at("/identities"), json!({"kind": kind, "value": value})).await.expect(201);
    }
    let change =
        json!({"lastName": format!("{word} changed"), "lostReason": null, "timezone": "Europe/Berlin"});
    let _ = tenant.patch(&at(""), change).await;
    let body = json!({"firstName": format!("{word} twin"), "email": format!("{word}.twin@example.com")});
    let absorbed = tenant.post("/api/leads", body).await.expect(201);
    tenant
        .post(&format!("/api/leads/{}/activities", id(&absorbed)), json!({"kind": "note", "body": word}))
        .await
        .expect(201);
    let merge = json!({"survivorId": lead["id"], "absorbedIds": [absorbed["id"]]});
    tenant.post("/api/leads/merge", merge).await.expect(200);
    (lead, absorbed)
}

async fn noted(tenant: &Tenant, word: &str, at: &impl Fn(&str) -> String) {
    for kind in ["note", "call", "task", "visit"] {
        let activity = json!({"kind": kind, "title": word, "body": word, "data": {"told": word}});
        tenant.post(&at("/activities"), activity).await.expect(201);
    }
    let segment = json!({"name": "Everybody", "kind": "static", "conditions": {"field": "source", "op": "eq", "value": "instagram"}});
    tenant.post("/api/segments", segment).await.expect(201);
    let endpoint = json!({"url": "http://127.0.0.1:9/hook", "events": ["*"]});
    tenant.post("/api/webhook-endpoints", endpoint).await.expect(201);
}

/// A form, a signal that names an address only in its text, and one that cannot be read.
async fn posted(tenant: &Tenant, word: &str, number: &str) -> Vec<String> {
    let forms = source(tenant, "forms").await;
    let form = format!(
        "name={word}&email={word}%40example.com&phone=0171%20{}&message={word}&diet={word}&visitor_id=visitor-{word}&newsletter=yes",
        &number[2..]
    );
    let kind = "application/x-www-form-urlencoded";
    let form = post(&forms, kind, &[], form.into_bytes()).await;
    let generic = source(tenant, "generic").await;
    let body = json!({"type": "newsletter.read", "who": format!("<{}@EXAMPLE.com>", word.to_uppercase())})
        .to_string();
    let signature = verify::generic::sign(None, body.as_bytes(), generic["secret"].as_str().unwrap());
    let signal = post(&generic, "application/json", &[("x-signature", &signature)], body.into_bytes()).await;
    for receipt in [&form, &signal] {
        eventually("a receipt is settled", async || {
            let found = tenant.get(&format!("/api/webhooks/receipts/{receipt}")).await.expect(200);
            (found["status"] != "received").then_some(())
        })
        .await;
    }
    vec![form, signal]
}

/// An answer by text message.
async fn answered(tenant: &Tenant, word: &str, number: &str) -> String {
    let twilio = source(tenant, "twilio").await;
    let body =
        format!("MessageSid=SM{}&From=%2B49171{}&To=%2B4930123456&Body={word}", key_of(word), &number[2..]);
    let url = twilio["url"].as_str().unwrap();
    let signature = verify::twilio::sign(url, body.as_bytes(), twilio["secret"].as_str().unwrap());
    let kind = "application/x-www-form-urlencoded";
    let path = format!("/api/webhooks/twilio/{}", twilio["token"].as_str().unwrap());
    let request = Client::anonymous().request(Method::POST, &path).header("content-type", kind);
    let request = request.header("x-twilio-signature", signature).body(body);
    tenant.send(request).await.expect_status(200);
    eventually("the answer is in its conversation", async || {
        let found = tenant.get("/api/messages?channel=sms").await.expect(200);
        found["items"].as_array().unwrap().iter().any(|message| message["body"] == word).then_some(())
    })
    .await;
    let receipts = tenant.get("/api/webhooks/receipts?provider=twilio").await.expect(200);
    receipts["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn source(tenant: &Tenant, provider: &str) -> Value {
    tenant.post("/api/webhooks/sources", json!({"provider": provider, "name": provider})).await.expect(201)
}

async fn post(source: &Value, kind: &str, headers: &[(&str, &str)], body: Vec<u8>) -> String {
    let path = format!(
        "/api/webhooks/{}/{}",
        source["provider"].as_str().unwrap(),
        source["token"].as_str().unwrap()
    );
    let client = Client::anonymous();
    let mut request = client.request(Method::POST, &path).header("content-type", kind).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = client.send(request).await;
    assert!(answer.status.is_success(), "{answer}");
    let answer: Value = serde_json::from_str(&answer.text).unwrap();
    answer["receiptId"].as_str().unwrap().to_owned()
}

/// A message that waits and one that leaves.
async fn written(tenant: &Tenant, word: &str, lead: &Value) -> (String, String) {
    let message = json!({"leadId": lead["id"], "channel": "email", "subject": word, "body": word});
    let sent = tenant.post("/api/messages/send", message.clone()).await.expect(202);
    let mut later = message;
    later["sendAt"] = json!("2199-01-01T00:00:00Z");
    let scheduled = tenant.post("/api/messages/send", later).await.expect(202);
    let conversation = sent["conversationId"].as_str().unwrap();
    tenant.post(&format!("/api/conversations/{conversation}/notes"), json!({"body": word})).await.expect(201);
    let id = |sending: &Value| sending["messageId"].as_str().unwrap().to_owned();
    (id(&scheduled), id(&sent))
}

/// A run that has told a colleague, saved what it knows, and waits.
async fn automated(tenant: &Tenant, word: &str, lead: &Value) -> String {
    let steps = json!([
        {"id": "tell", "type": "notify", "role": "owner", "body": "{{ lead.firstName }} is here"},
        {"id": "note", "type": "createActivity", "kind": "note", "title": "{{ lead.email }}"},
        {"id": "rest", "type": "wait", "for": "P1D"},
    ]);
    let definition = json!({"name": "Welcome", "trigger": {"type": "manual"}, "steps": steps});
    let automation = tenant.post("/api/automations", definition).await.expect(201);
    let at = |rest: &str| format!("/api/automations/{}{rest}", id(&automation));
    tenant.post(&at("/publish"), json!({})).await.expect(200);
    let execute = json!({"leadIds": [lead["id"]], "payload": {"told": word}});
    let started = tenant.post(&at("/execute"), execute).await.expect(202);
    let run = started["runIds"][0].as_str().unwrap().to_owned();
    eventually("the run waits", async || {
        let found = tenant.get(&format!("/api/automations/runs/{run}")).await.expect(200);
        (found["status"] == "waiting").then_some(())
    })
    .await;
    run
}

async fn billed(tenant: &Tenant, word: &str, lead: &Value) -> (Value, Value) {
    let draft = |description: &str| json!({"leadId": lead["id"], "memo": word, "lines": [{"description": description, "quantity": "1", "unitPrice": 5_000}]});
    let thrown_away = tenant.post("/api/finance/invoices", draft(word)).await.expect(201);
    let invoice = tenant.post("/api/finance/invoices", draft("Coaching")).await.expect(201);
    let at = |rest: &str| format!("/api/finance/invoices/{}{rest}", id(&invoice));
    let invoice_now = tenant.post(&at("/finalize"), json!({})).await.expect(200);
    let payment = json!({"amount": 5_000, "tender": "bank", "reference": word});
    let payment = tenant.post(&at("/payments"), payment).await.expect(201);
    let refund = json!({"amount": 1_000, "reason": word});
    tenant.post(&format!("/api/finance/payments/{}/refund", id(&payment)), refund).await.expect(201);
    let shift = json!({"registerKey": format!("front-{}", &id(lead)[24..]), "openFloat": 0});
    let shift = tenant.post("/api/finance/pos/shifts", shift).await.expect(201);
    let sale = json!({"shiftId": shift["id"], "leadId": lead["id"], "tenders": [{"tender": "cash", "amount": 500}],
        "lines": [{"description": "Smoothie", "quantity": "1", "unitPrice": 500}]});
    tenant.post("/api/finance/pos/sales", sale).await.expect(201);
    (thrown_away, invoice_now)
}

async fn measured(tenant: &Tenant, word: &str, lead: &Value) {
    let metric = json!({"leadId": lead["id"], "type": "weight", "value": 70, "unit": "kg", "note": word,
        "startAt": "2026-01-01T08:00:00Z"});
    tenant.post("/api/wellness/metrics", metric).await.expect(201);
    let goal = json!({"leadId": lead["id"], "type": "steps", "target": 10_000, "title": word});
    tenant.post("/api/wellness/goals", goal).await.expect(201);
}

/// Clicks before and after it was known who clicked.
async fn visited(tenant: &Tenant, word: &str, lead: &Value) {
    let click = |event: &str| {
        json!({"eventId": format!("{}-{event}", &id(lead)[24..]), "surface": "landing", "ctaId": "book",
            "kind": "click", "visitorId": format!("visitor-{word}"), "page": format!("https://example.com/?mail={word}"),
            "referrer": format!("https://example.com/{word}"), "utm": {"content": word}})
    };
    let before = click("before");
    let mut after = click("after");
    after["leadId"] = lead["id"].clone();
    tenant.post("/api/analytics/cta", json!({"events": [before, after]})).await.expect(202);
}

/// What a dump of a business's rows still says of the words: table and word.
pub async fn traces(tenant: &Tenant, words: &[String]) -> Vec<String> {
    let id = tenant.id.parse().unwrap();
    shared::privacy::traces(&stack().owner_url, id, words).await.unwrap()
}
