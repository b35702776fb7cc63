//! Coming in, staying in, being let out; colleagues and keys.

use std::net::Ipv4Addr;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Tenant, stack,
    tenant::{PASSWORD, unique_email},
};

async fn login(body: Value) -> Answer {
    Client::anonymous().post("/api/auth/login", body).await
}

async fn refresh(token: &str) -> Answer {
    Client::anonymous().post("/api/auth/refresh", json!({"refreshToken": token})).await
}

/// A login from another place than where all other tests sit.
async fn login_from(last: u8, email: &str, password: &str) -> Answer {
    let client = Client::at(Ipv4Addr::new(127, 9, 9, last));
    client.post("/api/auth/login", json!({"email": email, "password": password})).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test]
async fn registration_founds_a_business_and_signs_its_owner_in() {
    let tenant = Tenant::new().await;
    let registration = &tenant.registration;
    assert_eq!(registration["user"]["role"], "owner");
    assert_eq!(registration["user"]["tenantId"], registration["tenant"]["id"]);
    assert_eq!(registration["tenant"]["timezone"], "Europe/Berlin");
    assert!(text(&registration["tenant"]["slug"]).starts_with("studio-nord"));

    let session = tenant.get("/api/auth/session").await.expect(200);
    assert_eq!(session["user"], registration["user"]);
    assert!(session["expires"].is_string());
    assert_eq!(tenant.get("/api/me").await.expect(200)["email"], tenant.email.as_str());
    assert_eq!(Client::anonymous().get("/api/auth/session").await.expect(200), json!({}));
    Client::anonymous()
        .with_token("not a token")
        .get("/api/auth/session")
        .await
        .expect_problem(401, "unauthorized");
    let keys = Client::anonymous().get("/api/auth/jwks").await.expect(200);
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");

    let weak =
        json!({"businessName": "B", "name": "Olga", "email": unique_email("weak"), "password": "password1"});
    Client::anonymous().post("/api/auth/register", weak).await.expect_invalid("/password", "too_common");
}

#[tokio::test]
async fn unknown_address_wrong_password_and_disabled_user_get_the_same_answer() {
    let tenant = Tenant::new().await;
    let email = unique_email("gone");
    let new = json!({"name": "Gone", "email": email, "role": "staff", "password": PASSWORD});
    let user = tenant.post("/api/users", new).await.expect(201);
    let colleague = login(json!({"email": email, "password": PASSWORD})).await.expect(200);
    let path = format!("/api/users/{}", text(&user["id"]));
    tenant.patch(&path, json!({"status": "disabled"})).await.expect(200);

    let token = text(&colleague["accessToken"]);
    Client::anonymous().with_token(token).get("/api/me").await.expect_problem(401, "unauthorized");
    refresh(text(&colleague["refreshToken"])).await.expect_problem(401, "unauthorized");
    let mut bodies = Vec::new();
    for (email, password) in
        [(unique_email("nobody").as_str(), PASSWORD), (&tenant.email, "wrong password"), (&email, PASSWORD)]
    {
        let mut problem = login(json!({"email": email, "password": password}))
            .await
            .expect_problem(401, "invalid_credentials");
        problem["requestId"] = Value::Null;
        bodies.push(problem);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[tokio::test]
async fn an_address_in_two_businesses_chooses_one_only_after_the_password_matched() {
    let first = Tenant::new().await;
    let body =
        json!({"businessName": "Studio Süd", "name": "Olga", "email": first.email, "password": PASSWORD});
    let second = Client::anonymous().post("/api/auth/register", body).await.expect(201);

    login(json!({"email": first.email, "password": "wrong password"}))
        .await
        .expect_problem(401, "invalid_credentials");
    let problem = login(json!({"email": first.email, "password": PASSWORD}))
        .await
        .expect_problem(409, "tenant_required");
    assert_eq!(problem["tenants"].as_array().unwrap().len(), 2);
    for choice in [&second["tenant"]["id"], &second["tenant"]["slug"]] {
        let session =
            login(json!({"email": first.email, "password": PASSWORD, "tenant": choice})).await.expect(200);
        assert_eq!(session["user"]["tenantId"], second["tenant"]["id"]);
    }
}

#[tokio::test]
async fn a_hash_of_an_older_system_opens_and_is_rewritten() {
    let tenant = Tenant::new().await;
    // "correct horse battery staple", bcrypt at cost 4.
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let owner = |sql: &str| {
        stack().execute(
            private_postgres::DATABASE,
            &format!("begin; set local app.tenant_id = '{}'; {sql}; commit", tenant.id),
        );
    };
    owner(&format!("update users set password_hash = '{hash}'"));
    login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
    owner("do $$ begin assert (select password_hash like '$argon2id$%' from users); end $$");
    login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
}

#[tokio::test]
async fn ten_failures_shut_one_place_out_and_let_the_owner_in_from_another() {
    let tenant = Tenant::new().await;
    let guesses = join_all((0..10).map(|_| login_from(1, &tenant.email, "a wrong password"))).await;
    for guess in guesses {
        guess.expect_problem(401, "invalid_credentials");
    }
    let refused = login_from(1, &tenant.email, PASSWORD).await;
    refused.expect_problem(429, "too_many_attempts");
    assert!((1..=900).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    login_from(2, &tenant.email, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn parallel_refreshes_of_one_token_get_one_successor() {
    let tenant = Tenant::new().await;
    let first = text(&tenant.registration["refreshToken"]);
    let answers = join_all((0..20).map(|_| refresh(first))).await;
    let successors: Vec<Value> =
        answers.iter().map(|answer| answer.expect(200)["refreshToken"].clone()).collect();
    assert!(successors.windows(2).all(|pair| pair[0] == pair[1]));
    let next = refresh(text(&successors[0])).await.expect(200);
    let client = Client::anonymous().with_token(text(&next["accessToken"]));
    client.get("/api/me").await.expect(200);

    // The first token is now the grandparent: whoever has it is not the one who has the session.
    refresh(first).await.expect_problem(401, "unauthorized");
    refresh(text(&next["refreshToken"])).await.expect_problem(401, "unauthorized");
    client.get("/api/me").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_parent_that_comes_back_after_its_grace_ends_the_family() {
    let tenant = Tenant::new().await;
    let first = text(&tenant.registration["refreshToken"]);
    let next = refresh(first).await.expect(200);
    stack().execute(
        private_postgres::DATABASE,
        &format!(
            "begin; set local app.tenant_id = '{}'; \
             update sessions set rotated_at = rotated_at - interval '11 seconds'; commit",
            tenant.id
        ),
    );
    refresh(first).await.expect_problem(401, "unauthorized");
    refresh(text(&next["refreshToken"])).await.expect_problem(401, "unauthorized");
    let session = login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
    let owner = Client::anonymous().with_token(text(&session["accessToken"]));
    let audit = owner.get("/api/audit?action=session.reuse_detected").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_and_end_with_their_next_request() {
    let tenant = Tenant::new().await;
    let sign_in = || async { login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200) };
    let (one, two) = (sign_in().await, sign_in().await);
    let client = |session: &Value| Client::anonymous().with_token(text(&session["accessToken"]));

    let page = tenant.get("/api/auth/sessions").await.expect(200);
    let sessions = page["items"].as_array().unwrap();
    assert_eq!(
        (sessions.len(), sessions.iter().filter(|session| session["current"] == true).count()),
        (3, 1)
    );
    let latest = format!("/api/auth/sessions/{}", text(&sessions[0]["id"]));
    Tenant::new().await.delete(&latest).await.expect_problem(404, "not_found");
    tenant.delete(&latest).await.expect(204);
    client(&two).get("/api/me").await.expect_problem(401, "unauthorized");

    let logout = json!({"refreshToken": one["refreshToken"]});
    Client::anonymous().post("/api/auth/logout", logout).await.expect(204);
    client(&one).get("/api/me").await.expect_problem(401, "unauthorized");
    let three = sign_in().await;
    let bare = client(&three).request(Method::POST, "/api/auth/logout");
    Client::anonymous().send(bare).await.expect(204);
    client(&three).get("/api/me").await.expect_problem(401, "unauthorized");
    tenant.post("/api/auth/logout-all", json!({})).await.expect(204);
    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn the_last_owner_stays_and_only_owners_make_owners() {
    let tenant = Tenant::new().await;
    let admin = tenant.colleague("admin").await;
    let owner = format!("/api/users/{}", text(&tenant.registration["user"]["id"]));
    for patch in [json!({"role": "admin"}), json!({"status": "disabled"})] {
        tenant.patch(&owner, patch).await.expect_problem(409, "last_owner");
    }
    admin.patch(&owner, json!({"name": "X"})).await.expect_problem(403, "role_required");
    let me = admin.get("/api/me").await.expect(200);
    let own = format!("/api/users/{}", text(&me["id"]));
    admin.patch(&own, json!({"role": "owner"})).await.expect_problem(403, "role_required");
    let new = json!({"name": "N", "email": unique_email("new"), "role": "owner"});
    admin.post("/api/users", new).await.expect_problem(403, "role_required");
    tenant.colleague("manager").await.get("/api/users").await.expect_problem(403, "role_required");

    // Two owners who unmake each other at once leave one.
    tenant.patch(&own, json!({"role": "owner"})).await.expect(200);
    let (one, two) = tokio::join!(
        tenant.patch(&own, json!({"role": "staff"})),
        admin.patch(&owner, json!({"role": "staff"})),
    );
    assert_eq!([one, two].iter().filter(|answer| answer.status == 200).count(), 1);

    let twice = json!({"name": "N", "email": tenant.email, "role": "staff", "password": PASSWORD});
    let who = if tenant.get("/api/users").await.status == 200 { &tenant.owner } else { &admin };
    who.post("/api/users", twice).await.expect_problem(409, "user_exists");
}

#[tokio::test]
async fn an_invitation_works_once() {
    let tenant = Tenant::new().await;
    let invite = json!({"email": unique_email("guest"), "role": "staff"});
    let sent = tenant.post("/api/users/invite", invite.clone()).await.expect(201);
    assert!(sent["inviteId"].is_string());
    login(json!({"email": invite["email"], "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    let accept = json!({"token": sent["token"], "password": PASSWORD});
    let session = Client::anonymous().post("/api/auth/accept-invite", accept.clone()).await.expect(200);
    assert_eq!(session["user"]["role"], "staff");
    Client::anonymous().post("/api/auth/accept-invite", accept).await.expect_problem(410, "token_used");
    login(json!({"email": invite["email"], "password": PASSWORD})).await.expect(200);
}

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
    assert_eq!((&verified["ok"], &verified["checked"]), (&json!(true), &json!(3)));
}

#[tokio::test]
async fn settings_change_one_by_one_and_go_back_to_their_defaults() {
    let tenant = Tenant::new().await;
    let before = tenant.get("/api/tenant").await;
    let etag = before.header("etag").to_owned();
    assert_eq!(before.expect(200)["quietHours"], json!({"start": "21:00", "end": "08:00"}));

    let quiet = json!({"quietHours": {"start": "20:00", "end": "09:30"}, "timezone": "Europe/Lisbon"});
    let patch =
        |body: Value| tenant.request(Method::PATCH, "/api/tenant").header("if-match", &etag).json(&body);
    let changed = tenant.send(patch(quiet)).await.expect(200);
    assert_eq!(
        (&changed["timezone"], &changed["quietHours"]["end"]),
        (&json!("Europe/Lisbon"), &json!("09:30"))
    );
    tenant.send(patch(json!({"rounding": "document"}))).await.expect_problem(412, "stale_version");
    let changed =
        tenant.patch("/api/tenant", json!({"rounding": "document", "quietHours": null})).await.expect(200);
    assert_eq!(changed["rounding"], "document");
    assert_eq!(changed["quietHours"]["start"], "21:00");
    tenant.patch("/api/tenant", json!({"name": null})).await.expect_invalid("/name", "required");
    tenant
        .patch("/api/tenant", json!({"quietHours": {"start": "25:00", "end": "08:00"}}))
        .await
        .expect_invalid("/quietHours/start", "invalid_time");
    tenant
        .colleague("manager")
        .await
        .patch("/api/tenant", json!({}))
        .await
        .expect_problem(403, "role_required");
}
