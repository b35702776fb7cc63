//! Many hints, one run.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::queue::{Hint, HintKind};

use super::{Backend, World};
use crate::support::{Tenant, eventually};

async fn hints_in_duplicate(backend: Backend) {
    let world = World::new(backend, "").await;
    let tenant = Tenant::new().await;
    let definition = json!({"name": "Noted", "trigger": {"type": "lead.created"}, "steps": [
        {"id": "note", "type": "createActivity", "kind": "note", "title": "Seen once"}]});
    let made = tenant.post("/api/automations", definition).await.expect(201);
    let automation = made["id"].as_str().unwrap();
    tenant.post(&format!("/api/automations/{automation}/publish"), json!({})).await.expect(200);
    let body = json!({"email": crate::support::tenant::unique_email("turn")});
    let lead = tenant.owner.on(&world.base).post("/api/leads", body).await.expect(201);
    let runs = tenant.get(&format!("/api/automations/{automation}/runs")).await.expect(200);
    let run = runs["items"][0]["id"].as_str().unwrap().to_owned();

    let hint = Hint::now(
        shared::ids::TenantId::new(tenant.id.parse().unwrap()),
        HintKind::Run,
        run.parse().unwrap(),
    );
    let looks = (0..20).map(|_| run_automations::handle(&world.stack.app, &hint));
    for look in join_all(looks).await {
        look.unwrap();
    }
    let path = format!("/api/automations/runs/{run}");
    eventually("the run completes", async || {
        let run = tenant.get(&path).await.expect(200);
        (run["status"] == "completed").then_some(())
    })
    .await;
    let path = format!("/api/leads/{}/activities", lead["id"].as_str().unwrap());
    let activities = tenant.get(&path).await.expect(200);
    let seen = |one: &&Value| one["title"] == "Seen once";
    assert_eq!(activities["items"].as_array().unwrap().iter().filter(seen).count(), 1);
}

#[tokio::test]
async fn hints_in_duplicate_move_a_run_once() {
    hints_in_duplicate(Backend::Database).await;
}

#[tokio::test]
async fn hints_in_duplicate_move_a_run_once_with_redis() {
    hints_in_duplicate(Backend::Redis).await;
}

#[tokio::test]
async fn whoever_finds_a_turn_taken_leaves_word() {
    let world = World::new(Backend::Redis, "").await;
    let limits = &world.stack.app.limits;
    let hint = Hint::now(
        shared::ids::TenantId::new(uuid::Uuid::from_u128(7)),
        HintKind::Run,
        uuid::Uuid::from_u128(8),
    );
    let turn = limits.take_turn(&hint).await.expect("the turn is free");
    assert!(limits.take_turn(&hint).await.is_none());
    assert!(limits.end_turn(turn).await, "word was left");
    let turn = limits.take_turn(&hint).await.expect("the turn is free again");
    assert!(!limits.end_turn(turn).await, "nobody came");
}
