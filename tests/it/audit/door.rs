//! Who came in, who did not, and what a stolen session can make of itself.

use serde_json::{Value, json};

use crate::{
    auth::{alter, client, sign_in},
    support::{
        Client, Tenant,
        tenant::{PASSWORD, unique_email},
    },
};

async fn log(tenant: &Tenant, action: &str) -> Vec<Value> {
    let page = tenant.get(&format!("/api/audit?action={action}&limit=100")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn key(maker: &Client, scopes: Value) -> (Client, Value) {
    let new = json!({"name": "Key", "kind": "secret", "scopes": scopes});
    let issued = maker.post("/api/api-keys", new).await.expect(201);
    (Client::anonymous().with_token(issued["key"].as_str().unwrap()), issued["id"].clone())
}

#[tokio::test]
async fn guessing_is_in_the_log_and_does_not_fill_it() {
    let tenant = Tenant::new().await;
    for _ in 0..4 {
        let guess = json!({"email": tenant.email, "password": "not the password"});
        Client::anonymous().post("/api/auth/login", guess).await.expect(401);
        tenant.post("/api/auth/reauth", json!({"password": "not the password"})).await.expect(401);
    }
    let user = &tenant.registration["user"]["id"];
    for action in ["user.sign_in_failed", "user.password_failed"] {
        let entries = log(&tenant, action).await;
        assert_eq!(
            (entries.len(), &entries[0]["objectId"], &entries[0]["actorKind"]),
            (1, user, &json!("system"))
        );
        assert!(entries[0]["requestId"].is_string());
    }
    sign_in(&tenant.email).await;
    assert_eq!(log(&tenant, "user.signed_in").await.len(), 1);
    // What somebody does a quarter of an hour later is noted again.
    alter(
        &tenant,
        "update audit_log set at = at - interval '16 minutes' where action = 'user.sign_in_failed'",
    );
    let guess = json!({"email": tenant.email, "password": "not the password"});
    Client::anonymous().post("/api/auth/login", guess).await.expect(401);
    assert_eq!(log(&tenant, "user.sign_in_failed").await.len(), 2);
}

#[tokio::test]
async fn a_session_without_the_password_makes_neither_keys_nor_people() {
    let tenant = Tenant::new().await;
    let (_, colleague) = tenant.bound("staff", "own").await;
    let colleague = format!("/api/users/{}", colleague.as_str().unwrap());
    alter(&tenant, "update sessions set authenticated_at = now() - interval '5 minutes'");
    let user = json!({"name": "Eve", "email": unique_email("eve"), "role": "admin", "password": PASSWORD});
    let invite = json!({"email": unique_email("eve"), "role": "admin"});
    let key =
        json!({"name": "Eve", "kind": "secret", "scopes": ["leads:read", "finance:write", "admin:write"]});
    for refused in [
        tenant.post("/api/api-keys", key).await,
        tenant.post("/api/users", user).await,
        tenant.post("/api/users/invite", invite).await,
        tenant.patch(&colleague, json!({"role": "admin"})).await,
        tenant.patch(&colleague, json!({"recordScope": "all"})).await,
        tenant.delete(&colleague).await,
    ] {
        refused.expect_problem(401, "reauth_required");
    }
}

#[tokio::test]
async fn a_key_makes_nobody_who_may_do_more_than_itself() {
    let tenant = Tenant::new().await;
    let (_, colleague) = tenant.bound("staff", "own").await;
    let colleague = format!("/api/users/{}", colleague.as_str().unwrap());
    let invite = |role: &str| json!({"email": unique_email("by-key"), "role": role});

    let (narrow, _) = key(&tenant, json!(["admin:write"])).await;
    let with_password =
        json!({"name": "Eve", "email": unique_email("eve"), "role": "viewer", "password": PASSWORD});
    narrow.post("/api/users", with_password).await.expect_problem(403, "scope_required");
    narrow.post("/api/users/invite", invite("viewer")).await.expect_problem(403, "scope_required");
    for grown in [json!({"role": "admin"}), json!({"recordScope": "all"}), json!({"team": "everybody"})] {
        narrow.patch(&colleague, grown).await.expect_problem(403, "scope_required");
    }
    // Taking away makes nobody stronger.
    narrow.patch(&colleague, json!({"name": "Some One", "role": "viewer"})).await.expect(200);
    narrow.patch(&colleague, json!({"status": "disabled"})).await.expect(200);
    narrow.patch(&colleague, json!({"status": "active"})).await.expect_problem(403, "scope_required");

    let staff = ["leads", "messages", "automations", "finance", "wellness", "analytics", "admin"];
    let (wide, _) = key(&tenant, json!(staff.map(|surface| format!("{surface}:write")))).await;
    let with_password =
        json!({"name": "Eve", "email": unique_email("eve"), "role": "viewer", "password": PASSWORD});
    wide.post("/api/users", with_password).await.expect_problem(403, "user_required");
    wide.post("/api/users/invite", invite("manager")).await.expect(201);
    let problem = wide.post("/api/users/invite", invite("admin")).await.expect_problem(403, "scope_required");
    assert!(problem["requiredScope"].as_str().unwrap().starts_with("webhooks:"), "{problem}");
    let another = json!({"name": "K", "kind": "secret", "scopes": ["leads:read"]});
    wide.post("/api/api-keys", another).await.expect_problem(403, "user_required");
}

#[tokio::test]
async fn keys_are_listed_with_their_maker_and_end_with_what_let_the_maker_make_them() {
    let tenant = Tenant::new().await;
    for (end, reason) in [
        (Some(json!({"status": "disabled"})), "maker_disabled"),
        (Some(json!({"role": "manager"})), "maker_demoted"),
        (None, "maker_removed"),
    ] {
        let (admin, id) = tenant.bound("admin", "all").await;
        let id = id.as_str().unwrap();
        let (made, key_id) = key(&admin, json!(["leads:read"])).await;
        let (kept, _) = key(&tenant, json!(["leads:read"])).await;
        let listed = tenant.get(&format!("/api/api-keys?createdBy={id}")).await.expect(200);
        assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &key_id));
        assert_eq!(listed["items"][0]["createdBy"], id);
        made.get("/api/leads").await.expect(200);
        let path = format!("/api/users/{id}");
        match end {
            Some(patch) => tenant.patch(&path, patch).await.expect(200),
            None => tenant.delete(&path).await.expect(204),
        };
        made.get("/api/leads").await.expect_problem(401, "unauthorized");
        kept.get("/api/leads").await.expect(200);
        let entries = log(&tenant, "api_key.revoked").await;
        assert_eq!((&entries[0]["objectId"], &entries[0]["after"]["reason"]), (&key_id, &json!(reason)));
    }
}

#[tokio::test]
async fn signing_out_everywhere_takes_the_keys_with_it_that_a_thief_has_made() {
    let tenant = Tenant::new().await;
    let (own, _) = key(&tenant, json!(["leads:read"])).await;
    alter(&tenant, "update api_keys set created_at = created_at - interval '1 day'");
    let (stolen, _) = key(&client(&sign_in(&tenant.email).await), json!(["leads:read"])).await;
    let since = (shared::clock::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
    tenant.post("/api/auth/logout-all", json!({"revokeKeysSince": since})).await.expect(204);
    stolen.get("/api/leads").await.expect_problem(401, "unauthorized");
    own.get("/api/leads").await.expect(200);
    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
}
