//! Coming in and going out: deeds of nobody, or of somebody whose session they end.

use serde_json::{Value, json};

use super::{Body, Deed, text};
use crate::{
    auth::{client, mfa, sign_in},
    support::{
        Client, Tenant,
        tenant::{PASSWORD, unique_email},
    },
};

/// What comes before anybody is known, and what ends the session that it is done with.
pub async fn at_the_door(tenant: &Tenant, operation: &str) -> Option<Deed> {
    let deed = |by: Client, path: &str, body: Value| {
        Some(Deed { by, reader: tenant.owner.clone(), path: path.to_owned(), body: Body::Json(body) })
    };
    let anonymous = Client::anonymous();
    match operation {
        "login" => deed(anonymous, "/api/auth/login", json!({"email": tenant.email, "password": PASSWORD})),
        "logout" => {
            let session = sign_in(&tenant.email).await;
            deed(client(&session), "/api/auth/logout", json!({}))
        }
        "logout_everywhere" => deed(tenant.colleague("viewer").await, "/api/auth/logout-all", json!({})),
        "delete_session" => {
            let session = sign_in(&tenant.email).await;
            let own = client(&session).get("/api/auth/sessions").await.expect(200);
            let current = own["items"].as_array()?.iter().find(|one| one["current"] == true)?;
            deed(tenant.owner.clone(), &format!("/api/auth/sessions/{}", text(&current["id"])), json!({}))
        }
        "register_tenant" => {
            // Its own log is read by its own owner, whom the answer names; see the test.
            let body = json!({"businessName": "Deed", "name": "Dee", "email": unique_email("dee"), "password": PASSWORD});
            deed(anonymous, "/api/auth/register", body)
        }
        "accept_invite" => {
            let invited = json!({"email": unique_email("guest"), "role": "staff"});
            let sent = tenant.post("/api/users/invite", invited).await.expect(201);
            deed(anonymous, "/api/auth/accept-invite", json!({"token": sent["token"], "password": PASSWORD}))
        }
        "forgot_password" => deed(anonymous, "/api/auth/forgot", json!({"email": tenant.email})),
        "reset_password" => {
            let (_, email) = colleague(tenant).await;
            let asked = anonymous.post("/api/auth/forgot", json!({"email": email})).await.expect(202);
            let body = json!({"token": asked["token"], "password": "another horse, another battery"});
            deed(anonymous, "/api/auth/reset", body)
        }
        "verify_email" => {
            let (colleague, _) = colleague(tenant).await;
            let asked =
                colleague.post("/api/me/email", json!({"email": unique_email("proved")})).await.expect(202);
            deed(anonymous, "/api/auth/verify-email", json!({"token": asked["token"]}))
        }
        "change_password" => {
            let (colleague, _) = colleague(tenant).await;
            let body = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
            deed(colleague, "/api/me/password", body)
        }
        "change_email" => {
            let (colleague, _) = colleague(tenant).await;
            deed(colleague, "/api/me/email", json!({"email": unique_email("elsewhere")}))
        }
        "enrol_mfa" => deed(colleague(tenant).await.0, "/api/auth/mfa", json!({})),
        "resend_invite" => {
            let invited = json!({"email": unique_email("again"), "role": "staff"});
            let sent = tenant.post("/api/users/invite", invited).await.expect(201);
            let path = format!("/api/users/{}/invite", text(&sent["userId"]));
            deed(tenant.owner.clone(), &path, json!({}))
        }
        "delete_user_mfa" => {
            let (colleague, email) = colleague(tenant).await;
            mfa::add_app(&colleague, &email).await;
            let me = colleague.get("/api/me").await.expect(200);
            deed(tenant.owner.clone(), &format!("/api/users/{}/mfa", text(&me["id"])), json!({}))
        }
        "renew_recovery_codes" => {
            let (colleague, email) = colleague(tenant).await;
            let enrolment = mfa::add_app(&colleague, &email).await;
            let body = json!({"code": enrolment["recoveryCodes"][0]});
            deed(colleague, "/api/auth/mfa/recovery-codes", body)
        }
        "verify_mfa" | "delete_mfa" => {
            let (owner, enrolment) = mfa::with_app().await;
            let deed = |by: Client, path: &str, body: Value| {
                Some(Deed { by, reader: owner.owner.clone(), path: path.to_owned(), body: Body::Json(body) })
            };
            if operation == "delete_mfa" {
                return deed(owner.owner.clone(), "/api/auth/mfa", json!({}));
            }
            let body =
                json!({"challengeId": mfa::challenge(&owner).await, "code": enrolment["recoveryCodes"][0]});
            deed(anonymous, "/api/auth/mfa/verify", body)
        }
        _ => None,
    }
}

/// Somebody who can be changed without anybody missing it.
async fn colleague(tenant: &Tenant) -> (Client, String) {
    let email = unique_email("colleague");
    let new = json!({"name": "Colin", "email": email, "role": "staff", "password": PASSWORD});
    tenant.post("/api/users", new).await.expect(201);
    (client(&sign_in(&email).await), email)
}
