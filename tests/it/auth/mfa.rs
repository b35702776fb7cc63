//! The second step of a login.

use ring::hmac;
use serde_json::{Value, json};
use shared::clock;

use super::{client, login, mail, refresh, sign_in, text};
use crate::support::{
    Answer, Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

const NEW_PASSWORD: &str = "another horse, another battery";

/// The code that an app shows `steps` after now.
fn code(secret: &str, steps: i64) -> String {
    let mut bits = String::new();
    for digit in secret.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            _ => digit - b'2' + 26,
        };
        bits.push_str(&format!("{value:05b}"));
    }
    let seed: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let step = clock::now().timestamp() / 30 + steps;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &seed), &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

async fn verify(body: Value) -> Answer {
    Client::anonymous().post("/api/auth/mfa/verify", body).await
}

/// A tenant whose owner has an app; its first code is spent.
pub async fn with_app() -> (Tenant, Value) {
    let tenant = Tenant::new().await;
    let enrolment = add_app(&tenant, &tenant.email).await;
    (tenant, enrolment)
}

/// Gives somebody an app, whose first code is spent.
pub async fn add_app(client: &Client, email: &str) -> Value {
    let enrolment = client.post("/api/auth/mfa", json!({})).await.expect(200);
    assert!(text(&enrolment["otpauthUrl"]).starts_with("otpauth://totp/"));
    // Nothing is asked for before the app has shown a code.
    sign_in(email).await;
    client.post("/api/auth/mfa/verify", json!({"code": "000000x"})).await.expect_problem(401, "invalid_code");
    let first = json!({"code": code(text(&enrolment["secret"]), -1)});
    client.post("/api/auth/mfa/verify", first).await.expect(200);
    enrolment
}

/// A colleague with an app: the user, the address, and a session.
async fn colleague_with_app(tenant: &Tenant, role: &str) -> (Value, String, Client) {
    let email = unique_email(role);
    let new = json!({"name": "Col", "email": email, "role": role, "password": PASSWORD});
    let user = tenant.post("/api/users", new).await.expect(201);
    let client = client(&sign_in(&email).await);
    add_app(&client, &email).await;
    (user, email, client)
}

pub async fn challenge(tenant: &Tenant) -> String {
    let answer = sign_in(&tenant.email).await;
    assert_eq!(answer["mfaRequired"], true);
    assert!(answer["accessToken"].is_null() && answer["refreshToken"].is_null());
    text(&answer["challengeId"]).to_owned()
}

#[tokio::test]
async fn a_login_with_a_second_step_needs_a_code_and_a_code_works_once() {
    let (tenant, enrolment) = with_app().await;
    let secret = text(&enrolment["secret"]);
    tenant.post("/api/auth/mfa", json!({})).await.expect_problem(409, "mfa_active");

    let (one, two) = (challenge(&tenant).await, challenge(&tenant).await);
    verify(json!({"challengeId": one, "code": "000000x"})).await.expect_problem(401, "invalid_code");
    let good = code(secret, 0);
    let session = verify(json!({"challengeId": one, "code": good})).await.expect(200);
    assert_eq!(session["user"]["email"], tenant.email.as_str());
    client(&session).get("/api/me").await.expect(200);
    refresh(text(&session["refreshToken"])).await.expect(200);

    verify(json!({"challengeId": two, "code": good})).await.expect_problem(401, "invalid_code");
    verify(json!({"challengeId": one, "code": code(secret, 1)})).await.expect_problem(410, "token_used");
    verify(json!({"challengeId": two, "code": code(secret, 1)})).await.expect(200);
    login(json!({"email": tenant.email, "password": "wrong password"}))
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_recovery_code_stands_in_for_the_app_once() {
    let (tenant, enrolment) = with_app().await;
    let recovery = &enrolment["recoveryCodes"];
    assert_eq!(recovery.as_array().unwrap().len(), 10);
    verify(json!({"challengeId": challenge(&tenant).await, "code": recovery[0]})).await.expect(200);
    let second = challenge(&tenant).await;
    verify(json!({"challengeId": second, "code": recovery[0]})).await.expect_problem(401, "invalid_code");
    verify(json!({"challengeId": second, "code": recovery[1]})).await.expect(200);
}

#[tokio::test]
async fn removing_the_second_step_needs_password_and_code_just_now() {
    let (tenant, enrolment) = with_app().await;
    super::alter(&tenant, "update sessions set authenticated_at = now() - interval '5 minutes'");
    tenant.delete("/api/auth/mfa").await.expect_problem(401, "reauth_required");
    let password = json!({"password": PASSWORD});
    tenant.post("/api/auth/reauth", password).await.expect_invalid("/code", "required");
    let wrong = json!({"password": PASSWORD, "code": "000000x"});
    tenant.post("/api/auth/reauth", wrong).await.expect_problem(401, "invalid_code");
    tenant.delete("/api/auth/mfa").await.expect_problem(401, "reauth_required");
    let both = json!({"password": PASSWORD, "code": code(text(&enrolment["secret"]), 0)});
    tenant.post("/api/auth/reauth", both).await.expect(200);
    tenant.delete("/api/auth/mfa").await.expect(204);
    tenant.delete("/api/auth/mfa").await.expect_problem(404, "not_found");
    assert!(sign_in(&tenant.email).await["accessToken"].is_string());
    mail(&tenant, &tenant.email, "Signing in now asks for a code").await;
    mail(&tenant, &tenant.email, "Signing in no longer asks for a code").await;
}

#[tokio::test]
async fn a_password_is_not_changed_past_the_second_step() {
    let (tenant, enrolment) = with_app().await;
    super::alter(&tenant, "update sessions set authenticated_at = now() - interval '5 minutes'");
    let change = |code: Option<&str>| {
        let mut body = json!({"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD});
        if let Some(code) = code {
            body["code"] = json!(code);
        }
        body
    };
    tenant.post("/api/me/password", change(None)).await.expect_invalid("/code", "required");
    tenant.post("/api/me/password", change(Some("000000x"))).await.expect_problem(401, "invalid_code");
    // Neither try has made the session one that may remove the second step, and the password is the old one.
    tenant.delete("/api/auth/mfa").await.expect_problem(401, "reauth_required");
    sign_in(&tenant.email).await;
    let good = code(text(&enrolment["secret"]), 0);
    let session = tenant.post("/api/me/password", change(Some(&good))).await.expect(200);
    client(&session).delete("/api/auth/mfa").await.expect(204);
    login(json!({"email": tenant.email, "password": NEW_PASSWORD})).await.expect(200);
}

#[tokio::test]
async fn recovery_codes_are_renewed_with_a_code_and_the_old_ones_end() {
    let (tenant, enrolment) = with_app().await;
    let renew = |code: &str| {
        let body = json!({"code": code});
        let tenant = &tenant;
        async move { tenant.post("/api/auth/mfa/recovery-codes", body).await }
    };
    renew("000000x").await.expect_problem(401, "invalid_code");
    let renewed = renew(&code(text(&enrolment["secret"]), 0)).await.expect(200);
    let (old, new) = (&enrolment["recoveryCodes"], &renewed["recoveryCodes"]);
    assert_eq!(new.as_array().unwrap().len(), 10);
    let waiting = challenge(&tenant).await;
    verify(json!({"challengeId": waiting, "code": old[0]})).await.expect_problem(401, "invalid_code");
    verify(json!({"challengeId": waiting, "code": new[0]})).await.expect(200);
    mail(&tenant, &tenant.email, "Your recovery codes were renewed").await;
    let audit = tenant.get("/api/audit?action=user.recovery_codes_renewed").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    let plain = Tenant::new().await;
    plain
        .post("/api/auth/mfa/recovery-codes", json!({"code": "000000"}))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_lost_second_step_is_taken_away_by_somebody_above() {
    let tenant = Tenant::new().await;
    let (staff, email, session) = colleague_with_app(&tenant, "staff").await;
    let (admin, _, admins) = colleague_with_app(&tenant, "admin").await;
    let path = |user: &Value| format!("/api/users/{}/mfa", text(&user["id"]));
    let manager = tenant.colleague("manager").await;
    manager.delete(&path(&staff)).await.expect_problem(403, "role_required");
    let key = json!({"name": "Key", "kind": "secret", "scopes": ["admin:write"]});
    let key = tenant.post("/api/api-keys", key).await.expect(201);
    let key = Client::anonymous().with_token(text(&key["key"]));
    key.delete(&path(&staff)).await.expect_problem(403, "user_required");
    // One's equals, oneself, and those above are left to an owner.
    tenant.colleague("admin").await.delete(&path(&admin)).await.expect_problem(403, "role_required");
    admins.delete(&path(&admin)).await.expect_problem(409, "own_second_step");
    admins.delete(&path(&tenant.registration["user"])).await.expect_problem(403, "role_required");

    let waiting = text(&sign_in(&email).await["challengeId"]).to_owned();
    admins.delete(&path(&staff)).await.expect(204);
    session.get("/api/me").await.expect_problem(401, "unauthorized");
    verify(json!({"challengeId": waiting, "code": "000000"})).await.expect_problem(410, "token_used");
    assert!(sign_in(&email).await["accessToken"].is_string());
    let told = mail(&tenant, &email, "Signing in no longer asks for a code").await;
    assert!(text(&told["body"]).contains("administrator"), "{told}");
    let audit = tenant.get("/api/audit?action=user.mfa_taken_away").await.expect(200);
    assert_eq!((&audit["items"][0]["objectId"], &audit["items"][0]["actorId"]), (&staff["id"], &admin["id"]));
    admins.delete(&path(&staff)).await.expect_problem(404, "not_found");
    tenant.delete(&path(&admin)).await.expect(204);
}

#[tokio::test]
async fn a_changed_password_ends_a_login_that_waits_for_its_code() {
    let (tenant, enrolment) = with_app().await;
    let waiting = challenge(&tenant).await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD, "code": enrolment["recoveryCodes"][0]});
    tenant.post("/api/me/password", change).await.expect(200);
    let late = json!({"challengeId": waiting, "code": code(text(&enrolment["secret"]), 0)});
    verify(late).await.expect_problem(410, "token_used");
}
