//! Another business with a row of every kind, each carrying a word that must never be seen outside.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Tenant;

/// The business next door.
pub struct Neighbour {
    tenant: Tenant,
    ids: BTreeMap<&'static str, String>,
    canary: String,
}

impl Neighbour {
    /// Opens a business and fills it.
    pub async fn new() -> Self {
        Self::of(Tenant::new().await).await
    }

    /// Fills a business.
    pub async fn of(tenant: Tenant) -> Self {
        let canary = format!("canary{}", tenant.id.replace('-', ""));
        let mut neighbour = Self { tenant, ids: BTreeMap::new(), canary };
        neighbour.know("user", neighbour.tenant.registration["user"]["id"].clone());
        let sessions = neighbour.tenant.get("/api/auth/sessions").await.expect(200);
        neighbour.know("session", sessions["items"][0]["id"].clone());
        neighbour
            .add("key", "/api/api-keys", json!({"name": "$", "kind": "secret", "scopes": ["leads:read"]}))
            .await;
        neighbour
            .add("lead", "/api/leads", json!({"firstName": "$", "lastName": "$", "email": "$@example.com"}))
            .await;
        let lead = format!("/api/leads/{}", neighbour.id("lead"));
        neighbour.add("activity", &format!("{lead}/activities"), json!({"kind": "note", "body": "$"})).await;
        neighbour
            .add(
                "identity",
                &format!("{lead}/identities"),
                json!({"kind": "email", "value": "second$@example.com"}),
            )
            .await;
        neighbour.add_message().await;
        neighbour
            .add("template", "/api/templates", json!({"name": "$", "channel": "sms", "body": "$"}))
            .await;
        let connection = json!({"channel": "whatsapp", "provider": "sandbox", "name": "$"});
        neighbour.add("connection", "/api/connections", connection).await;
        neighbour.add_pipeline().await;
        let field = json!({"entity": "lead", "key": "secret", "label": "$", "type": "text"});
        neighbour.add("customField", "/api/custom-fields", field).await;
        let segment = json!({"name": "$", "conditions": {"field": "status", "op": "eq", "value": "new"}});
        neighbour.add("segment", "/api/segments", segment).await;
        let policy = json!({"name": "$", "members": [{"userId": neighbour.id("user")}]});
        neighbour.add("policy", "/api/assignment-policies", policy).await;
        neighbour.add("source", "/api/webhooks/sources", json!({"provider": "forms", "name": "$"})).await;
        neighbour.add_receipt().await;
        let endpoint = json!({"url": "https://example.com/$", "events": ["*"], "description": "$"});
        neighbour.add("endpoint", "/api/webhook-endpoints", endpoint).await;
        let lead = neighbour.id("lead");
        let metric = json!({"leadId": lead, "type": "steps", "value": 7, "unit": "count", "note": "$",
            "startAt": "2026-01-01T08:00:00Z"});
        neighbour.add("metric", "/api/wellness/metrics", metric).await;
        let goal = json!({"leadId": lead, "type": "steps", "target": 9, "title": "$"});
        neighbour.add("goal", "/api/wellness/goals", goal).await;
        neighbour.add_finance().await;
        neighbour.add_run().await;
        neighbour.add_job().await;
        neighbour
    }

    fn know(&mut self, kind: &'static str, id: Value) {
        self.ids.insert(kind, id.as_str().unwrap_or_else(|| panic!("no {kind} was made: {id}")).to_owned());
    }

    /// Makes a row with the canary wherever the body says `$`, and `$kind` replaced by the id of an earlier row.
    async fn add(&mut self, kind: &'static str, path: &str, body: Value) -> Value {
        let body: Value = serde_json::from_str(&body.to_string().replace('$', &self.canary)).unwrap();
        let made = self.tenant.post(path, body).await;
        assert!(made.status.is_success(), "{made}");
        let made: Value = serde_json::from_str(&made.text).unwrap();
        self.know(kind, made["id"].clone());
        made
    }

    /// A message that waits, so that nothing about it changes by itself.
    async fn add_message(&mut self) {
        let body = json!({"leadId": self.id("lead"), "channel": "email", "subject": self.canary, "body": self.canary,
                          "sendAt": "2199-01-01T00:00:00Z"});
        let sending = self.tenant.post("/api/messages/send", body).await.expect(202);
        self.know("message", sending["messageId"].clone());
        self.know("conversation", sending["conversationId"].clone());
    }

    /// A draft, an invoice with a payment, an item with its tax, a shift with a sale.
    async fn add_finance(&mut self) {
        self.add("tax", "/api/finance/tax-rates", json!({"name": "$", "rate": "19"})).await;
        let item = json!({"name": "$", "sku": "$", "unitPrice": 100, "taxRateIds": [self.id("tax")]});
        self.add("item", "/api/finance/catalog", item).await;
        let lines = json!([{"description": "$", "quantity": "2", "unitPrice": 500}]);
        let document = json!({"leadId": self.id("lead"), "lines": lines, "memo": "$"});
        self.add("draft", "/api/finance/invoices", document.clone()).await;
        let invoice = self.add("invoice", "/api/finance/invoices", document).await;
        self.know("invoiceLine", invoice["lines"][0]["id"].clone());
        let path = format!("/api/finance/invoices/{}", self.id("invoice"));
        self.tenant.post(&format!("{path}/finalize"), json!({})).await.expect(200);
        let paid = json!({"amount": 700, "tender": "card", "reference": "$"});
        self.add("payment", &format!("{path}/payments"), paid).await;
        self.add("shift", "/api/finance/pos/shifts", json!({"registerKey": "$", "openFloat": 0})).await;
        let sale = json!({"shiftId": self.id("shift"), "lines": lines, "tenders": [{"tender": "card", "amount": 1000}]});
        let sale = self.add("sale", "/api/finance/pos/sales", sale).await;
        self.know("saleLine", sale["receipt"]["lines"][0]["id"].clone());
    }

    /// An automation with a run that waits.
    async fn add_run(&mut self) {
        let steps = json!([{"id": "rest", "type": "wait", "for": "P300D"}]);
        let automation = json!({"name": "$", "trigger": {"type": "manual"}, "steps": steps});
        self.add("automation", "/api/automations", automation).await;
        let path = format!("/api/automations/{}", self.id("automation"));
        self.tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
        let started = json!({"leadIds": [self.id("lead")]});
        let started = self.tenant.post(&format!("{path}/execute"), started).await.expect(202);
        self.know("run", started["runIds"][0].clone());
    }

    async fn add_pipeline(&mut self) {
        let body = json!({"name": "$", "stages": [{"name": "$"}]});
        let pipeline = self.add("pipeline", "/api/pipelines", body).await;
        self.know("stage", pipeline["stages"][0]["id"].clone());
    }

    /// A form is filled in, so that there are a receipt, a second lead and events.
    async fn add_receipt(&mut self) {
        let body = json!({"provider": "forms", "name": "Second form"});
        let source = self.tenant.post("/api/webhooks/sources", body).await.expect(201);
        let form = json!({"name": self.canary, "email": format!("form{}@example.com", self.canary)});
        let path = format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap());
        let answer = self.tenant.post(&path, form).await;
        assert!(answer.status.is_success(), "{answer}");
        let receipts = self.tenant.get("/api/webhooks/receipts").await.expect(200);
        self.know("receipt", receipts["items"][0]["id"].clone());
    }

    /// Whether its rows are as they were: nobody else has changed or removed them.
    pub async fn is_untouched(&self) {
        let lead = self.tenant.get(&format!("/api/leads/{}", self.id("lead"))).await.expect(200);
        assert_eq!(lead["firstName"], self.canary);
        let endpoint =
            self.tenant.get(&format!("/api/webhook-endpoints/{}", self.id("endpoint"))).await.expect(200);
        assert_eq!(endpoint["description"], self.canary);
        let integrity = self.tenant.get("/api/finance/integrity").await.expect(200);
        assert_eq!(integrity["ok"], true, "{integrity}");
        let job = self.tenant.get(&format!("/api/jobs/{}", self.id("job"))).await.expect(200);
        assert_eq!(job["status"], "awaitingParts");
        self.tenant.get("/api/me").await.expect(200);
    }

    /// An upload that waits for its parts, with the canary in one.
    async fn add_job(&mut self) {
        let request = self.tenant.request(reqwest::Method::POST, "/api/leads/import?upload=parts");
        let job = self.tenant.send(request).await.expect(201);
        self.know("job", job["id"].clone());
        let path = format!("/api/jobs/{}/parts/1", self.id("job"));
        let part =
            self.tenant.request(reqwest::Method::PUT, &path).body(format!("firstName\n{}\n", self.canary));
        self.tenant.send(part).await.expect(200);
    }

    /// The id of its row of a kind.
    pub fn id(&self, kind: &str) -> String {
        self.ids
            .get(kind)
            .unwrap_or_else(|| panic!("the neighbour has no `{kind}`; see tests/it/tenancy/neighbour.rs"))
            .clone()
    }

    /// All its ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.values().map(String::as_str)
    }

    /// The word in its data.
    pub fn canary(&self) -> &str {
        &self.canary
    }

    /// The business itself.
    pub fn business(&self) -> &Tenant {
        &self.tenant
    }

    /// Its tenant.
    pub fn tenant(&self) -> uuid::Uuid {
        self.tenant.id.parse().unwrap()
    }
}
