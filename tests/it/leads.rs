//! Leads: found by whoever they are, changed by one at a time, never twice.

mod assignment;
mod bin;
mod bulk;
mod changes;
mod custom_fields;
mod disabled;
mod exports;
mod feeds;
mod hints;
mod history;
mod imports;
mod jobs;
mod lists;
mod masking;
mod merges;
mod past;
mod pipelines;
mod plans;
mod privacy;
mod scopes;
mod scorer;
mod scores;
mod segments;
mod touches;
mod uploads;
mod upserts;

use serde_json::{Value, json};

use crate::support::{Client, Tenant, tenant::unique_email};

#[tokio::test]
async fn an_email_is_unique_within_a_tenant_only() {
    let (nord, sued) = (Tenant::new().await, Tenant::new().await);
    let email = unique_email("ada");
    let first = nord.post("/api/leads", json!({"firstName": "Ada", "email": email})).await;
    let id = first.expect(201)["id"].clone();
    assert_eq!(first.header("location"), format!("/api/leads/{}", id.as_str().unwrap()));
    let again = nord.post("/api/leads", json!({"email": email.to_uppercase()})).await;
    assert_eq!(again.expect_problem(409, "lead_exists")["existingId"], id);
    sued.post("/api/leads", json!({"email": email})).await.expect(201);
}

#[tokio::test]
async fn a_lead_opens_with_its_first_pages() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"phone": "0171 2345678", "tags": ["VIP", "vip"]})).await;
    assert_eq!((&lead["phone"], &lead["tags"]), (&json!("+491712345678"), &json!(["vip"])));
    let path = path(&lead);
    tenant
        .post(&format!("{path}/activities"), json!({"kind": "note", "body": "Likes mornings"}))
        .await
        .expect(201);
    let detail = tenant.get(&format!("{path}?expand=activities,conversations")).await.expect(200);
    let kinds: Vec<&Value> =
        detail["activities"]["items"].as_array().unwrap().iter().map(|a| &a["kind"]).collect();
    assert_eq!(kinds, ["note", "system"]);
    assert_eq!(detail["conversations"], json!({"items": [], "nextCursor": null}));
    tenant.get(&format!("{path}?expand=secrets")).await.expect_invalid("?expand", "unknown_value");
}

#[tokio::test]
async fn what_is_wrong_with_an_input_is_named() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let nobody = "0198a000-0000-7000-8000-00000000dead";
    for (body, pointer, code) in [
        (json!({"email": "a@b.de", "emial": 1}), "/emial", "unknown_field"),
        (json!({"email": 7}), "/email", "wrong_type"),
        (json!({"email": "nobody"}), "/email", "invalid_email"),
        (json!({"phone": "12"}), "/phone", "invalid_phone"),
        (json!({"firstName": "a\u{0}b"}), "", "invalid_text"),
        (json!({"firstName": "a\nb"}), "/firstName", "invalid_text"),
        (json!({"status": "Brand New", "firstName": "A"}), "/status", "invalid_word"),
        (json!({"status": "a-b", "firstName": "A"}), "/status", "invalid_word"),
        (json!({"firstName": "A", "tags": ["x,y"]}), "/tags/0", "invalid_tag"),
        (json!({"firstName": "A", "ownerId": nobody}), "/ownerId", "unknown_user"),
        (
            json!({"consents": [{"purpose": "marketing", "state": "granted"}], "firstName": "A"}),
            "/consents/0/channel",
            "required",
        ),
        (json!({}), "", "required"),
    ] {
        tenant.post("/api/leads", body).await.expect_invalid(pointer, code);
    }
    for (query, name, code) in [
        ("cursor=xyz", "?cursor", "invalid_cursor"),
        ("limit=101", "?limit", "out_of_range"),
        ("stats=new", "?stats", "unknown_parameter"),
        ("from=yesterday", "?from", "invalid_time"),
        ("ownerId=me", "?ownerId", "invalid_id"),
        ("sort=phone", "?sort", "unknown_value"),
        ("search=a%00b", "?search", "invalid_text"),
    ] {
        tenant.get(&format!("/api/leads?{query}")).await.expect_invalid(name, code);
    }
    let path = path(&lead);
    tenant.patch(&path, json!({"status": null})).await.expect_invalid("/status", "required");
    tenant.patch(&path, json!({"ownerId": nobody})).await.expect_invalid("/ownerId", "unknown_user");
    tenant.patch(&path, json!({"stageId": nobody})).await.expect_invalid("/stageId", "unknown_stage");
    tenant.post(&format!("{path}/assign"), json!({})).await.expect_invalid("/ownerId", "required");
    let missing = tenant.get("/api/leads/not-an-id").await;
    missing.expect_problem(404, "not_found");
    tenant.get(&format!("/api/leads/{nobody}")).await.expect_problem(404, "not_found");
    tenant
        .patch(&format!("/api/leads/{nobody}"), json!({"firstName": "A"}))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn twenty_equal_posts_with_one_key_have_one_effect() {
    let tenant = Tenant::new().await;
    let body = json!({"firstName": "Ida", "email": unique_email("ida")});
    let posts: Vec<_> =
        (0..20).map(|_| tokio::spawn(post_with_key(tenant.owner.clone(), body.clone()))).collect();
    let mut made = Vec::new();
    for post in posts {
        match post.await.unwrap() {
            (201, lead) => made.push(lead["id"].clone()),
            (status, problem) => {
                assert_eq!((status, &problem["code"]), (409, &json!("idempotency_in_flight")));
            }
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(
        post_with_key(tenant.owner.clone(), body).await,
        (201, tenant.get(&format!("/api/leads/{}", made[0].as_str().unwrap())).await.expect(200))
    );
    assert_eq!(tenant.get("/api/leads?include=total").await.expect(200)["total"], 1);
    let other = json!({"firstName": "Eve", "email": unique_email("eve")});
    assert_eq!(post_with_key(tenant.owner.clone(), other).await.0, 422);
}

async fn post_with_key(client: Client, body: Value) -> (u16, Value) {
    let request =
        client.request(reqwest::Method::POST, "/api/leads").header("idempotency-key", "once").json(&body);
    let answer = client.send(request).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
}

fn path(lead: &Value) -> String {
    format!("/api/leads/{}", lead["id"].as_str().unwrap())
}
