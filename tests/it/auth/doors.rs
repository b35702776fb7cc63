//! Registration and login.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::accounts::FAILURE_FLOOR;

use super::{alter, login, login_from, refresh, text};
use crate::support::{
    Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

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
async fn every_refusal_waits_for_the_same_floor_and_so_does_whoever_names_no_business() {
    let (tenant, legacy) = (Tenant::new().await, Tenant::new().await);
    alter(&legacy, &format!("update users set password_hash = '{}'", bcrypt::hash(PASSWORD, 4).unwrap()));
    let disabled = unique_email("disabled");
    let new = json!({"name": "Gone", "email": disabled, "role": "staff", "password": PASSWORD});
    let user = tenant.post("/api/users", new).await.expect(201);
    let path = format!("/api/users/{}", text(&user["id"]));
    tenant.patch(&path, json!({"status": "disabled"})).await.expect(200);
    let several = Tenant::new().await;
    let body = json!({"businessName": "B", "name": "Olga", "email": several.email, "password": PASSWORD});
    Client::anonymous().post("/api/auth/register", body).await.expect(201);

    let takes = async |body: Value, status: u16| {
        let started = Instant::now();
        login(body).await.expect(status);
        // Only from below: what is slow besides is the machine.
        assert!(started.elapsed() >= FAILURE_FLOOR, "{:?}", started.elapsed());
    };
    let of = |email: &str, password: &str| json!({"email": email, "password": password});
    for (email, password) in [
        (unique_email("nobody").as_str(), PASSWORD),
        (&tenant.email, "wrong password"),
        (&legacy.email, "wrong password"),
        (&several.email, "wrong password"),
        (&disabled, PASSWORD),
    ] {
        takes(of(email, password), 401).await;
    }
    takes(json!({"email": tenant.email, "password": "wrong password", "tenant": tenant.id}), 401).await;
    takes(of(&legacy.email, PASSWORD), 200).await;
    takes(of(&several.email, PASSWORD), 409).await;
    let started = Instant::now();
    tenant.post("/api/auth/reauth", json!({"password": "wrong password"})).await.expect(401);
    assert!(started.elapsed() >= FAILURE_FLOOR);

    // The floor begins after the delay. Fourteen failures from elsewhere, and a try waits for about a second.
    let email = unique_email("delayed");
    join_all((0..14).map(|n| login_from(50 + n % 2, &email, "wrong password"))).await;
    let started = Instant::now();
    login_from(52, &email, "wrong password").await.expect(401);
    assert!(started.elapsed() >= FAILURE_FLOOR + Duration::from_millis(990), "{:?}", started.elapsed());
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
    // The same hash under the three names that such systems gave it.
    for name in ["$2a$", "$2b$", "$2y$"] {
        let hash = hash.replacen("$2b$", name, 1);
        alter(&tenant, &format!("update users set password_hash = '{hash}'"));
        login(json!({"email": tenant.email, "password": "another password"}))
            .await
            .expect_problem(401, "invalid_credentials");
        login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
        alter(&tenant, "do $$ begin assert (select password_hash like '$argon2id$%' from users); end $$");
        login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
    }
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
async fn a_lost_answer_of_a_registration_or_a_link_comes_again_and_nothing_is_done_twice() {
    let email = unique_email("once");
    let body =
        |name: &str| json!({"businessName": name, "name": "Olga", "email": email, "password": PASSWORD});
    let post = async |path: &str, key: &str, body: &Value| {
        let anonymous = Client::anonymous();
        anonymous.send(anonymous.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    };
    let register = async |key: &str, body: Value| post("/api/auth/register", key, &body).await;
    let answers = join_all((0..8).map(|_| register("first", body("Once")))).await;
    let made: Vec<Value> =
        answers.iter().filter(|answer| answer.status != 409).map(|answer| answer.expect(201)).collect();
    assert!(!made.is_empty() && made.windows(2).all(|pair| pair[0] == pair[1]));
    let again = register("first", body("Once")).await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (made[0].clone(), "true"));
    assert_eq!(again.header("location"), "/api/tenant");
    register("first", body("Twice")).await.expect_problem(422, "idempotency_key_reused");
    // One business: the address alone opens it. Another key, or another's address with this key, founds another.
    let session = login(json!({"email": email, "password": PASSWORD})).await.expect(200);
    register("second", body("Twice")).await.expect(201);
    login(json!({"email": email, "password": PASSWORD})).await.expect_problem(409, "tenant_required");
    let other = json!({"businessName": "Other", "name": "Olga", "email": unique_email("other"), "password": PASSWORD});
    let other = register("first", other).await.expect(201);
    assert_ne!(other["tenant"]["id"], made[0]["tenant"]["id"]);

    let owner = Client::anonymous().with_token(text(&session["accessToken"]));
    let invite = json!({"email": unique_email("guest"), "role": "staff"});
    let invite = owner.post("/api/users/invite", invite).await.expect(201);
    let accept = json!({"token": invite["token"], "password": PASSWORD});
    let accepted = post("/api/auth/accept-invite", "accept", &accept).await.expect(200);
    let again = post("/api/auth/accept-invite", "accept", &accept).await;
    assert_eq!((again.expect(200), again.header("idempotency-replayed")), (accepted, "true"));
    post("/api/auth/accept-invite", "another", &accept).await.expect_problem(410, "token_used");

    let forgot = json!({"email": email, "tenant": made[0]["tenant"]["id"]});
    let asked = Client::anonymous().post("/api/auth/forgot", forgot).await.expect(202);
    let reset = json!({"token": asked["token"], "password": "another horse, another battery"});
    post("/api/auth/reset", "reset", &reset).await.expect(204);
    post("/api/auth/reset", "reset", &reset).await.expect(204);
    post("/api/auth/reset", "again", &reset).await.expect_problem(410, "token_used");
}
