//! Colleagues: made, invited, changed, removed.

use futures::future::join_all;
use serde_json::json;

use super::{client, login, mail, refresh, sign_in, text, token_of};
use crate::support::{
    Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

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
async fn an_invitation_leaves_by_mail_and_its_link_opens_the_account() {
    let tenant = Tenant::new().await;
    let email = unique_email("guest");
    tenant.post("/api/users", json!({"name": "Guest", "email": email, "role": "viewer"})).await.expect(201);
    let mail = mail(&tenant, &email, "You have been invited").await;
    assert_eq!(mail["attempts"], 1);
    let accept = json!({"token": token_of(&mail), "password": PASSWORD});
    let session = Client::anonymous().post("/api/auth/accept-invite", accept).await.expect(200);
    assert_eq!(session["user"]["email"], email.as_str());
}

#[tokio::test]
async fn a_role_counts_from_the_next_request_and_a_removed_colleague_is_out() {
    let tenant = Tenant::new().await;
    let email = unique_email("tess");
    let new = json!({"name": "Tess", "email": email, "role": "admin", "password": PASSWORD});
    let user = tenant.post("/api/users", new).await.expect(201);
    let session = sign_in(&email).await;
    let tess = client(&session);
    let lead = tenant.lead(json!({"ownerId": user["id"]})).await;
    let path = format!("/api/users/{}", text(&user["id"]));
    let owner = format!("/api/users/{}", text(&tenant.registration["user"]["id"]));

    tess.get("/api/users").await.expect(200);
    tess.delete(&owner).await.expect_problem(403, "role_required");
    tenant.delete(&owner).await.expect_problem(409, "last_owner");
    tenant.patch(&path, json!({"role": "viewer"})).await.expect(200);
    tess.get("/api/users").await.expect_problem(403, "role_required");
    tess.get("/api/leads").await.expect(200);

    Tenant::new().await.delete(&path).await.expect_problem(404, "not_found");
    tenant.delete(&path).await.expect(204);
    tess.get("/api/leads").await.expect_problem(401, "unauthorized");
    login(json!({"email": email, "password": PASSWORD})).await.expect_problem(401, "invalid_credentials");
    tenant.delete(&path).await.expect_problem(404, "not_found");
    let orphan = tenant.get(&format!("/api/leads/{}", text(&lead["id"]))).await.expect(200);
    assert!(orphan["ownerId"].is_null());
    let audit = tenant.get("/api/audit?action=user.deleted").await.expect(200);
    assert_eq!(audit["items"][0]["objectId"], user["id"]);
}

#[tokio::test]
async fn enabling_a_colleague_brings_back_no_session_and_no_link() {
    let tenant = Tenant::new().await;
    let email = unique_email("tess");
    let new = json!({"name": "Tess", "email": email, "role": "staff", "password": PASSWORD});
    let user = tenant.post("/api/users", new).await.expect(201);
    let session = sign_in(&email).await;
    let asked = Client::anonymous().post("/api/auth/forgot", json!({"email": email})).await.expect(202);
    let path = format!("/api/users/{}", text(&user["id"]));
    let disabled = tenant.patch(&path, json!({"status": "disabled"})).await;
    assert_eq!(disabled.expect(200)["status"], "disabled");
    // The tag is that of the row as it is now.
    let request = tenant.request(reqwest::Method::PATCH, &path).header("if-match", disabled.header("etag"));
    tenant.send(request.json(&json!({"status": "active"}))).await.expect(200);

    client(&session).get("/api/me").await.expect_problem(401, "unauthorized");
    refresh(text(&session["refreshToken"])).await.expect_problem(401, "unauthorized");
    let reset = json!({"token": asked["token"], "password": "another horse, another battery"});
    Client::anonymous().post("/api/auth/reset", reset).await.expect_problem(410, "token_used");
    sign_in(&email).await;
}

#[tokio::test]
async fn an_invitation_is_sent_again_and_nobody_is_active_without_a_password() {
    let tenant = Tenant::new().await;
    let admin = tenant.colleague("admin").await;
    let email = unique_email("guest");
    let sent = tenant.post("/api/users/invite", json!({"email": email, "role": "owner"})).await.expect(201);
    let path = format!("/api/users/{}", text(&sent["userId"]));
    let status = async |status: &str| tenant.patch(&path, json!({"status": status})).await;
    status("active").await.expect_problem(409, "invitation_open");
    status("disabled").await.expect(200);
    status("active").await.expect_problem(409, "invitation_open");
    let accept = async |token: &serde_json::Value| {
        let body = json!({"token": token, "password": PASSWORD});
        Client::anonymous().post("/api/auth/accept-invite", body).await
    };
    accept(&sent["token"]).await.expect_problem(410, "token_used");

    let again = format!("{path}/invite");
    admin.post(&again, json!({})).await.expect_problem(403, "role_required");
    let second = tenant.post(&again, json!({})).await.expect(200);
    assert_eq!(second["userId"], sent["userId"]);
    let third = tenant.post(&again, json!({})).await.expect(200);
    for dead in [&sent, &second] {
        accept(&dead["token"]).await.expect_problem(410, "token_used");
    }
    let mails = tenant.request(reqwest::Method::GET, "/api/messages/sandbox").query(&[("recipient", &email)]);
    let third_mail = crate::support::eventually("the third invitation", async || {
        let page = tenant.send(mails.try_clone().unwrap()).await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        items.into_iter().find(|mail| json!(token_of(mail)) == third["token"])
    });
    third_mail.await;
    let session = accept(&third["token"]).await.expect(200);
    assert_eq!(session["user"]["role"], "owner");
    tenant.post(&again, json!({})).await.expect_problem(409, "already_joined");
    let audit = tenant.get("/api/audit?action=user.invited_again").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_at_this_moment_leaves_nothing_behind_that_outlasts_it() {
    for _ in 0..3 {
        let tenant = Tenant::new().await;
        let admin = tenant.colleague("admin").await;
        let id = admin.get("/api/me").await.expect(200)["id"].clone();
        let path = format!("/api/users/{}", id.as_str().unwrap());
        let key = || json!({"name": "Kept", "kind": "secret", "scopes": ["leads:read"]});
        let (disabled, made, undone) = tokio::join!(
            tenant.patch(&path, json!({"status": "disabled"})),
            join_all((0..6).map(|_| admin.post("/api/api-keys", key()))),
            join_all((0..6).map(|_| admin.patch(&path, json!({"status": "active"})))),
        );
        disabled.expect(200);
        for answer in made.iter().chain(&undone) {
            assert!([200, 201, 401, 409].contains(&answer.status.as_u16()), "{answer}");
        }
        for answer in made.iter().filter(|answer| answer.status == 201) {
            let made = answer.expect(201);
            let kept = Client::anonymous().with_token(made["key"].as_str().unwrap());
            kept.get("/api/leads").await.expect_problem(401, "unauthorized");
        }
        let users = tenant.get("/api/users?status=disabled").await.expect(200);
        let still = users["items"].as_array().unwrap().iter().any(|user| user["id"] == id);
        assert!(still, "{users}");
    }
}
