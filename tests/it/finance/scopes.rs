//! Whose money a colleague sees who is bound to own records.

use reqwest::Method;
use serde_json::{Value, json};

use super::{act, adds_up, draft, hundred, invoice};
use crate::support::{Client, Tenant};

/// The manager Otto, who sees his own records, with a lead of his and one that is not.
struct Scene {
    tenant: Tenant,
    otto: Client,
    own: Value,
    foreign: Value,
}

impl Scene {
    async fn new() -> Self {
        let tenant = Tenant::new().await;
        let (otto, id) = tenant.bound("manager", "own").await;
        let own = tenant.lead(json!({"ownerId": id})).await;
        let foreign = tenant.lead(json!({})).await;
        Self { tenant, otto, own, foreign }
    }

    /// The same request by Otto and by the owner of the business.
    async fn ids(&self, path: &str) -> (Vec<Value>, Vec<Value>) {
        let read = async |client: &Client| -> Vec<Value> {
            let page = client.get(path).await.expect(200);
            assert_eq!(page["total"], page["items"].as_array().unwrap().len(), "{path}");
            page["items"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect()
        };
        (read(&self.otto).await, read(&self.tenant.owner).await)
    }
}

fn path(kind: &str, row: &Value) -> String {
    format!("/api/finance/{kind}/{}", row["id"].as_str().unwrap())
}

#[tokio::test]
async fn payments_of_unseen_leads_are_as_absent_as_missing_ones() {
    let scene = Scene::new().await;
    let Scene { tenant, otto, own, foreign } = &scene;
    let pay = async |lead: &Value| -> Value {
        let body = json!({"leadId": lead["id"], "amount": 5_000, "currency": "EUR", "tender": "cash"});
        tenant.post("/api/finance/payments", body).await.expect(201)
    };
    let (mine, theirs) = (pay(own).await, pay(foreign).await);
    // Money for a document of nobody belongs to nobody: only those who see everything see it.
    let nobodys = invoice(tenant, json!({})).await;
    let nobodys_money = act(tenant, &nobodys, "payments", json!({"amount": 1_000, "tender": "cash"})).await;
    let nobodys_money = nobodys_money.expect(201);
    let (seen, all) = scene.ids("/api/finance/payments?include=total&sort=createdAt").await;
    assert_eq!((seen, all.len()), (vec![mine["id"].clone()], 3));

    let their_invoice = invoice(tenant, json!({"leadId": foreign["id"]})).await;
    for hidden in [&theirs, &nobodys_money] {
        let hidden = path("payments", hidden);
        for (method, rest, body) in [
            ("GET", "", Value::Null),
            ("POST", "/refund", json!({"amount": 1})),
            ("POST", "/allocate", json!({"allocations": [{"invoiceId": their_invoice["id"], "amount": 1}]})),
        ] {
            let request = otto.request(method.parse::<Method>().unwrap(), &format!("{hidden}{rest}"));
            otto.send(request.json(&body)).await.expect_problem(404, "not_found");
        }
    }
    let allocate = json!({"allocations": [{"invoiceId": their_invoice["id"], "amount": 1}]});
    otto.post(&format!("{}/allocate", path("payments", &mine)), allocate)
        .await
        .expect_invalid("/allocations/0/invoiceId", "unknown_invoice");
    for (body, pointer, code) in [
        (json!({"leadId": foreign["id"]}), "/leadId", "unknown_lead"),
        (json!({"invoiceId": their_invoice["id"]}), "/invoiceId", "unknown_invoice"),
        (json!({"invoiceId": nobodys["id"]}), "/invoiceId", "unknown_invoice"),
    ] {
        let mut body = body;
        body.as_object_mut().unwrap().extend([("amount".into(), 1.into()), ("tender".into(), "cash".into())]);
        otto.post("/api/finance/payments", body).await.expect_invalid(pointer, code);
    }
    otto.post(&format!("{}/refund", path("payments", &mine)), json!({"amount": 1_000})).await.expect(201);
    let own_invoice = invoice(tenant, json!({"leadId": own["id"]})).await;
    let allocate = json!({"allocations": [{"invoiceId": own_invoice["id"], "amount": 4_000}]});
    otto.post(&format!("{}/allocate", path("payments", &mine)), allocate).await.expect(200);
    adds_up(tenant).await;
}

#[tokio::test]
async fn the_till_is_everybodys_and_an_unseen_customers_sale_is_not() {
    let scene = Scene::new().await;
    let Scene { tenant, otto, own, foreign } = &scene;
    let shift = json!({"registerKey": "front", "openFloat": 0});
    let shift = tenant.post("/api/finance/pos/shifts", shift).await.expect(201);
    let sale = |lead: &Value, name: &str| {
        json!({"shiftId": shift["id"], "leadId": lead["id"], "clientSaleId": name, "lines": hundred(),
               "tenders": [{"tender": "cash", "amount": 10_000}]})
    };
    let sell = async |body: Value| tenant.post("/api/finance/pos/sales", body).await.expect(201);
    let mine = sell(sale(own, "mine")).await;
    let theirs = sell(sale(foreign, "theirs")).await;
    let walk_in = sell(sale(&Value::Null, "walk-in")).await;
    let (seen, all) = scene.ids("/api/finance/pos/sales?include=total&sort=soldAt").await;
    assert_eq!((seen, all.len()), (vec![mine["id"].clone(), walk_in["id"].clone()], 3));
    let (seen, all) = scene.ids("/api/finance/payments?include=total").await;
    assert_eq!((seen.len(), all.len()), (2, 3), "what a passer-by paid is the till's");

    let hidden = path("pos/sales", &theirs);
    let give_back = |sale: &Value| json!({"lines": [{"lineId": sale["receipt"]["lines"][0]["id"], "quantity": "1"}], "tender": "cash"});
    otto.get(&hidden).await.expect_problem(404, "not_found");
    otto.get(&format!("{hidden}/receipt")).await.expect_problem(404, "not_found");
    otto.post(&format!("{hidden}/return"), give_back(&theirs)).await.expect_problem(404, "not_found");
    otto.post("/api/finance/pos/sales", sale(foreign, "new")).await.expect_invalid("/leadId", "unknown_lead");
    // The till's own name for a sale does not open somebody else's.
    otto.post("/api/finance/pos/sales", sale(&Value::Null, "theirs"))
        .await
        .expect_problem(409, "client_sale_id_taken");
    assert_eq!(otto.post("/api/finance/pos/sales", sale(own, "mine")).await.expect(200)["id"], mine["id"]);
    otto.post(&format!("{}/return", path("pos/sales", &walk_in)), give_back(&walk_in)).await.expect(201);
    // The drawer holds everybody's cash, so that it can be counted.
    let drawer = otto.get(&path("pos/shifts", &shift)).await.expect(200);
    assert_eq!(drawer["expectedCash"], 20_000);
    adds_up(tenant).await;
}

#[tokio::test]
async fn documents_are_made_for_leads_that_are_seen() {
    let Scene { tenant, otto, own, foreign } = Scene::new().await;
    for (lead, code) in [(&foreign["id"], "unknown_lead"), (&Value::Null, "required")] {
        let body = json!({"leadId": lead, "lines": hundred()});
        otto.post("/api/finance/invoices", body).await.expect_invalid("/leadId", code);
    }
    let draft = draft(&tenant, json!({"leadId": own["id"]})).await;
    let draft = path("invoices", &draft);
    for (lead, code) in [(&foreign["id"], "unknown_lead"), (&Value::Null, "required")] {
        otto.patch(&draft, json!({"leadId": lead})).await.expect_invalid("/leadId", code);
    }
    otto.patch(&draft, json!({"memo": "Mine"})).await.expect(200);
}
