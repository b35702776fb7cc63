//! API keys: what they may do, and what no key may.

use std::collections::HashMap;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{alter, text};
use crate::support::{Client, Tenant};

#[tokio::test]
async fn an_api_key_does_what_its_scopes_say_until_it_is_revoked() {
    let tenant = Tenant::new().await;
    let new = json!({"name": "Import", "kind": "secret", "scopes": ["leads:read"]});
    let request =
        || tenant.request(Method::POST, "/api/api-keys").header("idempotency-key", "one-key").json(&new);
    let first = tenant.send(request()).await;
    let replay = tenant.send(request()).await;
    let issued = first.expect(201);
    assert_eq!((replay.expect(201), replay.header("idempotency-replayed")), (issued.clone(), "true"));
    let key = Client::anonymous().with_token(text(&issued["key"]));
    assert!(text(&issued["key"]).starts_with(text(&issued["prefix"])));

    key.get("/api/leads").await.expect(200);
    let problem =
        key.post("/api/leads", json!({"firstName": "L"})).await.expect_problem(403, "scope_required");
    assert_eq!(problem["requiredScope"], "leads:write");
    let listed = tenant.get("/api/api-keys").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert!(listed["items"][0]["key"].is_null() && listed["items"][0]["lastUsedAt"].is_string());

    let path = format!("/api/api-keys/{}", text(&issued["id"]));
    Tenant::new().await.delete(&path).await.expect_problem(404, "not_found");
    tenant.delete(&path).await.expect(204);
    key.get("/api/leads").await.expect_problem(401, "unauthorized");

    let site = json!({"name": "Site", "kind": "site", "scopes": ["leads:read"]});
    tenant.post("/api/api-keys", site).await.expect_invalid("/scopes", "not_allowed");
    let site = tenant.post("/api/api-keys", json!({"name": "Site", "kind": "site"})).await.expect(201);
    assert!(text(&site["key"]).starts_with("wpk_"));
    let verified = tenant.get("/api/audit/verify").await.expect(200);
    assert_eq!((&verified["ok"], &verified["checked"]), (&json!(true), &json!(4)));
}

#[tokio::test]
async fn a_key_ends_with_its_last_day() {
    let tenant = Tenant::new().await;
    let new = |expires: &str| json!({"name": "Guest", "kind": "secret", "scopes": ["leads:read"], "expiresAt": expires});
    tenant
        .post("/api/api-keys", new("2026-01-01T00:00:00Z"))
        .await
        .expect_invalid("/expiresAt", "in_the_past");
    let issued = tenant.post("/api/api-keys", new("2199-01-01T00:00:00Z")).await.expect(201);
    let key = Client::anonymous().with_token(text(&issued["key"]));
    key.get("/api/leads").await.expect(200);
    super::alter(&tenant, "update api_keys set expires_at = now()");
    key.get("/api/leads").await.expect_problem(401, "unauthorized");
}

const SURFACES: [&str; 8] =
    ["leads", "messages", "automations", "finance", "wellness", "webhooks", "analytics", "admin"];

async fn key(tenant: &Tenant, scopes: &[String]) -> Client {
    let new = json!({"name": "Key", "kind": "secret", "scopes": scopes});
    let issued = tenant.post("/api/api-keys", new).await.expect(201);
    Client::anonymous().with_token(text(&issued["key"]))
}

#[tokio::test]
async fn a_key_opens_exactly_the_routes_whose_scope_it_has() {
    const NOBODY: &str = "0198a000-0000-7000-8000-00000000dead";
    let tenant = Tenant::new().await;
    let mut keys = HashMap::new();
    for surface in SURFACES {
        for access in ["read", "write"] {
            let scope = format!("{surface}:{access}");
            keys.insert(scope.clone(), key(&tenant, &[scope]).await);
            let others: Vec<String> = SURFACES
                .iter()
                .filter(|other| **other != surface)
                .map(|other| format!("{other}:write"))
                .collect();
            keys.insert(format!("not {surface}"), key(&tenant, &others).await);
        }
    }
    let all = key(&tenant, &SURFACES.map(|surface| format!("{surface}:write"))).await;

    let document: Value = serde_json::from_str(&local::functions::document().unwrap()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
        let filled = parts.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let call = async |client: &Client| {
                client.send(client.request(method.clone(), &filled).json(&Value::Null)).await
            };
            match operation["x-scope"].as_str() {
                None => assert_eq!(operation["x-role"], "public", "{method} {path} says no scope"),
                Some("none") => {
                    call(&all).await.expect_problem(403, "user_required");
                }
                Some(scope) => {
                    let (surface, access) = scope.split_once(':').unwrap();
                    let mut refused = vec![&keys[&format!("not {surface}")]];
                    if access == "write" {
                        refused.push(&keys[&format!("{surface}:read")]);
                    }
                    for key in refused {
                        let problem = call(key).await.expect_problem(403, "scope_required");
                        assert_eq!(problem["requiredScope"], scope, "{method} {path}");
                    }
                    let answer = call(&keys[scope]).await;
                    assert!(![401, 403].contains(&answer.status.as_u16()), "{answer}");
                    assert!(answer.status.as_u16() < 500, "{answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_stands_for_an_administrator_at_most_and_makes_nobody_stronger_than_itself() {
    let tenant = Tenant::new().await;
    let admin = key(&tenant, &["admin:write".to_owned()]).await;
    let owner = json!({"name": "O", "email": "owner-by-key@example.com", "role": "owner"});
    admin.post("/api/users", owner).await.expect_problem(403, "role_required");
    let path = format!("/api/users/{}", text(&tenant.registration["user"]["id"]));
    admin.patch(&path, json!({"name": "X"})).await.expect_problem(403, "role_required");
    admin.delete(&path).await.expect_problem(403, "role_required");
    admin.delete("/api/tenant").await.expect_problem(403, "user_required");
    let stronger = json!({"name": "K", "kind": "secret", "scopes": ["admin:read", "leads:read"]});
    admin.post("/api/api-keys", stronger).await.expect_problem(403, "user_required");
    tenant.get("/api/tenant").await.expect(200);
}

#[tokio::test]
async fn a_hundred_equal_requests_with_one_key_have_one_effect() {
    let tenant = Tenant::new().await;
    let body = json!({"firstName": "Once", "email": crate::support::tenant::unique_email("once")});
    let post = || async {
        let request = tenant.request(Method::POST, "/api/leads").header("idempotency-key", "the-same");
        tenant.send(request.json(&body)).await
    };
    let answers = join_all((0..100).map(|_| post())).await;
    let mut made: Vec<Value> = Vec::new();
    for answer in answers {
        match answer.status.as_u16() {
            201 => made.push(answer.expect(201)),
            409 => {
                answer.expect_problem(409, "idempotency_in_flight");
            }
            _ => panic!("{answer}"),
        }
    }
    assert!(!made.is_empty() && made.windows(2).all(|pair| pair[0] == pair[1]));
    let again = post().await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (made[0].clone(), "true"));
    assert_eq!(tenant.get("/api/leads?include=total").await.expect(200)["total"], 1);

    // After a day a key is as good as new.
    alter(
        &tenant,
        "update idempotency_keys set created_at = created_at - interval '25 hours' where key = 'the-same'",
    );
    let request = tenant.request(Method::POST, "/api/leads").header("idempotency-key", "the-same");
    let later = tenant.send(request.json(&json!({"firstName": "Twice"}))).await;
    assert_eq!(
        (&later.expect(201)["firstName"], later.header("idempotency-replayed")),
        (&json!("Twice"), "")
    );
    let request = tenant.request(Method::POST, "/api/leads").header("idempotency-key", "the-same");
    let again = tenant.send(request.json(&json!({"firstName": "Twice"}))).await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (later.expect(201), "true"));
}
