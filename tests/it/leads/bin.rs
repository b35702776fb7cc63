//! The bin.

use serde_json::json;

use super::path;
use crate::support::Tenant;

#[tokio::test]
async fn a_deleted_lead_is_gone_for_all_but_administrators_and_comes_back_whole() {
    let tenant = Tenant::new().await;
    let staff = tenant.colleague("staff").await;
    let lead = tenant.lead(json!({})).await;
    let path = path(&lead);
    staff.delete(&path).await.expect_problem(403, "role_required");
    tenant.delete(&path).await.expect(204);
    tenant.delete(&path).await.expect_problem(404, "not_found");
    for gone in [path.clone(), format!("{path}/timeline"), format!("{path}/activities")] {
        tenant.get(&gone).await.expect_problem(404, "not_found");
    }
    assert_eq!(tenant.get("/api/leads").await.expect(200)["items"], json!([]));
    staff.get("/api/leads?deleted=true").await.expect_problem(403, "role_required");
    staff.get(&format!("{path}?deleted=true")).await.expect_problem(403, "role_required");
    assert_eq!(tenant.get("/api/leads?deleted=true").await.expect(200)["items"][0]["id"], lead["id"]);
    assert!(tenant.get(&format!("{path}?deleted=true")).await.expect(200)["deletedAt"].is_string());
    let restored = tenant.post(&format!("{path}/restore"), json!({})).await.expect(200);
    assert_eq!((&restored["deletedAt"], &restored["email"]), (&json!(null), &lead["email"]));
    let again = tenant.post("/api/leads", json!({"email": lead["email"]})).await;
    assert_eq!(again.expect_problem(409, "lead_exists")["existingId"], lead["id"]);
}

#[tokio::test]
async fn an_address_in_the_bin_is_free_and_restoring_says_who_took_it() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    tenant.delete(&path(&lead)).await.expect(204);
    let successor = tenant.post("/api/leads", json!({"email": lead["email"]})).await.expect(201);
    let refused = tenant.post(&format!("{}/restore", path(&lead)), json!({})).await;
    assert_eq!(refused.expect_problem(409, "lead_exists")["existingId"], successor["id"]);
    tenant.delete(&path(&successor)).await.expect(204);
    tenant.post(&format!("{}/restore", path(&lead)), json!({})).await.expect(200);
}
