//! What a business decides for itself.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Tenant;

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
