//! Changes: three states of a field, one version at a time, identities in step, events from the difference.

use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::support::{Tenant, tenant::unique_email};

#[tokio::test]
async fn a_patch_keeps_clears_and_sets() {
    let tenant = Tenant::new().await;
    let lead = tenant
        .lead(json!({"lastName": "Lovelace", "source": "form", "customFields": {"a": 1, "b": 2}}))
        .await;
    let patch = json!({"firstName": "Ada", "source": null, "customFields": {"a": null, "c": 3}});
    let changed = tenant.patch(&path(&lead), patch).await.expect(200);
    assert_eq!(changed["name"], "Ada Lovelace");
    assert_eq!((&changed["source"], &changed["email"]), (&Value::Null, &lead["email"]));
    assert_eq!(changed["customFields"], json!({"b": 2, "c": 3}));
    let cleared = tenant.patch(&path(&lead), json!({"customFields": null, "tags": ["a"]})).await.expect(200);
    assert_eq!((&cleared["customFields"], &cleared["tags"]), (&json!({}), &json!(["a"])));
}

#[tokio::test]
async fn a_stale_version_is_refused_with_the_current_one() {
    let tenant = Tenant::new().await;
    let path = path(&tenant.lead(json!({})).await);
    let tag = tenant.get(&path).await.header("etag").to_owned();
    let patch = |tag: &str| {
        tenant.request(Method::PATCH, &path).header("if-match", tag).json(&json!({"firstName": "B"}))
    };
    let changed = tenant.send(patch(&tag)).await;
    changed.expect(200);
    let stale = tenant.send(patch(&tag)).await;
    stale.expect_problem(412, "stale_version");
    assert_eq!(stale.header("etag"), changed.header("etag"));
    let delete = tenant.request(Method::DELETE, &path).header("if-match", &tag);
    tenant.send(delete).await.expect_problem(412, "stale_version");
    let unchanged =
        tenant.send(tenant.request(Method::GET, &path).header("if-none-match", changed.header("etag"))).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.text.as_str()), (304, ""));
}

#[tokio::test]
async fn the_primary_identity_follows_the_field() {
    let tenant = Tenant::new().await;
    let (lead, other) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    let (path, first, second) = (path(&lead), lead["email"].clone(), unique_email("second"));
    let taken = tenant.patch(&path, json!({"email": other["email"]})).await;
    assert_eq!(taken.expect_problem(409, "lead_exists")["existingId"], other["id"]);
    tenant.patch(&path, json!({"email": second})).await.expect(200);
    // The former address is nobody's now.
    tenant.post("/api/leads", json!({"email": first})).await.expect(201);
    let identities = || async {
        tenant.get(&format!("{path}/identities?sort=createdAt")).await.expect(200)["items"].clone()
    };
    assert_eq!(values(&identities().await), [(second.clone(), true)]);

    let third = unique_email("third");
    let added = json!({"kind": "email", "value": third.to_uppercase()});
    tenant.post(&format!("{path}/identities"), added).await.expect(201);
    assert_eq!(values(&identities().await), [(second.clone(), true), (third.clone(), false)]);
    tenant.patch(&path, json!({"email": third})).await.expect(200);
    assert_eq!(values(&identities().await), [(third.clone(), true)]);

    let phone = json!({"kind": "phone", "value": "0171 2345678"});
    tenant.post(&format!("{path}/identities"), phone.clone()).await.expect(201);
    let again = tenant.post(&format!("{path}/identities"), phone).await;
    assert_eq!(again.expect_problem(409, "lead_exists")["existingId"], lead["id"]);
    assert_eq!(tenant.get(&path).await.expect(200)["phone"], "+491712345678");
}

#[tokio::test]
async fn removing_the_primary_address_promotes_the_oldest_other_one() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let (path, heir) = (path(&lead), unique_email("heir"));
    tenant.post(&format!("{path}/identities"), json!({"kind": "email", "value": heir})).await.expect(201);
    let identities =
        tenant.get(&format!("{path}/identities?sort=createdAt")).await.expect(200)["items"].clone();
    let primary = format!("{path}/identities/{}", identities[0]["id"].as_str().unwrap());
    tenant.delete(&primary).await.expect(204);
    assert_eq!(tenant.get(&path).await.expect(200)["email"], heir.as_str());
    tenant.delete(&primary).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn tags_and_stages_tell_only_what_changed() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"tags": ["yoga"]})).await;
    let path = path(&lead);
    let tagged = tenant.post(&format!("{path}/tags"), json!({"tags": ["Yoga", "vip"]})).await.expect(200);
    assert_eq!(tagged["tags"], json!(["vip", "yoga"]));
    let request =
        tenant.request(Method::DELETE, &format!("{path}/tags")).json(&json!({"tags": ["yoga", "none"]}));
    assert_eq!(tenant.send(request).await.expect(200)["tags"], json!(["vip"]));

    let stages = json!([{"name": "Trial"}, {"name": "Member", "probability": 100, "outcome": "won"}]);
    let pipeline = json!({"name": "Membership", "isDefault": true, "stages": stages});
    let pipeline = tenant.post("/api/pipelines", pipeline).await.expect(201);
    let stage = &pipeline["stages"][1]["id"];
    assert_eq!(tenant.get("/api/pipelines").await.expect(200)["items"][0], pipeline);
    let moved = tenant.post(&format!("{path}/stage"), json!({"stageId": stage})).await.expect(200);
    assert_eq!(&moved["stageId"], stage);
    tenant.post(&format!("{path}/stage"), json!({"stageId": stage})).await.expect(200);
    let moves = tenant.get(&format!("{path}/activities?kind=stage")).await.expect(200);
    assert_eq!(moves["items"].as_array().unwrap().len(), 1);

    let told = tenant.get("/api/events?limit=100").await.expect(200)["items"].clone();
    let mut kinds: Vec<&str> =
        told.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["lead.created", "lead.stageChanged", "lead.tagAdded", "lead.tagRemoved"]);
}

#[tokio::test]
async fn a_task_is_done_and_an_entry_is_deleted() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let task = json!({"kind": "task", "title": "Call back", "dueAt": "2026-03-01T09:00:00Z"});
    let task = tenant.post(&format!("{}/activities", path(&lead)), task).await.expect(201);
    let path = format!("/api/activities/{}", task["id"].as_str().unwrap());
    let done = json!({"doneAt": "2026-03-01T10:00:00Z", "dueAt": null});
    let done = tenant.patch(&path, done).await.expect(200);
    assert_eq!(
        (&done["doneAt"], &done["dueAt"], &done["title"]),
        (&json!("2026-03-01T10:00:00Z"), &Value::Null, &task["title"])
    );
    tenant.patch(&path, json!({"occurredAt": null})).await.expect_invalid("/occurredAt", "required");
    tenant.delete(&path).await.expect(204);
    tenant.delete(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn consents_are_a_ledger() {
    let tenant = Tenant::new().await;
    let given =
        json!([{"channel": "email", "purpose": "marketing", "state": "granted", "proof": {"text": "Yes"}}]);
    let path = format!("{}/consents", path(&tenant.lead(json!({"consents": given})).await));
    let revoked = json!({"channel": "email", "purpose": "marketing", "state": "revoked"});
    tenant.post(&path, revoked).await.expect(201);
    tenant.post(&path, json!({"purpose": "health", "state": "granted"})).await.expect(201);
    tenant
        .post(&path, json!({"purpose": "marketing", "state": "granted"}))
        .await
        .expect_invalid("/channel", "required");
    let ledger = tenant.get(&format!("{path}?purpose=marketing&include=total")).await.expect(200);
    let states: Vec<&Value> =
        ledger["items"].as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    assert_eq!((states, &ledger["total"]), (vec![&json!("revoked"), &json!("granted")], &json!(2)));
}

fn values(items: &Value) -> Vec<(String, bool)> {
    let pair =
        |item: &Value| (item["value"].as_str().unwrap().to_owned(), item["isPrimary"].as_bool().unwrap());
    items.as_array().unwrap().iter().map(pair).collect()
}

#[tokio::test]
async fn a_further_identity_is_promoted_and_proved() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let (path, second) = (path(&lead), unique_email("second"));
    let add = async |kind: &str, value: &str| {
        tenant.post(&format!("{path}/identities"), json!({"kind": kind, "value": value})).await
    };
    let (added, external) =
        (add("email", &second).await.expect(201), add("external", "crm:4711").await.expect(201));
    assert_eq!((&added["isPrimary"], &added["verifiedAt"]), (&json!(false), &json!(null)));
    let at = |identity: &Value| format!("{path}/identities/{}", identity["id"].as_str().unwrap());
    let proved = tenant.patch(&at(&added), json!({"verified": true})).await.expect(200);
    assert!(proved["verifiedAt"].is_string() && proved["isPrimary"] == false);
    let promoted = tenant.patch(&at(&added), json!({"isPrimary": true})).await.expect(200);
    assert_eq!((&promoted["isPrimary"], &promoted["verifiedAt"]), (&json!(true), &proved["verifiedAt"]));
    assert_eq!(tenant.get(&path).await.expect(200)["email"], second);
    let told = tenant.get("/api/events?type=lead.updated").await.expect(200);
    assert_eq!(told["items"][0]["previous"], json!({"email": lead["email"]}));
    let listed = tenant.get(&format!("{path}/identities?kind=email")).await.expect(200);
    let primaries =
        listed["items"].as_array().unwrap().iter().filter(|identity| identity["isPrimary"] == true).count();
    assert_eq!((listed["items"].as_array().unwrap().len(), primaries), (2, 1));
    // Twice is once, and nobody is told.
    tenant.patch(&at(&added), json!({"isPrimary": true})).await.expect(200);
    assert_eq!(
        tenant.get("/api/events?type=lead.updated").await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
    tenant.patch(&at(&added), json!({"verified": false})).await.expect(200);
    tenant.patch(&at(&added), json!({"isPrimary": false})).await.expect_invalid("/isPrimary", "not_allowed");
    tenant
        .patch(&at(&external), json!({"isPrimary": true}))
        .await
        .expect_invalid("/isPrimary", "not_allowed");
    tenant
        .patch(&at(&added), json!({"value": "x@example.com"}))
        .await
        .expect_invalid("/value", "unknown_field");
    add("visitor", "bin:1").await.expect_invalid("/value", "invalid_value");
    let future = json!({"channel": "email", "purpose": "marketing", "state": "granted", "effectiveAt": "2199-01-01T00:00:00Z"});
    tenant.post(&format!("{path}/consents"), future).await.expect_invalid("/effectiveAt", "in_future");
}

#[tokio::test]
async fn a_time_that_cannot_be_told_is_refused_where_it_stands() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    tenant.get("/api/leads?from=-4713-01-01").await.expect_invalid("?from", "invalid_time");
    let note = json!({"kind": "note", "body": "x", "occurredAt": "-4713-01-01T00:00:00Z"});
    let note = tenant.post(&format!("{}/activities", path(&lead)), note).await;
    note.expect_invalid("/occurredAt", "out_of_range");
    let said = json!({"channel": "email", "purpose": "marketing", "state": "granted", "effectiveAt": "0000-01-01T00:00:00Z"});
    let said = tenant.post(&format!("{}/consents", path(&lead)), said).await;
    said.expect_invalid("/effectiveAt", "out_of_range");
}

#[tokio::test]
async fn money_is_for_nobody_who_is_gone_and_a_colleague_is_not_told_of_leads_they_do_not_see() {
    let tenant = Tenant::new().await;
    let email = unique_email("unseen");
    let lead = tenant.lead(json!({"email": email})).await;
    let own = super::jobs::bound_to_own(&tenant).await;
    let known = own.post("/api/leads", json!({"email": email})).await.expect_problem(409, "lead_exists");
    assert!(known["existingId"].is_null(), "{known}");
    let known = tenant.post("/api/leads", json!({"email": email})).await.expect_problem(409, "lead_exists");
    assert_eq!(known["existingId"], lead["id"]);

    tenant.delete(&path(&lead)).await.expect_status(204);
    let payment = json!({"leadId": lead["id"], "amount": 100, "currency": "EUR", "tender": "cash"});
    tenant.post("/api/finance/payments", payment).await.expect_invalid("/leadId", "unknown_lead");
}

#[tokio::test]
async fn an_identity_has_versions_of_its_own() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let identities = format!("{}/identities", path(&lead));
    let made = tenant.post(&identities, json!({"kind": "email", "value": unique_email("second")})).await;
    let address = made.header("location").to_owned();
    let (first, made) = (made.header("etag").to_owned(), made.expect(201));
    let change = async |method: Method, seen: &str| {
        let request = tenant.request(method, &address).header("if-match", seen);
        tenant.send(request.json(&json!({"verified": true}))).await
    };
    let changed = change(Method::PATCH, &first).await;
    let second = changed.header("etag").to_owned();
    assert_eq!(second, format!("\"v{}\"", changed.expect(200)["version"]));
    let refused = change(Method::PATCH, &first).await;
    refused.expect_problem(412, "stale_version");
    assert_eq!(refused.header("etag"), second);
    // Another one that becomes the primary one changes this one only if it was.
    let primary = tenant.get(&format!("{identities}?sort=createdAt")).await.expect(200)["items"][0].clone();
    assert_eq!(primary["isPrimary"], true);
    tenant.patch(&address, json!({"isPrimary": true})).await.expect(200);
    let demoted = tenant.get(&format!("{identities}?sort=createdAt")).await.expect(200)["items"][0].clone();
    assert_eq!(
        (&demoted["isPrimary"], demoted["version"].as_i64()),
        (&json!(false), primary["version"].as_i64().map(|v| v + 1))
    );
    // The bin is no change of what is known about a person.
    let version = tenant.get(&identities).await.expect(200)["items"][0]["version"].clone();
    tenant.delete(&path(&lead)).await.expect_status(204);
    tenant.post(&format!("{}/restore", path(&lead)), json!({})).await.expect(200);
    let listed = tenant.get(&identities).await.expect(200);
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["version"]), (&made["id"], &version));
    change(Method::DELETE, &second).await.expect_problem(412, "stale_version");
    let current = format!("\"v{version}\"");
    change(Method::DELETE, &current).await.expect_status(204);
}
