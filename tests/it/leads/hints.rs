//! An address that people wrote down somewhere is read as a hint by whoever sees hints, on every route, and is not found out by asking.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use shared::webhooks::verify;

use super::path;
use crate::{
    support::{Answer, Client, Tenant, eventually, tenant::unique_email},
    tenancy::{Neighbour, routes, rows},
    webhooks::Source,
};

/// Somebody's address and number, in every place where people write.
struct World {
    neighbour: Neighbour,
    ids: BTreeMap<&'static str, String>,
    email: String,
    viewer: Client,
    staff: Client,
}

/// What staff reads of it. Whoever adds a route that shows more of what people wrote adds it here.
const TOLD: [&str; 26] = [
    "get_activity",
    "get_automation",
    "get_conversation",
    "get_cta_summary",
    "get_invoice",
    "get_lead",
    "get_message",
    "get_run",
    "get_segment",
    "get_template",
    "list_activities",
    "list_all_activities",
    "list_automation_versions",
    "list_automations",
    "list_conversation_messages",
    "list_conversations",
    "list_cta_events",
    "list_invoices",
    "list_lead_conversations",
    "list_leads",
    "list_messages",
    "list_notifications",
    "list_segments",
    "list_templates",
    "list_timeline",
    "preview_segment",
];

impl World {
    async fn new() -> Self {
        let tenant = Tenant::new().await;
        let (viewer, staff) = (tenant.colleague("viewer").await, tenant.colleague("staff").await);
        let (neighbour, email) = (Neighbour::of(tenant).await, unique_email("canary"));
        let mut world = Self { neighbour, ids: BTreeMap::new(), email, viewer, staff };
        world.fill_in_a_form().await;
        world.write_notes().await;
        world.exchange_messages().await;
        world.write_an_invoice().await;
        world.run_an_automation().await;
        world
    }

    fn tenant(&self) -> &Tenant {
        self.neighbour.business()
    }

    fn id(&self, kind: &str) -> String {
        self.ids.get(kind).cloned().unwrap_or_else(|| self.neighbour.id(kind))
    }

    fn know(&mut self, kind: &'static str, id: &Value) {
        self.ids.insert(kind, id.as_str().unwrap_or_else(|| panic!("no {kind} was made: {id}")).to_owned());
    }

    /// The address and both forms of the number.
    fn words(&self) -> String {
        format!("{} or 0171 2345699, from abroad +49 (171) 234-5699", self.email)
    }

    /// The address of a page that a form has sent them to.
    fn page(&self) -> String {
        let email = self.email.replace('@', "%40");
        format!("https://example.org/thanks?email={email}&tel=0171-2345699&mobile=%2B491712345699")
    }

    /// A person whose name is the address, with answers that no field takes.
    async fn fill_in_a_form(&mut self) {
        let field = json!({"entity": "lead", "key": "remark", "label": "Remark", "type": "text"});
        self.tenant().post("/api/custom-fields", field).await.expect(201);
        let settings = json!({"map": {"remark": "customFields.remark"}});
        let source = Source::new(self.tenant(), "forms", settings).await;
        let form = json!({
            "first_name": self.email, "last_name": "Canary", "email": self.email, "phone": "0171 2345699",
            "message": self.words(), "mail_again": self.email, "mobile_2": "0171/2345699", "digits": 1_712_345_699_u64,
            "spaced": "it is 0171, then 234 and 5699", "remark": format!("{} +491712345699", self.email),
            "utm_source": self.email, "utm_campaign": "+491712345699", "visitor_id": self.email,
        });
        source.post("application/json", &[], form.to_string()).await.expect(202);
        let search = format!("/api/leads?search={}", self.email);
        let lead = eventually("the lead", async || {
            self.tenant().get(&search).await.expect(200)["items"].as_array().unwrap().first().cloned()
        })
        .await;
        self.know("lead", &lead["id"]);
        let lost = json!({"lostReason": self.words()});
        self.tenant().patch(&path(&lead), lost).await.expect(200);
        let click = json!({
            "eventId": self.email, "surface": "landing", "ctaId": self.email, "kind": "click", "leadId": lead["id"],
            "visitorId": self.email, "page": self.page(), "referrer": self.page(), "utm": {"term": self.email},
        });
        self.tenant().post("/api/analytics/cta", click).await.expect(202);
        let about = json!({"field": "email", "op": "eq", "value": self.email});
        let segment = json!({"name": "Canaries", "conditions": about});
        let segment = self.tenant().post("/api/segments", segment).await.expect(201);
        self.know("segment", &segment["id"]);
    }

    async fn write_notes(&mut self) {
        let note = json!({
            "kind": "note", "title": self.words(), "body": self.words(),
            "data": {"where": [self.words()], "on": "2026-11-28", "amount": 12_345_678},
        });
        let notes = format!("/api/leads/{}/activities", self.id("lead"));
        let note = self.tenant().post(&notes, note).await.expect(201);
        self.know("activity", &note["id"]);
    }

    async fn exchange_messages(&mut self) {
        let template = json!({
            "name": "To themselves", "channel": "email", "subject": "For {{ lead.email }}",
            "body": format!("<p>You are {{{{ lead.email }}}}, {{{{ lead.phone }}}}. Not {}?</p>", self.email),
        });
        let template = self.tenant().post("/api/templates", template).await.expect(201);
        self.know("template", &template["id"]);
        let message = json!({"leadId": self.id("lead"), "channel": "email", "templateId": template["id"],
                             "sendAt": "2199-01-01T00:00:00Z"});
        let sending = self.tenant().post("/api/messages/send", message).await.expect(202);
        self.know("message", &sending["messageId"]);
        self.know("conversation", &sending["conversationId"]);
        let notes = format!("/api/conversations/{}/notes", self.id("conversation"));
        self.tenant().post(&notes, json!({"body": self.words()})).await.expect(201);
        let source = Source::new(self.tenant(), "twilio", json!({})).await;
        let form = [
            ("MessageSid", "SM1"),
            ("From", "+491712345699"),
            ("To", "+4930123456"),
            ("Body", &self.words()),
        ];
        let body = reqwest::Url::parse_with_params("http://x", form).unwrap().query().unwrap().to_owned();
        let signature = verify::twilio::sign(source.url(), body.as_bytes(), source.secret());
        let kind = "application/x-www-form-urlencoded";
        source.post(kind, &[("x-twilio-signature", &signature)], body).await.expect_status(200);
        let inbound = format!("/api/messages?leadId={}&direction=inbound", self.id("lead"));
        eventually("the answer", async || {
            self.tenant().get(&inbound).await.expect(200)["items"].as_array().unwrap().first().cloned()
        })
        .await;
    }

    async fn write_an_invoice(&mut self) {
        let lines = json!([{"description": self.words(), "quantity": "1", "unitPrice": 12_345_678}]);
        let invoice = json!({"leadId": self.id("lead"), "lines": lines, "memo": self.words()});
        let invoice = self.tenant().post("/api/finance/invoices", invoice).await.expect(201);
        self.know("invoice", &invoice["id"]);
        let finalize = format!("/api/finance/invoices/{}/finalize", self.id("invoice"));
        self.tenant().post(&finalize, json!({})).await.expect(200);
    }

    /// A run whose step fails with the person's address in what it was to do, after it has told everybody.
    async fn run_an_automation(&mut self) {
        let steps = json!([
            {"id": "note", "type": "createActivity", "kind": "note", "title": "For {{ lead.email }}"},
            {"id": "tag", "type": "addTags", "tags": [self.email]},
            {"id": "tell", "type": "notify", "role": "viewer", "title": "{{ lead.email }}",
             "body": format!("{{{{ lead.phone }}}} {}", self.email)},
            {"id": "call", "type": "webhook", "url": format!("https://nowhere.invalid/?mail={}", self.email)},
        ]);
        let automation =
            json!({"name": format!("For {}", self.email), "trigger": {"type": "manual"}, "steps": steps});
        let automation = self.tenant().post("/api/automations", automation).await.expect(201);
        self.know("automation", &automation["id"]);
        let base = format!("/api/automations/{}", self.id("automation"));
        self.tenant().post(&format!("{base}/publish"), json!({})).await.expect(200);
        let started = json!({"leadIds": [self.id("lead")]});
        let started = self.tenant().post(&format!("{base}/execute"), started).await.expect(202);
        self.know("run", &started["runIds"][0]);
        let run = format!("/api/automations/runs/{}", self.id("run"));
        eventually("what was told", async || {
            let run = self.tenant().get(&run).await.expect(200);
            (run["steps"].as_array().unwrap().len() >= 4).then_some(())
        })
        .await;
    }

    /// Whether the address or the number can be read in an answer, however they are written.
    fn is_told_by(&self, answer: &Answer) -> bool {
        let plain = answer.text.replace("%40", "@").replace("%2B", "+");
        let bare: String = plain.chars().filter(|character| !" -()./+,".contains(*character)).collect();
        plain.contains(&self.email) || bare.contains("1712345699")
    }
}

/// Every call that a viewer may read by, with the ids put in.
fn calls(world: &World) -> Vec<(String, Method, String, Option<Value>)> {
    let mut calls = Vec::new();
    for route in routes::routes().into_iter().filter(|route| route.role == "viewer") {
        let row = rows().into_iter().find(|row| row.operation == route.operation);
        let row = row.unwrap_or_else(|| panic!("{} has no row", route.operation));
        let ids: Vec<String> = row.path_ids.iter().map(|kind| world.id(kind)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let path = routes::fill(&route.path, &ids);
        if route.method == Method::GET {
            calls.push((route.operation, route.method, path, None));
        } else if route.operation == "preview_segment" {
            let tree = json!({"conditions": {"field": "lastName", "op": "eq", "value": "Canary"}});
            calls.push((route.operation, route.method, path, Some(tree)));
        }
    }
    let lead = format!("/api/leads/{}?expand=activities,conversations,invoices,runs", world.id("lead"));
    let summary = "/api/analytics/cta/summary?groupBy=cta,surface,variant".to_owned();
    calls.push(("get_lead".to_owned(), Method::GET, lead, None));
    calls.push(("get_cta_summary".to_owned(), Method::GET, summary, None));
    calls
}

async fn call(client: &Client, (_, method, path, body): &(String, Method, String, Option<Value>)) -> Answer {
    let request = client.request(method.clone(), path);
    client.send(if let Some(body) = body { request.json(body) } else { request }).await
}

#[tokio::test]
async fn whoever_sees_hints_reads_no_address_on_any_route() {
    let world = World::new().await;
    let (viewer, staff) = (&world.viewer, &world.staff);
    let mut told = BTreeSet::new();
    let calls = calls(&world);
    assert!(calls.len() > 40, "only {} calls", calls.len());
    for asked in &calls {
        let (seen, full) = (call(viewer, asked).await, call(staff, asked).await);
        full.expect(200);
        seen.expect(200);
        assert!(!world.is_told_by(&seen), "{seen}");
        if world.is_told_by(&full) {
            told.insert(asked.0.clone());
        }
    }
    let expected: BTreeSet<String> = TOLD.iter().map(|operation| (*operation).to_owned()).collect();
    assert_eq!(told, expected);
}

async fn count(client: &Client, path: &str) -> usize {
    client.get(path).await.expect(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn whoever_sees_hints_finds_no_address_by_asking() {
    let tenant = Tenant::new().await;
    let field = json!({"entity": "lead", "key": "remark", "label": "Remark", "type": "text"});
    tenant.post("/api/custom-fields", field).await.expect(201);
    let email = unique_email("zqx");
    let hidden = tenant
        .lead(json!({
            "firstName": email, "lastName": "Canary", "email": email, "customFields": {"remark": format!("Write to {email}")},
            "firstTouch": {"utm": {"source": email}},
        }))
        .await;
    let plain =
        json!({"firstName": "Plain", "lastName": "Canary", "customFields": {"remark": "Write to nobody"}});
    let plain = tenant.lead(plain).await;
    for (lead, word) in
        [(&hidden, format!("Zebra for {email}")), (&plain, "Zebra crossing 2026-11-28".to_owned())]
    {
        let message = json!({"leadId": lead["id"], "channel": "email", "subject": word, "body": "Hello", "sendAt": "2199-01-01T00:00:00Z"});
        tenant.post("/api/messages/send", message).await.expect(202);
        let lines = json!([{"description": "Hour", "quantity": "1", "unitPrice": 100}]);
        let memo = word.replace(&email, "0171 2345699");
        let invoice = json!({"leadId": lead["id"], "lines": lines, "memo": memo});
        tenant.post("/api/finance/invoices", invoice).await.expect(201);
    }
    let page = format!("https://example.org/?mail={}", email.replace('@', "%40"));
    let click = json!({"eventId": email, "surface": "page", "ctaId": "hero", "kind": "click", "leadId": hidden["id"], "page": page});
    tenant.post("/api/analytics/cta", click).await.expect(202);
    let (viewer, staff) = (tenant.colleague("viewer").await, tenant.colleague("staff").await);

    // Texts and names that hold an address are passed over, others are found.
    for list in [
        "/api/leads?search=canary",
        "/api/leads?sort=name&search=canary",
        "/api/conversations?search=zebra",
        "/api/finance/invoices?search=zebra",
    ] {
        assert_eq!((count(&staff, list).await, count(&viewer, list).await), (2, 1), "{list}");
    }
    for list in ["/api/leads?", "/api/leads?sort=name&", "/api/conversations?", "/api/finance/invoices?"] {
        let list = format!("{list}search=zqx");
        assert_eq!((count(&staff, &list).await, count(&viewer, &list).await), (1, 0), "{list}");
    }
    for filter in ["cf.remark[contains]=zqx", "cf.remark[startsWith]=Write%20to%20z"] {
        let list = format!("/api/leads?{filter}");
        assert_eq!((count(&staff, &list).await, count(&viewer, &list).await), (1, 0), "{list}");
    }
    assert_eq!(count(&viewer, "/api/leads?cf.remark[contains]=nobody").await, 1);
    for (comparison, by_staff, by_viewer) in [
        (json!({"field": "firstName", "op": "startsWith", "value": "zqx"}), 1, 0),
        (json!({"field": "name", "op": "contains", "value": "zqx"}), 1, 0),
        (json!({"field": "firstName", "op": "gt", "value": "q"}), 1, 0),
        (json!({"field": "firstTouch.utm.source", "op": "startsWith", "value": "zqx"}), 1, 0),
        (json!({"field": "cf.remark", "op": "contains", "value": "write"}), 2, 1),
        (json!({"field": "cf.remark", "op": "exists", "value": true}), 2, 2),
        (json!({"field": "lastName", "op": "startsWith", "value": "can"}), 2, 2),
    ] {
        for (client, expected) in [(&staff, by_staff), (&viewer, by_viewer)] {
            let preview = client.post("/api/segments/preview", json!({"conditions": comparison})).await;
            assert_eq!(preview.expect(200)["count"], expected, "{comparison}");
        }
    }

    // A number in a name is passed over whole; an address that is named in full is not compared at all.
    let numbered = tenant.lead(json!({"firstName": "Nat 0177 7165000", "lastName": "Canary"})).await;
    let named =
        |op: &str, value: Value| json!({"conditions": {"field": "firstName", "op": op, "value": value}});
    for (op, value) in [
        ("eq", json!("Nat 0177 7165000")),
        ("in", json!(["nobody", "Nat 0177 7165000"])),
        ("eq", json!(email)),
    ] {
        let asked = named(op, value);
        assert_eq!(staff.post("/api/segments/preview", asked.clone()).await.expect(200)["count"], 1);
        viewer.post("/api/segments/preview", asked).await.expect_problem(403, "field_masked");
    }
    tenant.delete(&super::path(&numbered)).await.expect(204);

    // What people answered, and what names an address in full, is not compared at all.
    let answered = json!({"field": "events.count", "where": {"type": "form.submitted", "fields.mobile": "0171"}, "op": "gte", "value": 1});
    let clicked = json!({"field": "events.count", "where": {"type": "cta.recorded", "ctaId": ["hero", email]}, "op": "gte", "value": 1});
    for (comparison, key) in [(&answered, "fields.mobile"), (&clicked, "ctaId")] {
        let tree = json!({"conditions": {"all": [{"not": [comparison]}]}});
        let problem = viewer.post("/api/segments/preview", tree.clone()).await;
        let problem = problem.expect_problem(403, "field_masked");
        assert_eq!(problem["field"], key);
        assert_eq!(problem["pointer"], format!("/conditions/all/0/not/0/where/{key}"));
        staff.post("/api/segments/preview", tree).await.expect(200);
    }
    let segment = json!({"name": "Answered", "conditions": {"not": [answered]}});
    let segment = tenant.post("/api/segments", segment).await.expect(201);
    let members = format!("/api/leads?segmentId={}", segment["id"].as_str().unwrap());
    assert_eq!(count(&viewer, &members).await, 2);
    for clicks in ["", "/summary", "/funnel"] {
        let clicks = format!("/api/analytics/cta{clicks}");
        let ask = async |client: &Client, name: &str, word: &str| {
            client.send(client.request(Method::GET, &clicks).query(&[(name, word)])).await
        };
        for (name, word) in [("page", page.as_str()), ("visitorId", &email)] {
            assert_eq!(ask(&viewer, name, word).await.expect_problem(403, "field_masked")["field"], name);
            ask(&staff, name, word).await.expect(200);
        }
        ask(&viewer, "page", "https://example.org/p/1234567").await.expect(200);
    }

    // The order of names tells nothing of one that is an address, nor does the place where a page ends.
    let first = viewer.get("/api/leads?sort=name&limit=1").await.expect(200);
    assert_eq!(first["items"][0]["id"], hidden["id"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    assert!(cursor.len() < 80, "{cursor}");
    let second = viewer.get(&format!("/api/leads?sort=name&limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&second["items"][0]["id"], &second["nextCursor"]), (&plain["id"], &Value::Null));
}
