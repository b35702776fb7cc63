//! What a thief of a password has begun ends with the password.

use serde_json::json;

use super::{alter, client, login, mail, sign_in, text, token_of};
use crate::support::{
    Answer, Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

const NEW_PASSWORD: &str = "another horse, another battery";

async fn verify(token: &str) -> Answer {
    Client::anonymous().post("/api/auth/verify-email", json!({"token": token})).await
}

/// Asks for another address and returns the token of its proof.
async fn ask_for(client: &Client, email: &str) -> String {
    let asked = client.post("/api/me/email", json!({"email": email})).await.expect(202);
    text(&asked["token"]).to_owned()
}

async fn choose_anew(email: &str) {
    let asked = Client::anonymous().post("/api/auth/forgot", json!({"email": email})).await.expect(202);
    let reset = json!({"token": asked["token"], "password": NEW_PASSWORD});
    Client::anonymous().post("/api/auth/reset", reset).await.expect(204);
}

#[tokio::test]
async fn an_address_that_a_thief_asked_for_is_told_to_the_owner_and_dies_with_the_password() {
    for way in ["changed", "reset", "signed out everywhere", "disabled"] {
        let tenant = Tenant::new().await;
        let admin = tenant.colleague("admin").await;
        let (email, thief_email) = (unique_email("victim"), unique_email("thief"));
        let new = json!({"name": "Vic", "email": email, "role": "staff", "password": PASSWORD});
        let user = tenant.post("/api/users", new).await.expect(201);
        let (victim, thief) = (client(&sign_in(&email).await), client(&sign_in(&email).await));
        let token = ask_for(&thief, &thief_email).await;
        let warning = mail(&admin, &email, "Somebody asked to change your e-mail address").await;
        assert!(text(&warning["body"]).contains("ask for a new one at once"), "{warning}");
        assert!(!text(&warning["body"]).contains(&thief_email), "whose the other address is, nobody knows");

        match way {
            "changed" => {
                let change = json!({"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD});
                victim.post("/api/me/password", change).await.expect(200);
            }
            "reset" => choose_anew(&email).await,
            "signed out everywhere" => {
                victim.post("/api/auth/logout-all", json!({})).await.expect(204);
            }
            _ => {
                let path = format!("/api/users/{}", text(&user["id"]));
                tenant.patch(&path, json!({"status": "disabled"})).await.expect(200);
                tenant.patch(&path, json!({"status": "active"})).await.expect(200);
            }
        }
        verify(&token).await.expect_problem(410, "token_used");
        // Nor when the token was made at the very moment in which the sessions ended, and is open still.
        alter(&tenant, "update one_time_tokens set used_at = null where kind = 'verify'");
        verify(&token).await.expect_problem(410, "token_used");
        let forgotten =
            Client::anonymous().post("/api/auth/forgot", json!({"email": thief_email})).await.expect(202);
        assert_eq!(forgotten, json!({}), "{way}: the account is the thief's");
        choose_anew(&email).await;
        login(json!({"email": email, "password": NEW_PASSWORD})).await.expect(200);
    }
}

#[tokio::test]
async fn the_latest_address_that_was_asked_for_counts_and_none_comes_back() {
    let tenant = Tenant::new().await;
    let first = mail(&tenant, &tenant.email, "Confirm your e-mail address").await;
    let (second, third) = (unique_email("second"), unique_email("third"));
    let asked =
        Client::anonymous().post("/api/auth/forgot", json!({"email": tenant.email})).await.expect(202);
    let older = ask_for(&tenant, &second).await;
    let newer = ask_for(&tenant, &third).await;
    verify(&older).await.expect_problem(410, "token_used");
    verify(&newer).await.expect(200);
    verify(&older).await.expect_problem(410, "token_used");
    // The proof of the address that the account was registered with would flip it back.
    verify(token_of(&first)).await.expect_problem(410, "token_used");
    let reset = json!({"token": asked["token"], "password": NEW_PASSWORD});
    Client::anonymous().post("/api/auth/reset", reset).await.expect_problem(410, "token_used");
    assert_eq!(tenant.get("/api/me").await.expect(200)["email"], third.as_str());
    mail(&tenant, &tenant.email, "Your e-mail address was changed").await;
    sign_in(&third).await;
}

#[tokio::test]
async fn proving_the_address_that_one_has_goes_on_after_a_new_password() {
    let tenant = Tenant::new().await;
    let first = mail(&tenant, &tenant.email, "Confirm your e-mail address").await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD});
    tenant.post("/api/me/password", change).await.expect(200);
    verify(token_of(&first)).await.expect(200);
}
