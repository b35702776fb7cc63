//! Jobs: followed, ended, seen by whoever may.

use reqwest::Method;
use serde_json::{Value, json};

use super::imports::{done, import, send};
use crate::support::{
    Client, Tenant, stack,
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

/// Runs SQL in a tenant's own rows.
fn execute(tenant: &Tenant, sql: &str) {
    let sql = format!("begin; select set_config('app.tenant_id', '{}', true); {sql} commit;", tenant.id);
    stack().execute(private_postgres::DATABASE, &sql);
}

/// A job that is under way: those with these numbers are left of `total`.
pub(super) fn under_way(
    tenant: &Tenant,
    kind: &str,
    request: &Value,
    leads: &[(i32, &Value)],
    total: i32,
) -> Value {
    let (of, id, user) =
        (&tenant.id, shared::ids::new_id(), tenant.registration["user"]["id"].as_str().unwrap());
    let params = json!({"request": request, "actor": {"kind": "user", "id": user, "owners": null}});
    let cursor = json!({"done": 0, "kept": 0, "told": 0, "total": total});
    let leads: String = leads
        .iter()
        .map(|(seq, lead)| {
            let lead = lead["id"].as_str().unwrap();
            format!("insert into job_leads (tenant_id, job_id, seq, lead_id) values ('{of}', '{id}', {seq}, '{lead}');")
        })
        .collect();
    execute(
        tenant,
        &format!(
            "insert into jobs (tenant_id, id, kind, params, cursor, total_count, created_by)
             values ('{of}', '{id}', '{kind}', '{params}', '{cursor}', {total}, '{user}');
             insert into job_parts (tenant_id, job_id, role, part, content, sha256) values ('{of}', '{id}', 'input', 1, 'x', 'x'); {leads}"
        ),
    );
    json!({"id": id})
}

#[tokio::test]
async fn a_job_of_a_kind_that_is_still_to_come_waits_with_its_file() {
    let tenant = Tenant::new().await;
    let unknown = under_way(&tenant, "teleport", &json!({}), &[], 0);
    let request = json!({"op": "delete", "filter": {}});
    for _ in 0..2 {
        // Found by a later look at what is due.
        let known = under_way(&tenant, "bulk", &request, &[], 0);
        assert_eq!(done(&tenant, &known).await["status"], "completed");
    }
    let id = unknown["id"].as_str().unwrap();
    execute(
        &tenant,
        &format!(
            "do $$ begin
                 assert (select status = 'queued' and attempts = 0 from jobs where id = '{id}'), 'it was begun';
                 assert (select count(*) = 1 from job_parts where job_id = '{id}'), 'its file is gone';
             end $$;"
        ),
    );
    let cancelled = tenant.post(&format!("/api/jobs/{id}/cancel"), json!({})).await.expect(202);
    assert_eq!(cancelled["status"], "cancelled");
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

    tenant.get("/api/leads/export").await.expect_status(200);
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
