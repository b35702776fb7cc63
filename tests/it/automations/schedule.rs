//! Automations that begin by the clock.

use serde_json::{Value, json};

use super::{publish, run_in};
use crate::support::{Tenant, eventually, stack};

fn by_the_clock(trigger: Value) -> Value {
    json!({"name": "Clock", "trigger": trigger, "steps": [{"id": "tag", "type": "addTags", "tags": ["greeted"]}]})
}

/// What the passing of time would do.
fn let_the_slot_come(tenant: &Tenant) {
    stack().execute(
        "wellspring",
        &format!(
            "begin; set local app.tenant_id = '{}'; update automation_schedules set tick_at = now(); commit;",
            tenant.id
        ),
    );
}

async fn runs(tenant: &Tenant, automation: &str) -> Vec<Value> {
    let page = tenant.get(&format!("/api/automations/{automation}/runs?limit=100")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn runs_are(tenant: &Tenant, automation: &str, count: usize) {
    eventually(&format!("{count} completed runs"), async || {
        let runs = runs(tenant, automation).await;
        assert!(runs.len() <= count, "more than {count} runs: {runs:?}");
        (runs.iter().filter(|run| run["status"] == "completed").count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_slot_starts_one_run_for_each_person_whom_the_filter_lets_in() {
    let tenant = Tenant::new().await;
    for source in ["web", "web", "walk-in"] {
        tenant.lead(json!({"source": source})).await;
    }
    let filter = json!({"field": "source", "op": "eq", "value": "web"});
    let trigger = json!({"type": "schedule", "every": "P1D", "filter": filter});
    let automation = publish(&tenant, by_the_clock(trigger)).await;
    assert_eq!(runs(&tenant, &automation).await, Vec::<Value>::new(), "the first slot lies a day ahead");

    let_the_slot_come(&tenant);
    runs_are(&tenant, &automation, 2).await;
    assert_eq!(tenant.get("/api/leads?tag=greeted&include=total").await.expect(200)["total"], 2);
    // A second slot is a second cause, also for the same people.
    let_the_slot_come(&tenant);
    runs_are(&tenant, &automation, 4).await;
    // A paused automation lets its slots pass.
    tenant.post(&format!("/api/automations/{automation}/pause"), json!({})).await.expect(200);
    let_the_slot_come(&tenant);
    tenant.post(&format!("/api/automations/{automation}/resume"), json!({})).await.expect(200);
    let other =
        publish(&tenant, by_the_clock(json!({"type": "schedule", "at": "09:00", "days": ["mon"]}))).await;
    let_the_slot_come(&tenant);
    runs_are(&tenant, &automation, 6).await;
    let run = eventually("a run about nobody", async || runs(&tenant, &other).await.pop()).await;
    assert_eq!(run["leadId"], Value::Null);
}

#[tokio::test]
async fn a_schedule_without_a_time_is_refused_and_the_catalogue_tells_its_fields() {
    let tenant = Tenant::new().await;
    let refused = tenant.post("/api/automations", by_the_clock(json!({"type": "schedule"}))).await;
    refused.expect_invalid("/trigger", "required");
    let refused =
        tenant.post("/api/automations", by_the_clock(json!({"type": "schedule", "every": "PT1S"}))).await;
    refused.expect_invalid("/trigger/every", "out_of_range");
    let catalogue = tenant.get("/api/automations/catalog").await.expect(200);
    let kinds: Vec<&str> =
        catalogue["triggers"].as_array().unwrap().iter().map(|t| t["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"schedule") && kinds.contains(&"manual"), "{kinds:?}");
}

#[tokio::test]
async fn a_run_about_nobody_says_so_when_a_step_needs_a_person() {
    let tenant = Tenant::new().await;
    let definition = json!({"name": "Clock", "trigger": {"type": "schedule", "at": "09:00"}, "steps": [
        {"id": "tell", "type": "notify", "role": "manager", "body": "A new day"},
        {"id": "tag", "type": "addTags", "tags": ["nobody"]},
    ]});
    let automation = publish(&tenant, definition).await;
    let_the_slot_come(&tenant);
    let run = eventually("a run", async || runs(&tenant, &automation).await.pop()).await;
    let run = run_in(&tenant, run["id"].as_str().unwrap(), &["completed", "failed"]).await;
    assert_eq!(run["steps"][0]["status"], "completed", "{run}");
    assert_eq!((&run["status"], &run["error"]["step"]), (&json!("failed"), &json!("tag")), "{run}");
}
