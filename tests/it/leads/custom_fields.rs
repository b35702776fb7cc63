//! Custom fields: free until the first definition, typed from then on, found by an index.

use serde_json::{Value, json};

use super::path;
use crate::support::{Tenant, tenant::unique_email};

async fn define(tenant: &Tenant, key: &str, kind: &str, more: Value) -> Value {
    let mut field = json!({"entity": "lead", "key": key, "label": key, "type": kind});
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tenant.post("/api/custom-fields", field).await.expect(201)
}

#[tokio::test]
async fn a_value_fits_its_type_or_is_refused_by_name() {
    let tenant = Tenant::new().await;
    tenant.lead(json!({"customFields": {"anything": "goes"}})).await;
    let options = json!({"options": ["gold", "silver"]});
    for (key, kind, more) in [
        ("note", "text", json!({})),
        ("visits", "number", json!({})),
        ("member", "boolean", json!({})),
        ("birthday", "date", json!({})),
        ("joined", "datetime", json!({})),
        ("plan", "select", options.clone()),
        ("likes", "multiSelect", options),
        ("site", "url", json!({})),
        ("second", "email", json!({})),
        ("mobile", "phone", json!({})),
    ] {
        define(&tenant, key, kind, more).await;
    }
    let given = json!({"note": "n", "visits": 4.5, "member": true, "birthday": "1990-02-28", "plan": "gold",
        "joined": "2026-03-01T10:00:00+01:00", "likes": ["gold", "gold"], "site": "https://example.com",
        "second": "Ada@Example.com", "mobile": "0171 2345678"});
    let stored = json!({"note": "n", "visits": 4.5, "member": true, "birthday": "1990-02-28", "plan": "gold",
        "joined": "2026-03-01T09:00:00Z", "likes": ["gold"], "site": "https://example.com",
        "second": "ada@example.com", "mobile": "+491712345678"});
    let lead = tenant.lead(json!({"customFields": given})).await;
    assert_eq!(lead["customFields"], stored);
    for (key, value, code) in [
        ("note", json!(1), "wrong_type"),
        ("visits", json!("four"), "wrong_type"),
        ("member", json!("yes"), "wrong_type"),
        ("birthday", json!("1990-02-30"), "invalid_date"),
        ("joined", json!("yesterday"), "invalid_time"),
        ("plan", json!("iron"), "unknown_value"),
        ("likes", json!(["gold", "iron"]), "unknown_value"),
        ("site", json!("javascript:alert(1)"), "invalid_url"),
        ("second", json!("nobody"), "invalid_email"),
        ("mobile", json!("12"), "invalid_phone"),
        ("plam", json!("gold"), "unknown_field"),
    ] {
        let (body, pointer) = (json!({"customFields": {key: value}}), format!("/customFields/{key}"));
        tenant.patch(&path(&lead), body.clone()).await.expect_invalid(&pointer, code);
        let mut new = body;
        new["email"] = unique_email("typed").into();
        tenant.post("/api/leads", new.clone()).await.expect_invalid(&pointer, code);
        tenant.post("/api/leads/upsert", new.clone()).await.expect_invalid(&pointer, code);
        let batch = tenant.post("/api/leads/batch", json!({"items": [new]})).await.expect(207);
        assert_eq!(batch["results"][0]["error"]["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn definitions_are_made_changed_and_removed() {
    let tenant = Tenant::new().await;
    let field = define(&tenant, "plan", "select", json!({"options": ["gold"]})).await;
    let path = format!("/api/custom-fields/{}", field["id"].as_str().unwrap());
    let again = json!({"entity": "lead", "key": "plan", "label": "Plan", "type": "text"});
    tenant.post("/api/custom-fields", again).await.expect_problem(409, "field_exists");
    for (body, pointer, code) in [
        (json!({"entity": "car", "key": "a", "label": "A", "type": "text"}), "/entity", "unknown_value"),
        (json!({"entity": "lead", "key": "1a", "label": "A", "type": "text"}), "/key", "invalid_key"),
        (json!({"entity": "lead", "key": "a", "label": "A", "type": "color"}), "/type", "unknown_value"),
        (json!({"entity": "lead", "key": "a", "label": "A", "type": "select"}), "/options", "out_of_range"),
        (
            json!({"entity": "lead", "key": "a", "label": "A", "type": "text", "options": ["x"]}),
            "/options",
            "unknown_field",
        ),
    ] {
        tenant.post("/api/custom-fields", body).await.expect_invalid(pointer, code);
    }
    let changed =
        tenant.patch(&path, json!({"options": ["gold", "silver"], "required": true})).await.expect(200);
    assert_eq!((&changed["options"], &changed["type"]), (&json!(["gold", "silver"]), &json!("select")));
    tenant.patch(&path, json!({"type": "text"})).await.expect_invalid("/type", "unknown_field");
    tenant
        .post("/api/leads", json!({"firstName": "A"}))
        .await
        .expect_invalid("/customFields/plan", "required");
    let lead = tenant.lead(json!({"customFields": {"plan": "silver"}})).await;
    let clear = json!({"customFields": {"plan": null}});
    tenant.patch(&super::path(&lead), clear).await.expect_invalid("/customFields/plan", "required");
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect_problem(404, "not_found");
    let kept = tenant.patch(&super::path(&lead), json!({"customFields": {"other": 1}})).await.expect(200);
    assert_eq!(kept["customFields"], json!({"plan": "silver", "other": 1}));
}

#[tokio::test]
async fn leads_are_found_by_their_custom_fields() {
    let tenant = Tenant::new().await;
    define(&tenant, "birthday", "date", json!({})).await;
    define(&tenant, "visits", "number", json!({})).await;
    define(&tenant, "plan", "select", json!({"options": ["gold", "silver"]})).await;
    define(&tenant, "likes", "multiSelect", json!({"options": ["yoga", "boxing"]})).await;
    for (name, custom) in [
        ("Anna", json!({"birthday": "1990-05-01", "visits": 9, "plan": "gold", "likes": ["yoga", "boxing"]})),
        ("Berta", json!({"birthday": "2001-01-01", "visits": 10, "plan": "silver", "likes": ["yoga"]})),
        ("Carla", json!({})),
    ] {
        tenant.lead(json!({"firstName": name, "customFields": custom})).await;
    }
    for (query, expected) in [
        ("cf.birthday[gte]=1990-05-01&cf.birthday[lt]=2001-01-01", "Anna"),
        ("cf.birthday[after]=1990-05-01", "Berta"),
        ("cf.visits[gt]=9", "Berta"),
        ("cf.visits[between]=9,10", "Berta Anna"),
        ("cf.visits=9", "Anna"),
        ("cf.plan=gold,silver", "Berta Anna"),
        ("cf.plan[ne]=gold", "Carla Berta"),
        ("cf.plan[exists]=false", "Carla"),
        ("cf.plan[startsWith]=SIL", "Berta"),
        ("cf.likes=boxing", "Anna"),
        ("cf.likes[includes]=yoga&status=new", "Berta Anna"),
    ] {
        let page = tenant.get(&format!("/api/leads?{query}&include=total")).await.expect(200);
        let names: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lead| lead["firstName"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(" "), expected, "{query}");
        assert_eq!(page["total"], names.len(), "{query}");
    }
    for (query, name, code) in [
        ("cf.birthday[gte]=soon", "?cf.birthday[gte]", "invalid_date"),
        ("cf.visits=many", "?cf.visits", "wrong_type"),
        ("cf.plan=iron", "?cf.plan", "unknown_value"),
        ("cf.plan[near]=gold", "?cf.plan[near]", "unknown_operator"),
        ("cf.plam=gold", "?cf.plam", "unknown_parameter"),
    ] {
        tenant.get(&format!("/api/leads?{query}")).await.expect_invalid(name, code);
    }
}

#[tokio::test]
async fn masked_fields_show_their_end_and_health_data_needs_consent() {
    let tenant = Tenant::new().await;
    define(&tenant, "iban", "text", json!({"masked": true})).await;
    define(&tenant, "injury", "text", json!({"isHealthData": true})).await;
    let lead = tenant.lead(json!({"customFields": {"iban": "DE02120300000000202051"}})).await;
    let (staff, manager) = (tenant.colleague("staff").await, tenant.colleague("manager").await);
    let seen = staff.get(&path(&lead)).await.expect(200);
    assert_eq!(seen["customFields"]["iban"], "••••51");
    let listed = staff.get("/api/leads").await.expect(200);
    assert_eq!(listed["items"][0]["customFields"]["iban"], "••••51");
    assert_eq!(manager.get(&path(&lead)).await.expect(200)["customFields"], lead["customFields"]);

    let injury = json!({"customFields": {"injury": "knee"}});
    let refused = ("/customFields/injury", "health_consent_required");
    staff.patch(&path(&lead), injury.clone()).await.expect_invalid(refused.0, refused.1);
    staff
        .post("/api/leads", json!({"firstName": "A", "customFields": injury["customFields"]}))
        .await
        .expect_invalid(refused.0, refused.1);
    let consent = json!({"purpose": "health", "state": "granted"});
    let agreed = json!({"firstName": "B", "customFields": injury["customFields"], "consents": [consent]});
    staff.post("/api/leads", agreed).await.expect(201);
    staff.post(&format!("{}/consents", path(&lead)), consent).await.expect(201);
    staff.patch(&path(&lead), injury).await.expect(200);
}
