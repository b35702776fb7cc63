//! Colleagues: made, invited, changed, removed.

use serde_json::json;

use super::{client, login, mail, sign_in, text, token_of};
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
