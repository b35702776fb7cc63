//! What asks for the password again.

use serde_json::json;

use super::alter;
use crate::{
    support::{Tenant, tenant::PASSWORD},
    tenancy::routes::NOBODY,
};

#[tokio::test]
async fn dangerous_calls_want_the_password_within_five_minutes() {
    let tenant = Tenant::new().await;
    let stale = || alter(&tenant, "update sessions set authenticated_at = now() - interval '5 minutes'");
    let export = "/api/analytics/cta/export?from=2026-01-01&to=2026-01-02";
    tenant.get(export).await.expect_status(200);
    stale();
    for refused in [
        tenant.get(export).await,
        tenant.delete("/api/tenant").await,
        tenant.post("/api/auth/mfa", json!({})).await,
        tenant.post("/api/me/email", json!({"email": "elsewhere@example.com"})).await,
        tenant.post("/api/auth/mfa/recovery-codes", json!({"code": "000000"})).await,
        tenant.delete(&format!("/api/users/{NOBODY}/mfa")).await,
        tenant
            .post("/api/connections", json!({"channel": "sms", "provider": "sandbox", "name": "Ours"}))
            .await,
        tenant.patch(&format!("/api/connections/{NOBODY}"), json!({"isDefault": true})).await,
        tenant.delete(&format!("/api/connections/{NOBODY}")).await,
        tenant.post(&format!("/api/finance/payments/{NOBODY}/refund"), json!({"amount": 1})).await,
    ] {
        refused.expect_problem(401, "reauth_required");
    }
    tenant.get("/api/leads").await.expect(200);
    tenant
        .post("/api/auth/reauth", json!({"password": "not the password"}))
        .await
        .expect_problem(401, "invalid_credentials");
    tenant.get(export).await.expect_problem(401, "reauth_required");
    let fresh = tenant.post("/api/auth/reauth", json!({"password": PASSWORD})).await.expect(200);
    assert!(fresh["freshUntil"].is_string());
    tenant.get(export).await.expect_status(200);
}

#[tokio::test]
async fn a_credit_note_that_pays_out_wants_the_password_and_one_that_stays_credit_does_not() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let lines = json!([{"description": "Course", "quantity": "1", "unitPrice": 1000}]);
    let draft =
        tenant.post("/api/finance/invoices", json!({"leadId": lead["id"], "lines": lines})).await.expect(201);
    let path = format!("/api/finance/invoices/{}", draft["id"].as_str().unwrap());
    tenant.post(&format!("{path}/finalize"), json!({})).await.expect(200);
    let paid = json!({"amount": 1000, "tender": "card"});
    tenant.post(&format!("{path}/payments"), paid).await.expect(201);
    alter(&tenant, "update sessions set authenticated_at = now() - interval '5 minutes'");
    let note = |settle: &str| json!({"amount": 100, "settle": settle});
    let notes = format!("{path}/credit-notes");
    tenant.post(&notes, note("refund")).await.expect_problem(401, "reauth_required");
    tenant.post(&notes, note("credit")).await.expect(201);
    tenant.post("/api/auth/reauth", json!({"password": PASSWORD})).await.expect(200);
    tenant.post(&notes, note("refund")).await.expect(201);
}
