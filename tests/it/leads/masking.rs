//! What is shown as a hint is neither found nor compared nor overwritten by whoever sees the hint.

use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::support::{Client, Tenant, tenant::unique_email};

async fn count(client: &Client, path: &str) -> usize {
    client.get(path).await.expect(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn who_sees_hints_searches_names_alone() {
    let tenant = Tenant::new().await;
    let word = format!("zz{}", &unique_email("q")[2..8].replace(['-', '@'], "x"));
    let email = unique_email(&word);
    let person = json!({"firstName": "Quirin", "lastName": "Quast", "email": email, "phone": "0171 2345699"});
    let lead = tenant.lead(person).await;
    let message = json!({"leadId": lead["id"], "channel": "email", "subject": "Your trial", "body": "Hello", "sendAt": "2199-01-01T00:00:00Z"});
    tenant.post("/api/messages/send", message).await.expect(202);
    let lines = json!([{"description": "Hour", "quantity": "1", "unitPrice": 100}]);
    let draft = json!({"leadId": lead["id"], "lines": lines, "memo": "Thank you"});
    let draft = tenant.post("/api/finance/invoices", draft).await.expect(201);
    let finalize = format!("/api/finance/invoices/{}/finalize", draft["id"].as_str().unwrap());
    tenant.post(&finalize, json!({})).await.expect(200);

    let (viewer, staff) = (tenant.colleague("viewer").await, tenant.colleague("staff").await);
    let of_lead = format!("{}/conversations", path(&lead));
    for list in ["/api/leads", "/api/conversations", "/api/finance/invoices", &of_lead] {
        for secret in [word.as_str(), "2345699", "%2B4917123", "example.com"] {
            assert_eq!(count(&staff, &format!("{list}?search={secret}")).await, 1, "{list} {secret}");
            assert_eq!(count(&viewer, &format!("{list}?search={secret}")).await, 0, "{list} {secret}");
        }
        for name in ["quirin", "qua", "quast%20quir", "qu"] {
            assert_eq!(count(&viewer, &format!("{list}?search={name}")).await, 1, "{list} {name}");
        }
        // A name and an address together would tell the address as well.
        assert_eq!(count(&viewer, &format!("{list}?search=quirin%20{word}")).await, 0, "{list}");
    }
    assert_eq!(count(&viewer, "/api/conversations?search=trial").await, 1);
    assert_eq!(count(&viewer, "/api/finance/invoices?search=thank").await, 1);
    let detail = format!("{}?expand=invoices", path(&lead));
    let document = format!("/api/finance/invoices/{}", draft["id"].as_str().unwrap());
    for address in ["/api/finance/invoices", &document, &detail] {
        let answer = viewer.get(address).await;
        answer.expect(200);
        assert!(!answer.text.contains(&email) && !answer.text.contains("+491712345699"), "{answer}");
        assert!(staff.get(address).await.text.contains(&email));
    }
}

#[tokio::test]
async fn hidden_fields_are_neither_compared_nor_overwritten() {
    let tenant = Tenant::new().await;
    for (key, kind, more) in [
        ("iban", "text", json!({"masked": true})),
        ("injury", "text", json!({"isHealthData": true})),
        ("second", "email", json!({})),
        ("plan", "text", json!({})),
    ] {
        let mut field = json!({"entity": "lead", "key": key, "label": key, "type": kind});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tenant.post("/api/custom-fields", field).await.expect(201);
    }
    let custom = json!({"iban": "DE02120300000000202051", "injury": "left knee", "second": "ada@example.org", "plan": "gold"});
    let consent = json!([{"purpose": "health", "state": "granted"}]);
    let email = unique_email("hidden");
    let lead = tenant.lead(json!({"customFields": custom, "consents": consent, "email": email})).await;
    let (viewer, staff, manager) = (
        tenant.colleague("viewer").await,
        tenant.colleague("staff").await,
        tenant.colleague("manager").await,
    );

    let shown = |seen: Value| seen["customFields"].clone();
    assert_eq!(
        shown(viewer.get(&path(&lead)).await.expect(200)),
        json!({"iban": "••••51", "injury": "••••ee", "second": "••••rg", "plan": "gold"})
    );
    assert_eq!(shown(staff.get(&path(&lead)).await.expect(200))["injury"], "left knee");

    let tree = |field: &str| json!({"conditions": {"all": [{"not": [{"field": field, "op": "startsWith", "value": "a"}]}]}});
    for (field, named, hidden_from) in [
        ("email", "email", vec![&viewer]),
        ("lead.phone", "phone", vec![&viewer]),
        ("cf.injury", "customFields.injury", vec![&viewer]),
        ("lead.cf.second", "customFields.second", vec![&viewer]),
        ("customFields.iban", "customFields.iban", vec![&viewer, &staff]),
        ("cf.iban.x", "customFields.iban.x", vec![&viewer, &staff]),
        ("cf.plan", "", vec![]),
        ("lastName", "", vec![]),
    ] {
        for client in [&viewer, &staff, &manager] {
            let answer = client.post("/api/segments/preview", tree(field)).await;
            if hidden_from.iter().any(|other| std::ptr::eq(*other, client)) {
                let problem = answer.expect_problem(403, "field_masked");
                assert_eq!(
                    (&problem["field"], &problem["pointer"]),
                    (&json!(named), &json!("/conditions/all/0/not/0/field"))
                );
            } else {
                answer.expect(200);
            }
        }
    }
    // A text of one's own says what one may read; a manager's template is the manager's decision.
    let sends = async |client: &Client, body: Value| {
        let sent = client.post("/api/messages/send", body).await.expect(202);
        let message = format!("/api/messages/{}", sent["messageId"].as_str().unwrap());
        client.get(&message).await.expect(200)["body"].as_str().unwrap().to_owned()
    };
    let asked = "IBAN {{ lead.customFields.iban }}{% if lead.customFields.iban == 'DE02120300000000202051' %}!{% endif %}";
    let message = |body: &str| json!({"leadId": lead["id"], "channel": "email", "subject": "s", "body": body, "sendAt": "2199-01-01T00:00:00Z"});
    assert_eq!(sends(&staff, message(asked)).await, "IBAN •••••");
    assert_eq!(sends(&manager, message(asked)).await, "IBAN DE02120300000000202051!");
    let template = json!({"name": "Iban", "channel": "sms", "body": asked});
    let template = manager.post("/api/templates", template).await.expect(201);
    let render = format!("/api/templates/{}/render", template["id"].as_str().unwrap());
    let looked_at = staff.post(&render, json!({"leadId": lead["id"]})).await.expect(200);
    assert_eq!(looked_at["body"], "IBAN •••••");
    let preview = json!({"conditions": {"field": "firstName", "op": "eq", "value": "Lena"}});
    let preview = viewer.post("/api/segments/preview", preview).await;
    assert_eq!(preview.expect(200)["count"], 1);
    assert!(!preview.text.contains(&email) && !preview.text.contains("knee"), "{preview}");

    for (filter, client) in [
        ("cf.iban[startsWith]=DE", &staff),
        ("cf.iban[exists]=true", &viewer),
        ("cf.injury=x", &viewer),
        ("cf.second[contains]=ada", &viewer),
    ] {
        client.get(&format!("/api/leads?{filter}")).await.expect_problem(403, "field_masked");
        assert_eq!(
            count(&manager, &format!("/api/leads?{filter}")).await,
            usize::from(!filter.ends_with("=x"))
        );
    }
    assert_eq!(count(&viewer, "/api/leads?cf.plan=gold").await, 1);

    // Whoever writes back what was shown would put the hint in the value's place.
    for change in [json!({"iban": "••••51"}), json!({"plan": "silver", "iban": null}), Value::Null] {
        let problem = staff.patch(&path(&lead), json!({"customFields": change})).await;
        problem.expect_problem(403, "field_masked");
    }
    let upsert = json!({"email": email, "customFields": {"iban": "••••51"}});
    staff.post("/api/leads/upsert", upsert).await.expect_problem(403, "field_masked");
    assert_eq!(shown(manager.get(&path(&lead)).await.expect(200)), custom);
    staff.patch(&path(&lead), json!({"customFields": {"plan": "silver"}})).await.expect(200);
    // What nobody has written yet is no secret of whoever writes it.
    let new = json!({"firstName": "New", "customFields": {"iban": "DE75512108001245126199"}});
    assert_eq!(shown(staff.post("/api/leads", new).await.expect(201))["iban"], "••••99");
    manager
        .patch(&path(&lead), json!({"customFields": {"iban": "DE75512108001245126199"}}))
        .await
        .expect(200);
}

#[tokio::test]
async fn hints_are_written_into_problems_and_repeated_answers_and_change_no_tag() {
    let tenant = Tenant::new().await;
    let email = unique_email("echo");
    let lead = tenant.lead(json!({"firstName": email, "email": email})).await;
    let (viewer, staff) = (tenant.colleague("viewer").await, tenant.colleague("staff").await);
    let unknown = format!("/api/leads?{email}=1");
    for (client, told) in [(&viewer, false), (&staff, true)] {
        let problem = client.get(&unknown).await;
        problem.expect_problem(422, "invalid_input");
        assert_eq!(problem.text.contains(&email), told, "{problem}");
    }
    let tree = json!({"conditions": {"field": "status", "op": "eq", "value": "new"}});
    let preview = async || {
        let request = viewer.request(Method::POST, "/api/segments/preview").header("idempotency-key", "once");
        viewer.send(request.json(&tree)).await
    };
    let (first, again) = (preview().await, preview().await);
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    assert_eq!(first.expect(200)["count"], 1);
    assert!(!first.text.contains(&email), "{first}");

    let (seen, full) = (viewer.get(&path(&lead)).await, staff.get(&path(&lead)).await);
    assert_eq!(seen.header("etag"), full.header("etag"));
    let (seen, full) = (seen.expect(200), full.expect(200));
    assert_eq!((&full["firstName"], &full["email"]), (&json!(email), &json!(email)));
    assert_eq!(seen["firstName"], "e•••••@example.com");
    for same in ["id", "createdAt", "updatedAt", "status", "customFields", "tags"] {
        assert_eq!(seen[same], full[same], "{same}");
    }
    // One's own profile is nobody's secret from oneself.
    assert!(viewer.get("/api/me").await.text.contains("@example.com"));
    assert!(!viewer.get("/api/me").await.text.contains('•'));
}
