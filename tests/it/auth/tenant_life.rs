//! A business is suspended, and a business ends.

use serde_json::{Value, json};

use super::{alter, login, sign_in, text};
use crate::support::{Client, Tenant, eventually, stack, tenant::PASSWORD};
use crate::tenancy::Neighbour;

#[tokio::test]
async fn a_suspended_business_reads_and_exports_and_changes_nothing() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let path = format!("/api/leads/{}", text(&lead["id"]));
    alter(&tenant, "update tenants set status = 'suspended'");
    for write in [
        tenant.post("/api/leads", json!({"firstName": "New"})).await,
        tenant.patch(&path, json!({"firstName": "New"})).await,
        tenant.delete(&path).await,
        tenant.post("/api/api-keys", json!({"name": "K", "kind": "site"})).await,
    ] {
        write.expect_problem(423, "tenant_suspended");
    }
    assert_eq!(tenant.get(&path).await.expect(200)["firstName"], lead["firstName"]);
    assert_eq!(tenant.get("/api/tenant").await.expect(200)["status"], "suspended");
    tenant.get("/api/analytics/cta/export?from=2026-01-01&to=2026-01-02").await.expect_status(200);
    let lines = json!([{"description": "Hour", "quantity": "1", "unitPrice": 100}]);
    tenant.post("/api/finance/calculate", json!({"lines": lines})).await.expect(200);
    sign_in(&tenant.email).await;
    tenant.post("/api/auth/reauth", json!({"password": PASSWORD})).await.expect(200);
    alter(&tenant, "update tenants set status = 'active'");
    tenant.patch(&path, json!({"firstName": "New"})).await.expect(200);
}

#[tokio::test]
async fn a_business_ends_with_every_row_and_says_how_many() {
    let neighbour = Neighbour::new().await;
    let bystander = Tenant::new().await;
    let tenant = neighbour.business();
    let admin = tenant.colleague("admin").await;
    admin.delete("/api/tenant").await.expect_problem(403, "role_required");
    let report = tenant.delete("/api/tenant").await.expect(200);

    let rows = |table: &str| -> i64 {
        let deleted = report["deleted"].as_array().unwrap();
        deleted
            .iter()
            .find(|count| count["table"] == table)
            .map_or(0, |count| count["rows"].as_i64().unwrap())
    };
    assert_eq!((rows("tenants"), rows("users"), rows("leads")), (1, 2, 2), "{report}");
    assert!(rows("ledger_entries") > 0 && rows("audit_log") > 0, "{report}");
    assert_eq!((&report["status"], &report["remaining"]), (&json!("deleted"), &json!([])));
    // Every table of the schema that says whose its rows are, today's and tomorrow's.
    stack().execute(private_postgres::DATABASE, &emptiness(&tenant.id));

    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
    admin.get("/api/me").await.expect_problem(401, "unauthorized");
    let refresh = json!({"refreshToken": tenant.registration["refreshToken"]});
    Client::anonymous().post("/api/auth/refresh", refresh).await.expect_problem(401, "unauthorized");
    login(json!({"email": tenant.email, "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    let alive: Value = bystander.get("/api/me").await.expect(200);
    assert_eq!(alive["email"], bystander.email.as_str());
}

#[tokio::test]
async fn a_large_business_is_closed_at_once_and_removed_row_by_row() {
    let neighbour = Neighbour::new().await;
    let bystander = Tenant::new().await;
    let tenant = neighbour.business();
    let key = json!({"name": "K", "kind": "secret", "scopes": ["leads:read"]});
    let key = tenant.post("/api/api-keys", key).await.expect(201);
    let key = Client::anonymous().with_token(text(&key["key"]));
    let source = json!({"provider": "forms", "name": "Site"});
    let source = tenant.post("/api/webhooks/sources", source).await.expect(201);
    let form = format!("/api/webhooks/forms/{}", text(&source["token"]));
    let visitor = json!({"name": "Vera", "email": "vera@example.com"});
    Client::anonymous().post(&form, visitor.clone()).await.expect(202);
    alter(
        tenant,
        &format!(
            "insert into leads (tenant_id, id, first_name) select '{0}', new_id(), n::text from generate_series(1, 21000) n; \
             insert into activities (tenant_id, id, lead_id, kind) select '{0}', new_id(), id, 'note' from leads where tenant_id = '{0}'",
            tenant.id
        ),
    );
    let answer = tenant.delete("/api/tenant").await.expect(202);
    let remaining = answer["remaining"].as_array().unwrap();
    let rows = |table: &str| {
        remaining
            .iter()
            .find(|count| count["table"] == table)
            .map_or(0, |count| count["rows"].as_i64().unwrap())
    };
    assert_eq!((&answer["status"], &answer["deleted"]), (&json!("deleting"), &json!([])));
    assert!(
        rows("leads") >= 21_002 && rows("activities") >= rows("leads") && rows("ledger_entries") > 0,
        "{answer}"
    );

    // From this moment on it is nobody's, however long the removal takes.
    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
    tenant.delete("/api/tenant").await.expect_problem(401, "unauthorized");
    key.get("/api/leads").await.expect_problem(401, "unauthorized");
    let refresh = json!({"refreshToken": tenant.registration["refreshToken"]});
    Client::anonymous().post("/api/auth/refresh", refresh).await.expect_problem(401, "unauthorized");
    login(json!({"email": tenant.email, "password": PASSWORD}))
        .await
        .expect_problem(401, "invalid_credentials");
    Client::anonymous().post(&form, visitor).await.expect_problem(404, "not_found");

    eventually("the last row going", async || {
        stack().holds(private_postgres::DATABASE, &emptiness(&tenant.id)).then_some(())
    })
    .await;
    assert_eq!(bystander.get("/api/me").await.expect(200)["email"], bystander.email.as_str());
}

/// Fails, naming the table, when any table has a row of the business.
fn emptiness(tenant: &str) -> String {
    format!(
        "begin; set local app.tenant_id = '{tenant}'; do $$ declare t record; n bigint; begin \
           for t in select c.relname, case when c.relname = 'tenants' then 'id' else 'tenant_id' end as own \
             from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') \
              and exists (select from pg_attribute a where a.attrelid = c.oid and not a.attisdropped \
                and a.attname = case when c.relname = 'tenants' then 'id' else 'tenant_id' end) loop \
             execute format('select count(*) from %I where %I = $1', t.relname, t.own) into n using '{tenant}'::uuid; \
             assert n = 0, t.relname || ' has ' || n || ' rows left'; \
           end loop; end $$; commit"
    )
}
