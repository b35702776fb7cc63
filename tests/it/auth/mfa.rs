//! The second step of a login.

use ring::hmac;
use serde_json::{Value, json};
use shared::clock;

use super::{client, login, refresh, sign_in, text};
use crate::support::{Answer, Client, Tenant, tenant::PASSWORD};

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
    let enrolment = tenant.post("/api/auth/mfa", json!({})).await.expect(200);
    assert!(text(&enrolment["otpauthUrl"]).starts_with("otpauth://totp/"));
    // Nothing is asked for before the app has shown a code.
    sign_in(&tenant.email).await;
    tenant.post("/api/auth/mfa/verify", json!({"code": "000000x"})).await.expect_problem(401, "invalid_code");
    let first = json!({"code": code(text(&enrolment["secret"]), -1)});
    tenant.post("/api/auth/mfa/verify", first).await.expect(200);
    (tenant, enrolment)
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
}

#[tokio::test]
async fn a_changed_password_ends_a_login_that_waits_for_its_code() {
    let (tenant, enrolment) = with_app().await;
    let waiting = challenge(&tenant).await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
    tenant.post("/api/me/password", change).await.expect(200);
    let late = json!({"challengeId": waiting, "code": code(text(&enrolment["secret"]), 0)});
    verify(late).await.expect_problem(410, "token_used");
}
