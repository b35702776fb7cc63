//! For each route that changes something: a request that has its effect, with whatever it needs made before.
//!
//! The matrix's row says what a valid body is; here stands what must be true besides. What a deed uses up is made anew, so
//! that the deeds of a business can be done one after the other, in any order.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    auth::{client, mfa, sign_in},
    support::{
        Answer, Client, Tenant, eventually,
        tenant::{PASSWORD, unique_email},
    },
    tenancy::{
        Neighbour,
        routes::{Route, fill},
        rows,
    },
};

/// A request that has its effect once.
pub struct Deed {
    /// Who does it.
    pub by: Client,
    /// Who may read the log of the business where it is done.
    pub reader: Client,
    /// Where.
    pub path: String,
    /// With what.
    pub body: Body,
}

/// What a request carries.
#[derive(Clone)]
pub enum Body {
    Json(Value),
    /// A file of people.
    File(String),
}

impl Deed {
    /// Does it.
    pub async fn send(&self, method: &Method, key: Option<&str>, body: &Body) -> Answer {
        let mut request = self.by.request(method.clone(), &self.path);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.by
            .send(match body {
                Body::Json(body) => request.json(body),
                Body::File(text) => request.header("content-type", "text/csv").body(text.clone()),
            })
            .await
    }
}

impl Body {
    /// Another one.
    pub fn other(&self) -> Self {
        match self {
            Self::Json(body) => {
                let mut other = body.clone();
                other["another"] = json!("body");
                Self::Json(other)
            }
            Self::File(text) => Self::File(format!("{text}\n")),
        }
    }
}

/// Where a removable thing is made, by the operation that removes it.
const MADE_BY: [(&str, &str); 17] = [
    ("delete_api_key", "create_api_key"),
    ("delete_assignment_policy", "create_assignment_policy"),
    ("delete_automation", "create_automation"),
    ("delete_connection", "create_connection"),
    ("delete_custom_field", "create_custom_field"),
    ("delete_catalog_item", "create_catalog_item"),
    ("delete_goal", "create_goal"),
    ("delete_invoice", "create_invoice"),
    ("delete_lead", "create_lead"),
    ("delete_metric", "create_metric"),
    ("delete_pipeline", "create_pipeline"),
    ("delete_segment", "create_segment"),
    ("delete_tax_rate", "create_tax_rate"),
    ("delete_template", "create_template"),
    ("delete_user", "create_user"),
    ("delete_webhook_endpoint", "create_webhook_endpoint"),
    ("delete_webhook_source", "create_webhook_source"),
];

/// Makes what the route's deed needs.
pub async fn prepare(business: &Neighbour, route: &Route) -> Deed {
    let tenant = business.business();
    if let Some(deed) = at_the_door(tenant, &route.operation).await {
        return deed;
    }
    let row = rows().into_iter().find(|row| row.operation == route.operation).expect("every route has a row");
    let ids: Vec<String> = row.path_ids.iter().map(|kind| business.id(kind)).collect();
    let body = row.body_with(&|kind| business.id(kind)).unwrap_or_else(|| json!({}));
    let mut deed = Deed {
        by: tenant.owner.clone(),
        reader: tenant.owner.clone(),
        path: fill(&route.path, &ids.iter().map(String::as_str).collect::<Vec<_>>()),
        body: Body::Json(unlike_before(body)),
    };
    if let Some((_, maker)) = MADE_BY.iter().find(|(operation, _)| *operation == route.operation) {
        let maker = rows().into_iter().find(|row| row.operation == *maker).expect("every route has a row");
        let body = maker.body_with(&|kind| business.id(kind)).expect("what is made has a body");
        let collection = route.path.split("/{").next().expect("a path begins");
        let made = tenant.post(collection, unlike_before(body)).await.expect(201);
        deed.path = format!("{collection}/{}", text(&made["id"]));
        return deed;
    }
    complete(business, &route.operation, &mut deed).await;
    deed
}

/// What is unique is another each time.
fn unlike_before(mut body: Value) -> Value {
    if body["email"].is_string() {
        body["email"] = json!(unique_email("deed"));
    }
    if body["entity"].is_string() {
        body["key"] = json!(format!("deed{}", word()));
    }
    if body["startAt"].is_string() {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let minute = NEXT.fetch_add(1, Ordering::Relaxed);
        body["startAt"] = json!(format!("2026-02-01T{:02}:{:02}:00Z", minute / 60 % 24, minute % 60));
    }
    if body["registerKey"].is_string() {
        body["registerKey"] = json!(word());
    }
    body
}

/// A word that nobody else uses.
fn word() -> String {
    unique_email("w")
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .replace("examplecom", "")
}

/// What comes before anybody is known, and what ends the session that it is done with.
async fn at_the_door(tenant: &Tenant, operation: &str) -> Option<Deed> {
    let deed = |by: Client, path: &str, body: Value| {
        Some(Deed { by, reader: tenant.owner.clone(), path: path.to_owned(), body: Body::Json(body) })
    };
    let anonymous = Client::anonymous();
    match operation {
        "login" => deed(anonymous, "/api/auth/login", json!({"email": tenant.email, "password": PASSWORD})),
        "logout" => {
            let session = sign_in(&tenant.email).await;
            deed(client(&session), "/api/auth/logout", json!({}))
        }
        "logout_everywhere" => deed(tenant.colleague("viewer").await, "/api/auth/logout-all", json!({})),
        "delete_session" => {
            let session = sign_in(&tenant.email).await;
            let own = client(&session).get("/api/auth/sessions").await.expect(200);
            let current = own["items"].as_array()?.iter().find(|one| one["current"] == true)?;
            deed(tenant.owner.clone(), &format!("/api/auth/sessions/{}", text(&current["id"])), json!({}))
        }
        "register_tenant" => {
            // Its own log is read by its own owner, whom the answer names; see the test.
            let body = json!({"businessName": "Deed", "name": "Dee", "email": unique_email("dee"), "password": PASSWORD});
            deed(anonymous, "/api/auth/register", body)
        }
        "accept_invite" => {
            let invited = json!({"email": unique_email("guest"), "role": "staff"});
            let sent = tenant.post("/api/users/invite", invited).await.expect(201);
            deed(anonymous, "/api/auth/accept-invite", json!({"token": sent["token"], "password": PASSWORD}))
        }
        "forgot_password" => deed(anonymous, "/api/auth/forgot", json!({"email": tenant.email})),
        "reset_password" => {
            let (_, email) = colleague(tenant).await;
            let asked = anonymous.post("/api/auth/forgot", json!({"email": email})).await.expect(202);
            let body = json!({"token": asked["token"], "password": "another horse, another battery"});
            deed(anonymous, "/api/auth/reset", body)
        }
        "verify_email" => {
            let (colleague, _) = colleague(tenant).await;
            let asked =
                colleague.post("/api/me/email", json!({"email": unique_email("proved")})).await.expect(202);
            deed(anonymous, "/api/auth/verify-email", json!({"token": asked["token"]}))
        }
        "change_password" => {
            let (colleague, _) = colleague(tenant).await;
            let body = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
            deed(colleague, "/api/me/password", body)
        }
        "change_email" => {
            let (colleague, _) = colleague(tenant).await;
            deed(colleague, "/api/me/email", json!({"email": unique_email("elsewhere")}))
        }
        "enrol_mfa" => deed(colleague(tenant).await.0, "/api/auth/mfa", json!({})),
        "verify_mfa" | "delete_mfa" => {
            let (owner, enrolment) = mfa::with_app().await;
            let deed = |by: Client, path: &str, body: Value| {
                Some(Deed { by, reader: owner.owner.clone(), path: path.to_owned(), body: Body::Json(body) })
            };
            if operation == "delete_mfa" {
                return deed(owner.owner.clone(), "/api/auth/mfa", json!({}));
            }
            let body =
                json!({"challengeId": mfa::challenge(&owner).await, "code": enrolment["recoveryCodes"][0]});
            deed(anonymous, "/api/auth/mfa/verify", body)
        }
        _ => None,
    }
}

/// Somebody who can be changed without anybody missing it.
async fn colleague(tenant: &Tenant) -> (Client, String) {
    let email = unique_email("colleague");
    let new = json!({"name": "Colin", "email": email, "role": "staff", "password": PASSWORD});
    tenant.post("/api/users", new).await.expect(201);
    (client(&sign_in(&email).await), email)
}

/// What else must be there.
async fn complete(business: &Neighbour, operation: &str, deed: &mut Deed) {
    let tenant = business.business();
    match operation {
        "reauthenticate" => deed.body = Body::Json(json!({"password": PASSWORD})),
        "update_user" => {
            let (_, id) = tenant.bound("staff", "all").await;
            deed.path = format!("/api/users/{}", text(&id));
        }
        "resume_automation" | "publish_automation" | "pause_automation" | "execute_automation" => {
            let automation = json!({"name": "Deed", "trigger": {"type": "manual"},
                "steps": [{"id": "rest", "type": "wait", "for": "P300D"}]});
            let made = tenant.post("/api/automations", automation).await.expect(201);
            let path = format!("/api/automations/{}", text(&made["id"]));
            if operation != "publish_automation" {
                tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
            }
            if operation == "resume_automation" {
                tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
            }
            let verb = operation.split('_').next().expect("an operation has a verb");
            deed.path = format!("{path}/{verb}");
        }
        "cancel_run" => deed.path = format!("{}/cancel", run(business).await),
        "retry_run" => {
            let run = run(business).await;
            tenant.post(&format!("{run}/cancel"), json!({})).await.expect(200);
            deed.path = format!("{run}/retry");
        }
        "cancel_message" | "reschedule_message" => {
            let later = json!({"leadId": business.id("lead"), "channel": "email", "body": "Later",
                "sendAt": "2199-01-01T00:00:00Z"});
            let sending = tenant.post("/api/messages/send", later).await.expect(202);
            deed.path = format!("/api/messages/{}/schedule", text(&sending["messageId"]));
        }
        "retry_message" => {
            let refused = json!({"to": "fail@example.com", "channel": "email", "body": "Hello"});
            let sending = tenant.post("/api/messages/send", refused).await.expect(202);
            let path = format!("/api/messages/{}", text(&sending["messageId"]));
            eventually("the message has failed", async || {
                let message = tenant.get(&path).await.expect(200);
                (message["status"] == "failed").then_some(())
            })
            .await;
            deed.path = format!("{path}/retry");
        }
        "rotate_webhook_source" => {
            let source = json!({"provider": "stripe", "name": "Money", "secret": "whsec_fedcba9876543210fedcba9876543210"});
            let made = tenant.post("/api/webhooks/sources", source).await.expect(201);
            deed.path = format!("/api/webhooks/sources/{}/rotate", text(&made["id"]));
        }
        _ => complete_leads(business, operation, deed).await,
    }
}

/// The same for people and their files.
async fn complete_leads(business: &Neighbour, operation: &str, deed: &mut Deed) {
    let tenant = business.business();
    match operation {
        "import_leads" => {
            deed.body = Body::File(format!("firstName,email\nIda,{}\n", unique_email("imported")));
        }
        "put_job_part" => {
            deed.path = format!("{}/parts/1", upload(tenant).await);
            deed.body = Body::File("firstName\nIda\n".to_owned());
        }
        "start_job" => {
            let job = upload(tenant).await;
            let part = tenant.request(Method::PUT, &format!("{job}/parts/1")).body("firstName\nIda\n");
            tenant.send(part).await.expect(200);
            deed.path = format!("{job}/start");
        }
        "cancel_job" => deed.path = format!("{}/cancel", upload(tenant).await),
        "merge_leads" => {
            let (one, two) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
            deed.body = Body::Json(json!({"survivorId": one["id"], "absorbedIds": [two["id"]]}));
        }
        "unmerge_lead" => {
            let (one, two) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
            let merge = json!({"survivorId": one["id"], "absorbedIds": [two["id"]]});
            tenant.post("/api/leads/merge", merge).await.expect(200);
            deed.path = format!("/api/leads/{}/unmerge", text(&one["id"]));
            deed.body = Body::Json(json!({"absorbedId": two["id"]}));
        }
        "restore_lead" => {
            let lead = format!("/api/leads/{}", text(&tenant.lead(json!({})).await["id"]));
            tenant.delete(&lead).await.expect(204);
            deed.path = format!("{lead}/restore");
        }
        "delete_activity" => {
            let activities = format!("/api/leads/{}/activities", business.id("lead"));
            let made = tenant.post(&activities, json!({"kind": "note", "body": "Deed"})).await.expect(201);
            deed.path = format!("/api/activities/{}", text(&made["id"]));
        }
        "delete_identity" => {
            let identities = format!("/api/leads/{}/identities", business.id("lead"));
            let identity = json!({"kind": "email", "value": unique_email("identity")});
            let made = tenant.post(&identities, identity).await.expect(201);
            deed.path = format!("{identities}/{}", text(&made["id"]));
        }
        "erase_lead" => {
            let lead = tenant.lead(json!({})).await;
            deed.path = format!("/api/leads/{}/privacy/erase", text(&lead["id"]));
        }
        _ => complete_money(business, operation, deed).await,
    }
}

/// The same for money: what was paid and what was voided do not come back.
async fn complete_money(business: &Neighbour, operation: &str, deed: &mut Deed) {
    let tenant = business.business();
    match operation {
        "update_invoice" => deed.path = draft(business).await,
        "finalize_invoice" => deed.path = format!("{}/finalize", draft(business).await),
        "void_invoice" => deed.path = format!("{}/void", claim(business).await),
        "pay_invoice" => deed.path = format!("{}/payments", claim(business).await),
        "create_credit_note" => {
            deed.path = format!("{}/credit-notes", claim(business).await);
            deed.body = Body::Json(json!({"amount": 100}));
        }
        "refund_payment" | "allocate_payment" => {
            let paid = json!({"leadId": business.id("lead"), "amount": 100, "tender": "card"});
            let paid = tenant.post("/api/finance/payments", paid).await.expect(201);
            let path = format!("/api/finance/payments/{}", text(&paid["id"]));
            if operation == "refund_payment" {
                deed.path = format!("{path}/refund");
                return;
            }
            let invoice = claim(business).await;
            let invoice = invoice.rsplit('/').next().expect("a path ends");
            deed.path = format!("{path}/allocate");
            deed.body = Body::Json(json!({"allocations": [{"invoiceId": invoice, "amount": 100}]}));
        }
        "create_movement" | "end_shift" | "close_shift" => {
            let shift = json!({"registerKey": word(), "openFloat": 0});
            let shift = tenant.post("/api/finance/pos/shifts", shift).await.expect(201);
            let verb = match operation {
                "create_movement" => "movements",
                "end_shift" => "end",
                _ => "close",
            };
            deed.path = format!("/api/finance/pos/shifts/{}/{verb}", text(&shift["id"]));
        }
        _ => {}
    }
}

/// An upload that waits for its parts.
async fn upload(tenant: &Tenant) -> String {
    let request = tenant.request(Method::POST, "/api/leads/import?upload=parts");
    let job = tenant.send(request).await.expect(201);
    format!("/api/jobs/{}", text(&job["id"]))
}

/// A run that waits.
async fn run(business: &Neighbour) -> String {
    let tenant = business.business();
    let lead = tenant.lead(json!({})).await;
    let execute = format!("/api/automations/{}/execute", business.id("automation"));
    let started = tenant.post(&execute, json!({"leadIds": [lead["id"]]})).await.expect(202);
    format!("/api/automations/runs/{}", text(&started["runIds"][0]))
}

async fn draft(business: &Neighbour) -> String {
    let lines = json!([{"description": "Deed", "quantity": "2", "unitPrice": 500}]);
    let document = json!({"leadId": business.id("lead"), "lines": lines});
    let made = business.business().post("/api/finance/invoices", document).await.expect(201);
    format!("/api/finance/invoices/{}", text(&made["id"]))
}

/// An invoice that nobody has paid.
async fn claim(business: &Neighbour) -> String {
    let path = draft(business).await;
    business.business().post(&format!("{path}/finalize"), json!({})).await.expect(200);
    path
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
