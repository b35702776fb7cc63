//! Whoever meets a person while they are being forgotten.

use serde_json::json;
use shared::{
    app::App,
    config::{Config, Needs},
    ids::TenantId,
    privacy,
};

use super::life::id;
use crate::support::{Tenant, stack};

/// Waits until somebody waits for a lead's row.
const WAITED_FOR: &str = "do $$ begin
    for round in 1..600 loop
        if exists (select from pg_locks w join pg_locks t on t.pid = w.pid and t.granted and t.locktype = 'tuple' and t.relation = 'leads'::regclass
                    where not w.granted and w.locktype = 'transactionid') then return; end if;
        perform pg_sleep(0.05);
    end loop;
    raise exception 'nobody waits for the lead';
end $$";

#[tokio::test]
async fn who_waits_for_a_lead_that_is_erased_makes_a_new_one() {
    let (running, name) = (stack(), format!("race_{}", std::process::id()));
    running.create_database(&name).await;
    let tenant = Tenant::at(&running.serve(&name)).await;
    let lead = tenant.lead(json!({"email": "race@example.com"})).await;
    let mut values = running.values.clone();
    values.insert("DATABASE_URL".to_owned(), running.app_url_of(&name));
    let app = App::new(Config::from_values(values, Needs::Worker).unwrap(), 1).unwrap();
    let mut tx = app.db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
    let subject = privacy::lock_subject(&mut tx, id(&lead).parse().unwrap(), None).await.unwrap().unwrap();
    let client = tenant.owner.clone();
    let upsert = tokio::spawn(async move {
        let body = json!({"email": "race@example.com", "firstName": "Again"});
        client.post("/api/leads/upsert", body).await
    });
    tokio::task::spawn_blocking(move || running.execute(&name, WAITED_FOR)).await.unwrap();
    privacy::erase(&mut tx, app.secret_box(), shared::clock::now(), &subject).await.unwrap();
    tx.commit().await.unwrap();

    let new = upsert.await.unwrap().expect(201);
    assert_ne!(new["id"], lead["id"]);
    tenant.get(&format!("/api/leads/{}", id(&lead))).await.expect_problem(404, "not_found");
    let listed = tenant.get("/api/leads?include=total").await.expect(200);
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &new["id"]));
}
