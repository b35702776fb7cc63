//! Who may see whose leads.

use serde_json::{Value, json};

use super::path;
use crate::support::{
    Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

#[tokio::test]
async fn a_colleague_bound_to_own_records_meets_no_other_lead() {
    let tenant = Tenant::new().await;
    let email = unique_email("own");
    let user = json!({"name": "Otto", "email": email, "role": "manager", "recordScope": "own", "password": PASSWORD});
    tenant.post("/api/users", user).await.expect(201);
    let login = json!({"email": email, "password": PASSWORD});
    let session = Client::anonymous().post("/api/auth/login", login).await.expect(200);
    let otto = Client::anonymous().with_token(session["accessToken"].as_str().unwrap());

    let foreign = tenant.lead(json!({"phone": "0171 2345678"})).await;
    let own =
        otto.post("/api/leads", json!({"firstName": "Ole", "email": unique_email("ole")})).await.expect(201);
    assert_eq!(own["ownerId"], session["user"]["id"]);
    let list = otto.get("/api/leads?include=total").await.expect(200);
    assert_eq!((&list["items"], &list["total"]), (&json!([own]), &json!(1)));

    let path = path(&foreign);
    for hidden in ["", "/activities", "/timeline", "/conversations", "/identities", "/consents"] {
        otto.get(&format!("{path}{hidden}")).await.expect_problem(404, "not_found");
    }
    let note = json!({"kind": "note", "body": "Mine"});
    let activity = tenant.post(&format!("{path}/activities"), note.clone()).await.expect(201);
    let activity = format!("/api/activities/{}", activity["id"].as_str().unwrap());
    let writes: [(&str, String, Value); 8] = [
        ("PATCH", path.clone(), json!({"firstName": "Mine"})),
        ("POST", format!("{path}/tags"), json!({"tags": ["mine"]})),
        ("POST", format!("{path}/assign"), json!({"ownerId": own["ownerId"]})),
        ("POST", format!("{path}/activities"), note),
        ("POST", format!("{path}/identities"), json!({"kind": "email", "value": unique_email("mine")})),
        ("PATCH", activity.clone(), json!({"title": "Mine"})),
        ("DELETE", activity, Value::Null),
        ("DELETE", path.clone(), Value::Null),
    ];
    for (method, path, body) in writes {
        let request = otto.request(method.parse().unwrap(), &path).json(&body);
        otto.send(request).await.expect_problem(404, "not_found");
    }
    for owner in [json!({}), json!({"ownerId": own["ownerId"]})] {
        let mut upsert = json!({"phone": "0171 2345678", "firstName": "Mine"});
        upsert.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
        otto.post("/api/leads/upsert", upsert).await.expect_problem(409, "lead_exists");
    }
    let after = tenant.get(&path).await.expect(200);
    for field in ["firstName", "tags", "ownerId", "email", "phone", "deletedAt"] {
        assert_eq!(after[field], foreign[field], "{field}");
    }
}

/// A colleague of a team who sees only its records, and the id.
async fn of_team(tenant: &Tenant, scope: &str, team: Value) -> (Client, Value) {
    let email = unique_email("team");
    let user = json!({"name": "Tea", "email": email, "role": "manager", "recordScope": scope, "team": team,
                      "password": PASSWORD});
    let user = tenant.post("/api/users", user).await.expect(201);
    let login = json!({"email": email, "password": PASSWORD});
    let session = Client::anonymous().post("/api/auth/login", login).await.expect(200);
    (Client::anonymous().with_token(session["accessToken"].as_str().unwrap()), user["id"].clone())
}

#[tokio::test]
async fn a_team_sees_its_own_records_and_no_other_teams() {
    let tenant = Tenant::new().await;
    let (north, north_id) = of_team(&tenant, "team", json!("north")).await;
    let (_, mate_id) = of_team(&tenant, "own", json!("north")).await;
    let (south, south_id) = of_team(&tenant, "team", json!("south")).await;
    let (alone, alone_id) = of_team(&tenant, "team", Value::Null).await;
    let mut leads = Vec::new();
    for owner in [&north_id, &mate_id, &south_id, &alone_id, &Value::Null] {
        leads.push(tenant.lead(json!({"ownerId": owner})).await);
    }
    for (client, seen) in [(&north, vec![0, 1]), (&south, vec![2]), (&alone, vec![3])] {
        let page = client.get("/api/leads?include=total").await.expect(200);
        assert_eq!(page["total"], seen.len());
        for (place, lead) in leads.iter().enumerate() {
            let answer = client.get(&path(lead)).await;
            assert_eq!(answer.status.as_u16(), if seen.contains(&place) { 200 } else { 404 }, "{answer}");
        }
    }
    let made = north.post("/api/leads", json!({"firstName": "New"})).await.expect(201);
    assert_eq!(made["ownerId"], north_id);
    // Another team from the next request on.
    let user = format!("/api/users/{}", north_id.as_str().unwrap());
    tenant.patch(&user, json!({"team": "south"})).await.expect(200);
    north.get(&path(&leads[1])).await.expect_problem(404, "not_found");
    north.get(&path(&leads[2])).await.expect(200);
}

#[tokio::test]
async fn invoices_counts_and_exports_keep_to_the_records_that_are_seen() {
    let tenant = Tenant::new().await;
    let (otto, otto_id) = of_team(&tenant, "own", Value::Null).await;
    let (own, foreign) = (tenant.lead(json!({"ownerId": otto_id})).await, tenant.lead(json!({})).await);
    let mut invoices = Vec::new();
    for (lead, name) in [(&own, "mine"), (&foreign, "theirs")] {
        let lines = json!([{"description": "Hour", "quantity": "1", "unitPrice": 100}]);
        let draft = json!({"leadId": lead["id"], "lines": lines});
        invoices.push(tenant.post("/api/finance/invoices", draft).await.expect(201));
        let event = json!({"eventId": format!("{name}-{}", tenant.id), "surface": "site", "ctaId": name, "kind": "click",
                           "leadId": lead["id"]});
        tenant.post("/api/analytics/cta", event).await.expect(202);
    }
    let page = otto.get("/api/finance/invoices?include=total").await.expect(200);
    assert_eq!((&page["total"], &page["items"][0]["id"]), (&json!(1), &invoices[0]["id"]));
    let hidden = format!("/api/finance/invoices/{}", invoices[1]["id"].as_str().unwrap());
    for answer in [
        otto.get(&hidden).await,
        otto.patch(&hidden, json!({"memo": "Mine"})).await,
        otto.post(&format!("{hidden}/finalize"), json!({})).await,
        otto.post(&format!("{hidden}/void"), json!({})).await,
        otto.post(&format!("{hidden}/payments"), json!({"amount": 1, "tender": "cash"})).await,
        otto.delete(&hidden).await,
    ] {
        answer.expect_problem(404, "not_found");
    }
    assert_eq!(otto.get("/api/analytics/overview").await.expect(200)["leads"]["created"], 1);
    assert_eq!(tenant.get("/api/analytics/overview").await.expect(200)["leads"]["created"], 2);
    let day =
        |days: i64| (shared::clock::now() + chrono::TimeDelta::days(days)).format("%Y-%m-%d").to_string();
    let export = format!("/api/analytics/cta/export?format=ndjson&from={}&to={}", day(-2), day(2));
    let exported = otto.get(&export).await.text;
    assert!(exported.contains("mine") && !exported.contains("theirs"), "{exported}");
    assert!(tenant.get(&export).await.text.contains("theirs"));
}

#[tokio::test]
async fn who_only_looks_sees_hints_of_addresses_and_changes_none() {
    let tenant = Tenant::new().await;
    let email = unique_email("masked");
    let lead = tenant.lead(json!({"email": email, "phone": "0171 2345612"})).await;
    let message =
        json!({"leadId": lead["id"], "channel": "email", "body": "Hello", "sendAt": "2199-01-01T00:00:00Z"});
    let message = tenant.post("/api/messages/send", message).await.expect(202);
    let viewer = tenant.colleague("viewer").await;
    let messages = format!("/api/conversations/{}/messages", message["conversationId"].as_str().unwrap());
    let mut pages = Vec::new();
    for address in [
        path(&lead),
        "/api/leads".to_owned(),
        "/api/messages".to_owned(),
        messages,
        format!("/api/messages/{}", message["messageId"].as_str().unwrap()),
    ] {
        let answer = viewer.get(&address).await;
        answer.expect(200);
        assert!(!answer.text.contains(&email) && !answer.text.contains("+491712345612"), "{answer}");
        pages.push(answer);
    }
    let seen = pages[0].expect(200);
    assert_eq!((&seen["phone"], &seen["email"]), (&json!("+49•••••12"), &json!("m•••••@example.com")));
    viewer.patch(&path(&lead), json!({"phone": "0171 1"})).await.expect_problem(403, "role_required");
    viewer.get(&format!("{}/identities", path(&lead))).await.expect_problem(403, "role_required");
    viewer.get("/api/wellness/metrics").await.expect_problem(403, "role_required");
    viewer.get(&format!("{}?expand=metrics", path(&lead))).await.expect_problem(403, "role_required");
    assert_eq!(tenant.colleague("staff").await.get(&path(&lead)).await.expect(200)["email"], email.as_str());
}
