//! Passwords and addresses: forgotten, changed, proved.

use reqwest::Method;
use serde_json::{Value, json};

use super::{alter, client, login, mail, refresh, sign_in, text, token_of};
use crate::support::{
    Client, Tenant, eventually,
    tenant::{PASSWORD, unique_email},
};

const NEW_PASSWORD: &str = "another horse, another battery";

async fn forgot(email: &str) -> Value {
    Client::anonymous().post("/api/auth/forgot", json!({"email": email})).await.expect(202)
}

async fn reset(token: &str) -> crate::support::Answer {
    let body = json!({"token": token, "password": NEW_PASSWORD});
    Client::anonymous().post("/api/auth/reset", body).await
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_once_and_ends_every_session() {
    let tenant = Tenant::new().await;
    let other = sign_in(&tenant.email).await;
    let asked = forgot(&tenant.email).await;
    let second = forgot(&tenant.email).await;
    let mail = mail(&tenant, &tenant.email, "Choose a new password").await;
    assert!([&asked["token"], &second["token"]].contains(&&json!(token_of(&mail))));

    let weak = json!({"token": asked["token"], "password": "password1"});
    Client::anonymous().post("/api/auth/reset", weak).await.expect_invalid("/password", "too_common");
    reset(text(&asked["token"])).await.expect(204);
    reset(text(&asked["token"])).await.expect_problem(410, "token_used");
    // The other mail's link would open the account as well: it ended with the first.
    reset(text(&second["token"])).await.expect_problem(410, "token_used");

    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
    client(&other).get("/api/me").await.expect_problem(401, "unauthorized");
    refresh(text(&other["refreshToken"])).await.expect_problem(401, "unauthorized");
    login(json!({"email": tenant.email, "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    let session = login(json!({"email": tenant.email, "password": NEW_PASSWORD})).await.expect(200);
    let me = client(&session).get("/api/me").await.expect(200);
    assert!(me["emailVerifiedAt"].is_string(), "following the mail's link proves the address");
}

#[tokio::test]
async fn asking_for_a_strangers_password_is_answered_alike_and_sends_nothing() {
    let tenant = Tenant::new().await;
    assert_eq!(forgot(&unique_email("nobody")).await, json!({}));
    let email = unique_email("invited");
    tenant.post("/api/users/invite", json!({"email": email, "role": "staff"})).await.expect(201);
    assert_eq!(forgot(&email).await, json!({}), "who has no password yet cannot forget one");
    let garbage = format!("wot_{}", "A".repeat(49));
    reset(&garbage).await.expect_problem(404, "not_found");
    // A token is good for what it was made for.
    let sent =
        tenant.post("/api/users", json!({"name": "N", "email": unique_email("n"), "role": "staff"})).await;
    reset(text(&sent.expect(201)["token"])).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_reset_lapses_and_tokens_are_not_kept_in_clear() {
    let tenant = Tenant::new().await;
    let asked = forgot(&tenant.email).await;
    let token = text(&asked["token"]);
    mail(&tenant, &tenant.email, "Choose a new password").await;
    alter(
        &tenant,
        &format!(
            "do $$ begin \
                 assert not exists (select from one_time_tokens o where o::text like '%{token}%'); \
                 assert not exists (select from effects e where e::text like '%{token}%'); \
                 assert (select count(*) from effects where kind = 'mail' and state = 'accepted' and payload = '{{}}') > 0; \
                 update one_time_tokens set expires_at = now(); \
             end $$"
        ),
    );
    reset(token).await.expect_problem(410, "token_used");
    sign_in(&tenant.email).await;
}

#[tokio::test]
async fn a_changed_password_refuses_every_older_token_and_answers_new_ones() {
    let tenant = Tenant::new().await;
    let other = sign_in(&tenant.email).await;
    let change = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    tenant
        .post("/api/me/password", change("not the password", NEW_PASSWORD))
        .await
        .expect_problem(401, "invalid_credentials");
    tenant
        .post("/api/me/password", change(PASSWORD, &tenant.email))
        .await
        .expect_invalid("/newPassword", "too_personal");
    let session = tenant.post("/api/me/password", change(PASSWORD, NEW_PASSWORD)).await.expect(200);

    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
    client(&other).get("/api/me").await.expect_problem(401, "unauthorized");
    refresh(text(&other["refreshToken"])).await.expect_problem(401, "unauthorized");
    refresh(text(&tenant.registration["refreshToken"])).await.expect_problem(401, "unauthorized");
    let owner = client(&session);
    owner.get("/api/me").await.expect(200);
    refresh(text(&session["refreshToken"])).await.expect(200);
    login(json!({"email": tenant.email, "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    login(json!({"email": tenant.email, "password": NEW_PASSWORD})).await.expect(200);
    let audit = owner.get("/api/audit?action=user.password_changed").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_is_proved_by_its_mail_and_changes_only_then() {
    let tenant = Tenant::new().await;
    let verify = |token: String| async move {
        Client::anonymous().post("/api/auth/verify-email", json!({"token": token})).await
    };
    assert!(tenant.get("/api/me").await.expect(200)["emailVerifiedAt"].is_null());
    let first = mail(&tenant, &tenant.email, "Confirm your e-mail address").await;
    verify(token_of(&first).to_owned()).await.expect(200);
    verify(token_of(&first).to_owned()).await.expect_problem(410, "token_used");
    assert!(tenant.get("/api/me").await.expect(200)["emailVerifiedAt"].is_string());

    let new = unique_email("moved");
    let asked = tenant.post("/api/me/email", json!({"email": new})).await.expect(202);
    assert_eq!(tenant.get("/api/me").await.expect(200)["email"], tenant.email.as_str());
    let sent = mail(&tenant, &new, "Confirm your e-mail address").await;
    assert_eq!(asked["token"], token_of(&sent));
    let verified = verify(token_of(&sent).to_owned()).await.expect(200);
    assert_eq!(verified["email"], new.as_str());
    mail(&tenant, &tenant.email, "Your e-mail address was changed").await;
    login(json!({"email": tenant.email, "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    sign_in(&new).await;

    let taken = unique_email("taken");
    let colleague = json!({"name": "T", "email": taken, "role": "staff", "password": PASSWORD});
    tenant.post("/api/users", colleague).await.expect(201);
    let asked = tenant.post("/api/me/email", json!({"email": taken})).await.expect(202);
    verify(text(&asked["token"]).to_owned()).await.expect_problem(409, "user_exists");
    sign_in(&new).await;
}

#[tokio::test]
async fn a_repeated_key_sends_one_mail_and_tells_nobody_whether_it_did() {
    let tenant = Tenant::new().await;
    let ask = async |email: &str, key: &str| {
        let anonymous = Client::anonymous();
        let request = anonymous.request(Method::POST, "/api/auth/forgot").header("idempotency-key", key);
        let answer = anonymous.send(request.json(&json!({"email": email}))).await;
        answer.expect(202);
        assert_eq!(answer.header("idempotency-replayed"), "", "{answer}");
        answer
    };
    let stranger = unique_email("nobody");
    for key in ["first", "first", "second"] {
        let (known, unknown) = (ask(&tenant.email, key).await, ask(&stranger, key).await);
        let names = |answer: &crate::support::Answer| {
            answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&known), names(&unknown));
    }
    // The same key and address with another body opens nothing new either.
    let other = json!({"email": tenant.email, "tenant": tenant.id});
    let request = tenant.request(Method::POST, "/api/auth/forgot").header("idempotency-key", "second");
    let answer = tenant.send(request.json(&other)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, "{}"));
    let address = "/api/messages/sandbox";
    let sent = eventually("both mails", async || {
        let request = tenant.request(Method::GET, address).query(&[("recipient", &tenant.email)]);
        let page = tenant.send(request).await.expect(200);
        let resets = page["items"].as_array().unwrap().iter();
        let resets = resets.filter(|mail| mail["subject"] == "Choose a new password").count();
        (resets >= 2).then_some(resets)
    })
    .await;
    assert_eq!(sent, 2);
}
