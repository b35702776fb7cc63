//! The end of a large business under the real worker, killed in the middle.

use serde_json::{Value, json};
use shared::queue::HintKind;
use tests::lambda::{batch_failures, sqs_batch};

use super::world::World;
use crate::support::eventually;

/// More than a request removes while somebody waits.
const LEADS: i64 = 21_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_business_whose_workers_are_killed_is_removed_to_its_last_row() {
    let world = World::new("ended").await;
    let token = world.register().await;
    let me = world.call("auth", "GET", "/api/me", &token, "").await.json().unwrap();
    let tenant = me["tenantId"].as_str().unwrap();
    world.execute(
        tenant,
        &format!(
            "insert into leads (tenant_id, id, first_name) select '{tenant}', new_id(), n::text from generate_series(1, {LEADS}) n;
             create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(1); return null; end';
             create trigger leads_dawdle after delete on leads for each statement execute function dawdle()"
        ),
    );
    let answer = world.call("auth", "DELETE", "/api/tenant", &token, "").await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let remaining = answer.json().unwrap()["remaining"].clone();
    assert!(remaining.as_array().unwrap().contains(&json!({"table": "leads", "rows": LEADS})), "{remaining}");
    assert_eq!(world.call("auth", "GET", "/api/me", &token, "").await.status, 401);

    let event = sqs_batch("jobs", &[json!({"tenant": tenant, "kind": "tenant", "id": tenant}).to_string()]);
    let leads = |at_most: i64| {
        world
            .holds(tenant, &format!("(select count(*) from leads where tenant_id = '{tenant}') <= {at_most}"))
    };
    for at_most in [LEADS - 1_000, LEADS - 2_000] {
        let worker = world.launch("run-jobs");
        let invocation = worker.begin(&event).unwrap();
        eventually("the next portion", async || leads(at_most).then_some(())).await;
        worker.kill().unwrap();
        assert!(invocation.outcome().await.is_err(), "a killed worker answers nothing");
        // While the dead one's lease runs nobody else is sent, and who comes all the same leaves it alone.
        assert!(world.ended().await.is_empty());
        assert!(invoke(&world, &event).await.is_empty());
        world.execute(tenant, "update tenants set lease_until = now() - interval '1 second'");
    }
    assert!(!leads(1_000), "the test must kill in the middle");
    let due = world.ended().await;
    assert!(due.iter().any(|hint| hint.kind == HintKind::Tenant && hint.id.to_string() == tenant), "{due:?}");

    world.execute(tenant, "drop trigger leads_dawdle on leads");
    let report = invoke(&world, &event).await;
    assert!(report.iter().any(|line| line.contains("a business was removed")), "{report:?}");
    assert!(report.iter().any(|line| line.contains(&format!(":{LEADS}"))), "every row once: {report:?}");
    assert!(world.holds(tenant, "not exists (select from tenants) and not exists (select from login_index)"));
    assert!(world.ended().await.is_empty());
    assert!(invoke(&world, &event).await.is_empty(), "a hint that comes late finds nobody");
}

/// Has a fresh worker look, and answers what it wrote about it.
async fn invoke(world: &World, event: &Value) -> Vec<String> {
    let worker = world.launch("run-jobs");
    let outcome = worker.invoke(event).await.unwrap();
    assert!(batch_failures(&outcome).unwrap().is_empty());
    let lines = worker.logs().into_iter().map(|line| line.text);
    lines.filter(|line| line.contains("business")).collect()
}
