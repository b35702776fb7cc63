//! Jobs: followed, ended, seen by whoever may.

use reqwest::Method;
use serde_json::{Value, json};

use super::imports::{done, import, send};
use crate::support::{
    Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

/// A manager who sees only their own records.
pub(super) async fn bound_to_own(tenant: &Tenant) -> Client {
    let email = unique_email("own");
    let user = json!({"name": "Otto", "email": email, "role": "manager", "recordScope": "own", "password": PASSWORD});
    tenant.post("/api/users", user).await.expect(201);
    let session = Client::anonymous()
        .post("/api/auth/login", json!({"email": email, "password": PASSWORD}))
        .await
        .expect(200);
    Client::anonymous().with_token(session["accessToken"].as_str().unwrap())
}

#[tokio::test]
async fn a_job_is_listed_followed_and_ended_by_those_who_may_see_it() {
    let tenant = Tenant::new().await;
    let own = bound_to_own(&tenant).await;
    let foreign = import(&tenant, "", "text/csv", "email\nforeign@example.com\n").await;
    let mine = import(&own, "?dryRun=true", "text/csv", "email\nmine@example.com\n").await;
    let ids = |list: Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect()
    };
    assert_eq!(ids(tenant.get("/api/jobs").await.expect(200)), [mine["id"].clone(), foreign["id"].clone()]);
    assert_eq!(ids(own.get("/api/jobs").await.expect(200)), [mine["id"].clone()]);
    let page = tenant.get("/api/jobs?kind=import&status=completed&limit=1&include=total").await.expect(200);
    assert_eq!((page["total"].as_i64(), page["nextCursor"].is_string()), (Some(2), true));
    let next = format!(
        "/api/jobs?kind=import&status=completed&limit=1&cursor={}",
        page["nextCursor"].as_str().unwrap()
    );
    assert_eq!(ids(tenant.get(&next).await.expect(200)), [foreign["id"].clone()]);
    assert_eq!(ids(tenant.get("/api/jobs?kind=export,bulk").await.expect(200)), Vec::<Value>::new());

    let path = format!("/api/jobs/{}", foreign["id"].as_str().unwrap());
    for hidden in ["", "/errors"] {
        own.get(&format!("{path}{hidden}")).await.expect_problem(404, "not_found");
    }
    own.post(&format!("{path}/cancel"), json!({})).await.expect_problem(404, "not_found");
    tenant.post(&format!("{path}/cancel"), json!({})).await.expect_problem(409, "job_ended");
    tenant.post(&format!("{path}/start"), json!({})).await.expect_problem(409, "not_awaiting_parts");
    tenant.get("/api/jobs?status=late").await.expect_invalid("?status", "unknown_value");

    assert_eq!(tenant.get("/api/leads/export").await.status, 200);
    let log = tenant.get("/api/audit?action=job.created,leads.exported").await.expect(200);
    let noted: Vec<(&Value, &Value)> =
        log["items"].as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["objectId"])).collect();
    assert_eq!(
        noted,
        [
            (&json!("leads.exported"), &json!(tenant.id)),
            (&json!("job.created"), &mine["id"]),
            (&json!("job.created"), &foreign["id"])
        ]
    );
}

#[tokio::test]
async fn a_job_that_is_cancelled_says_what_it_did_before() {
    let tenant = Tenant::new().await;
    let waiting =
        send(&tenant, Method::POST, "/api/leads/import?upload=parts", "text/csv", "").await.expect(201);
    let path = format!("/api/jobs/{}", waiting["id"].as_str().unwrap());
    assert_eq!((&waiting["status"], &waiting["total"]), (&json!("awaitingParts"), &Value::Null));
    send(&tenant, Method::PUT, &format!("{path}/parts/1"), "text/csv", "email\na@example.com\n")
        .await
        .expect(200);
    for _ in 0..2 {
        assert_eq!(
            tenant.post(&format!("{path}/cancel"), json!({})).await.expect(202)["status"],
            "cancelled"
        );
    }
    send(&tenant, Method::PUT, &format!("{path}/parts/1"), "text/csv", "email\n")
        .await
        .expect_problem(409, "not_awaiting_parts");

    let rows: String = (0..20_000).map(|n| format!("cancelled{n}@example.com\n")).collect();
    let job = send(&tenant, Method::POST, "/api/leads/import", "text/csv", format!("email\n{rows}"))
        .await
        .expect(202);
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    crate::support::eventually("the first portion", async || {
        let job = tenant.get(&path).await.expect(200);
        (job["created"].as_i64() > Some(0)).then_some(())
    })
    .await;
    tenant.post(&format!("{path}/cancel"), json!({})).await.expect(202);
    let ended = done(&tenant, &job).await;
    let leads = tenant.get("/api/leads?limit=1&include=total").await.expect(200);
    assert_eq!((&ended["status"], &ended["created"]), (&json!("cancelled"), &leads["total"]), "{ended}");
    assert!(ended["created"].as_i64() < Some(20_000), "{ended}");
}
