//! Finance: what a document costs, who owes what, where the money went.

mod invoices;
mod money;
mod nightly;
mod reconcile;
mod scopes;
mod till;

use serde_json::{Value, json};

use crate::support::{Answer, Tenant};

/// A line of 100.00 without taxes.
fn hundred() -> Value {
    json!([{"description": "Coaching", "quantity": "1", "unitPrice": 10_000}])
}

/// A draft with the given fields besides its lines.
async fn draft(tenant: &Tenant, fields: Value) -> Value {
    let mut body = json!({"lines": hundred()});
    if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
        body.extend(fields.clone());
    }
    tenant.post("/api/finance/invoices", body).await.expect(201)
}

async fn act(tenant: &Tenant, resource: &Value, action: &str, body: Value) -> Answer {
    let kind = if resource.get("tender").is_some() { "payments" } else { "invoices" };
    tenant.post(&format!("/api/finance/{kind}/{}/{action}", resource["id"].as_str().unwrap()), body).await
}

/// A finalized invoice over 100.00.
async fn invoice(tenant: &Tenant, fields: Value) -> Value {
    let draft = draft(tenant, fields).await;
    act(tenant, &draft, "finalize", json!({})).await.expect(200)
}

async fn invoice_now(tenant: &Tenant, invoice: &Value) -> Value {
    tenant.get(&format!("/api/finance/invoices/{}", invoice["id"].as_str().unwrap())).await.expect(200)
}

/// How often an event of a kind was told.
async fn told(tenant: &Tenant, kind: &str) -> usize {
    let events = tenant.get(&format!("/api/events?type={kind}&limit=100")).await.expect(200);
    events["items"].as_array().unwrap().len()
}

/// Ledger, documents and payments agree.
async fn adds_up(tenant: &Tenant) {
    let integrity = tenant.get("/api/finance/integrity").await.expect(200);
    assert_eq!(integrity["ok"], true, "{integrity:#}");
}
