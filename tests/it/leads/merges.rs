//! Two leads that are one person: found, merged with everything that hangs on them, parted again.

use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::support::{Tenant, eventually, tenant::unique_email};

fn email_of(lead: &Value) -> &str {
    lead["email"].as_str().unwrap()
}

async fn items(tenant: &Tenant, path: &str) -> Vec<Value> {
    tenant.get(path).await.expect(200)["items"].as_array().unwrap().clone()
}

async fn consent(tenant: &Tenant, lead: &Value, state: &str, at: &str) {
    let body = json!({"channel": "email", "purpose": "marketing", "state": state, "effectiveAt": at});
    tenant.post(&format!("{}/consents", path(lead)), body).await.expect(201);
}

#[tokio::test]
async fn likely_pairs_are_found_with_their_reasons_and_strangers_are_not() {
    let tenant = Tenant::new().await;
    let name = unique_email("ada").split('@').next().unwrap().to_owned();
    let lead = async |first: &str, last: &str, email: String, phone: Value| {
        tenant.lead(json!({"firstName": first, "lastName": last, "email": email, "phone": phone})).await["id"]
            .clone()
    };
    let ada = lead("Ada", "Lovelace", format!("{name}@gmail.com"), Value::Null).await;
    let alias = lead("A.", "L.", format!("{name}+gym@googlemail.com"), Value::Null).await;
    let here = lead("Max", "Muster", unique_email("max"), json!("+49 171 2345678")).await;
    let there = lead("max", "MUSTER", unique_email("muster"), json!("+43 171 2345678")).await;
    lead("Max", "Other", unique_email("other"), Value::Null).await;
    let found = items(&tenant, "/api/leads/duplicates").await;
    let pairs: Vec<(&Value, &Value)> =
        found.iter().map(|pair| (&pair["leadIds"], &pair["reasons"])).collect();
    assert_eq!(pairs[0].0, &json!([ada, alias]), "{found:?}");
    assert_eq!(pairs[0].1[0], "emailAlias");
    assert_eq!(pairs[1], (&json!([here, there]), &json!(["samePhoneDigits", "sameName"])));
    assert_eq!((pairs.len(), &found[1]["score"]), (2, &json!(0.88)));
    assert_eq!(items(&tenant, "/api/leads/duplicates?minScore=0.9").await.len(), 1);
    tenant.get("/api/leads/duplicates?minScore=2").await.expect_invalid("?minScore", "out_of_range");
}

#[tokio::test]
async fn a_merge_moves_everything_and_an_unmerge_restores_both() {
    let tenant = Tenant::new().await;
    let survivor = tenant.lead(json!({"firstName": "Ada", "tags": ["a"], "customFields": {"x": 1}})).await;
    let absorbed = tenant
        .lead(json!({"firstName": "A.", "lastName": "Lovelace", "status": "customer", "tags": ["b"],
            "phone": "0171 2345678", "customFields": {"x": 2, "y": 3}}))
        .await;
    for lead in [&survivor, &absorbed] {
        tenant
            .post(&format!("{}/activities", path(lead)), json!({"kind": "note", "body": "Hi"}))
            .await
            .expect(201);
        let message = json!({"leadId": lead["id"], "channel": "email", "body": "Hello", "subject": "Hi",
            "purpose": "transactional", "sendAt": "2199-01-01T00:00:00Z"});
        tenant.post("/api/messages/send", message).await.expect(202);
        let metric = json!({"leadId": lead["id"], "type": "weight", "value": 70, "unit": "kg", "startAt": "2026-01-01T08:00:00Z",
            "source": if lead == &survivor { "scale" } else { "manual" }});
        tenant.post("/api/wellness/metrics", metric).await.expect(201);
    }
    let lines = json!([{"description": "Pass", "quantity": "1", "unitPrice": 500}]);
    let invoice = json!({"leadId": absorbed["id"], "lines": lines});
    tenant.post("/api/finance/invoices", invoice).await.expect(201);
    consent(&tenant, &survivor, "denied", "2026-01-01T00:00:00Z").await;
    consent(&tenant, &absorbed, "granted", "2026-02-01T00:00:00Z").await;

    let ask = json!({"survivorId": survivor["id"], "absorbedIds": [absorbed["id"]],
        "fieldChoices": {"status": absorbed["id"], "email": absorbed["id"]}});
    let merged = tenant.post("/api/leads/merge", ask.clone()).await.expect(200);
    assert_eq!((&merged["name"], &merged["status"]), (&json!("Ada Lovelace"), &json!("customer")));
    assert_eq!((&merged["email"], &merged["phone"]), (&absorbed["email"], &absorbed["phone"]));
    assert_eq!((&merged["tags"], &merged["customFields"]), (&json!(["a", "b"]), &json!({"x": 1, "y": 3})));
    let detail =
        tenant.get(&format!("{}?expand=conversations,invoices,metrics", path(&survivor))).await.expect(200);
    for (part, count) in [("conversations", 2), ("invoices", 1), ("metrics", 2)] {
        assert_eq!(detail[part]["items"].as_array().unwrap().len(), count, "{part}");
    }
    let consents = items(&tenant, &format!("{}/consents", path(&survivor))).await;
    assert_eq!(
        (consents.len(), &consents[0]["state"], &consents[0]["source"]),
        (3, &json!("denied"), &json!("merge"))
    );
    assert_eq!(items(&tenant, &format!("{}/identities", path(&survivor))).await.len(), 3);
    // The client follows the redirect.
    assert_eq!(tenant.get(&path(&absorbed)).await.expect(200)["id"], survivor["id"]);
    tenant.post("/api/leads/merge", ask).await.expect_invalid("/absorbedIds/0", "unknown_lead");
    let upsert = json!({"email": email_of(&survivor)});
    assert_eq!(tenant.post("/api/leads/upsert", upsert).await.expect(200)["id"], survivor["id"]);
    tenant.patch(&path(&survivor), json!({"source": "fair"})).await.expect(200);

    let unmerge = format!("{}/unmerge", path(&survivor));
    let parted = tenant.post(&unmerge, json!({"absorbedId": absorbed["id"]})).await.expect(200);
    for (now, before) in [(&parted["survivor"], &survivor), (&parted["absorbed"], &absorbed)] {
        for field in
            ["id", "name", "status", "email", "phone", "tags", "customFields", "mergedIntoId", "ownerId"]
        {
            assert_eq!(now[field], before[field], "{field}");
        }
        let detail = tenant.get(&format!("{}?expand=conversations,metrics", path(before))).await.expect(200);
        assert_eq!(detail["conversations"]["items"].as_array().unwrap().len(), 1);
        assert_eq!(detail["metrics"]["items"].as_array().unwrap().len(), 1);
        assert_eq!(items(&tenant, &format!("{}/consents", path(before))).await.len(), 1);
    }
    assert_eq!(parted["survivor"]["source"], "fair");
    assert_eq!(items(&tenant, &format!("{}/identities", path(&absorbed))).await.len(), 2);
    tenant.post(&unmerge, json!({"absorbedId": absorbed["id"]})).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn points_that_were_given_add_up_and_part_again() {
    let tenant = Tenant::new().await;
    let rules = json!({"rules": []});
    tenant.send(tenant.request(Method::PUT, "/api/scoring").json(&rules)).await.expect(200);
    let (survivor, absorbed) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    let give = async |lead: &Value, points: i64| {
        let steps = json!([{"id": "give", "type": "updateLead", "set": {"score": points}}]);
        let automation =
            json!({"name": format!("Gift of {points}"), "trigger": {"type": "manual"}, "steps": steps});
        let automation = tenant.post("/api/automations", automation).await.expect(201);
        let automation = format!("/api/automations/{}", automation["id"].as_str().unwrap());
        tenant.post(&format!("{automation}/publish"), json!({})).await.expect(200);
        tenant.post(&format!("{automation}/execute"), json!({"leadIds": [lead["id"]]})).await.expect(202);
        scored(&tenant, lead, points).await;
    };
    give(&survivor, 7).await;
    give(&absorbed, 20).await;
    let ask = json!({"survivorId": survivor["id"], "absorbedIds": [absorbed["id"]]});
    tenant.post("/api/leads/merge", ask).await.expect(200);
    scored(&tenant, &survivor, 27).await;
    // What is given meanwhile stays with the survivor.
    give(&survivor, 30).await;
    let unmerge = format!("{}/unmerge", path(&survivor));
    tenant.post(&unmerge, json!({"absorbedId": absorbed["id"]})).await.expect(200);
    scored(&tenant, &survivor, 10).await;
    scored(&tenant, &absorbed, 20).await;
}

/// Waits until a lead has this score, stored and reckoned.
async fn scored(tenant: &Tenant, lead: &Value, score: i64) {
    eventually(&format!("score {score}"), async || {
        let stored = tenant.get(&path(lead)).await.expect(200);
        let reckoned = tenant.get(&format!("{}/score", path(lead))).await.expect(200);
        (stored["score"] == score && reckoned["score"] == score).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_merged_is_named() {
    let tenant = Tenant::new().await;
    let (one, two) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    let nobody = "0198a000-0000-7000-8000-00000000dead";
    for (absorbed, choices, pointer, code) in [
        (json!([]), json!({}), "/absorbedIds", "out_of_range"),
        (json!([one["id"]]), json!({}), "/absorbedIds/0", "duplicate_id"),
        (json!([two["id"], nobody]), json!({}), "/absorbedIds/1", "unknown_lead"),
        (json!([two["id"]]), json!({"shoeSize": two["id"]}), "/fieldChoices/shoeSize", "unknown_field"),
        (json!([two["id"]]), json!({"score": two["id"]}), "/fieldChoices/score", "unknown_field"),
        (json!([two["id"]]), json!({"email": nobody}), "/fieldChoices/email", "unknown_lead"),
    ] {
        let body = json!({"survivorId": one["id"], "absorbedIds": absorbed, "fieldChoices": choices});
        tenant.post("/api/leads/merge", body).await.expect_invalid(pointer, code);
    }
    tenant
        .post(&format!("{}/unmerge", path(&one)), json!({"absorbedId": two["id"]}))
        .await
        .expect_problem(404, "not_found");
}
