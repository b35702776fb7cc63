//! Sales paths: stages as a whole, a board that counts and sums, moves that are told.

use serde_json::{Value, json};

use super::path;
use crate::support::Tenant;

async fn pipeline(tenant: &Tenant) -> (String, Value) {
    let stages = json!([{"name": "Trial", "probability": 20}, {"name": "Member", "probability": 100, "outcome": "won"},
                        {"name": "Lost", "outcome": "lost"}]);
    let made = tenant.post("/api/pipelines", json!({"name": "Sales", "stages": stages})).await.expect(201);
    (format!("/api/pipelines/{}", made["id"].as_str().unwrap()), made["stages"].clone())
}

#[tokio::test]
async fn stages_are_replaced_as_a_whole_unless_somebody_stands_on_one_that_goes() {
    let tenant = Tenant::new().await;
    let (path, stages) = pipeline(&tenant).await;
    let lead = tenant.lead(json!({})).await;
    let to_trial = json!({"stageId": stages[0]["id"]});
    tenant.post(&format!("{}/stage", super::path(&lead)), to_trial).await.expect(200);

    let without_trial =
        json!({"stages": [{"id": stages[1]["id"], "name": "Member"}, {"name": "Asleep", "outcome": "lost"}]});
    tenant.patch(&path, without_trial.clone()).await.expect_problem(409, "stage_in_use");
    tenant.delete(&path).await.expect_problem(409, "pipeline_in_use");
    tenant.post(&format!("{}/stage", super::path(&lead)), json!({"stageId": null})).await.expect(200);
    let changed = tenant.patch(&path, without_trial).await.expect(200);
    let shape: Vec<(&Value, &Value, &Value)> = changed["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["name"], &s["position"], &s["outcome"]))
        .collect();
    assert_eq!(
        shape,
        [(&json!("Member"), &json!(0), &json!("open")), (&json!("Asleep"), &json!(1), &json!("lost"))]
    );
    assert_eq!(changed["stages"][0]["id"], stages[1]["id"]);

    let gone = json!({"stages": [{"id": stages[0]["id"], "name": "Trial"}]});
    tenant.patch(&path, gone).await.expect_invalid("/stages/0/id", "unknown_stage");
    let bad = json!({"stages": [{"name": "A", "probability": 101}]});
    tenant.patch(&path, bad).await.expect_invalid("/stages/0/probability", "out_of_range");
    tenant.patch(&path, json!({"archived": true, "name": "Old"})).await.expect(200);
    assert_eq!(tenant.get("/api/pipelines").await.expect(200)["items"], json!([]));
    assert_eq!(tenant.get("/api/pipelines?archived=true").await.expect(200)["items"][0]["name"], "Old");
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_board_counts_and_sums_what_stands_on_each_stage() {
    let tenant = Tenant::new().await;
    let (path, stages) = pipeline(&tenant).await;
    for (value, stage) in [(json!(10_000), 0), (json!(5_050), 0), (Value::Null, 0), (json!(700), 1)] {
        let lead = tenant.lead(json!({"value": value})).await;
        let to = json!({"stageId": stages[stage]["id"]});
        tenant.post(&format!("{}/stage", super::path(&lead)), to).await.expect(200);
    }
    let dollars = tenant.lead(json!({"value": 99, "currency": "USD"})).await;
    tenant.patch(&super::path(&dollars), json!({"stageId": stages[0]["id"]})).await.expect(200);
    let board = tenant.get(&format!("{path}/board")).await.expect(200);
    assert_eq!(board["currency"], "EUR");
    let columns: Vec<(&str, i64, i64, i64)> = board["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            let number = |name: &str| s[name].as_i64().unwrap();
            (s["name"].as_str().unwrap(), number("count"), number("sum"), number("weighted"))
        })
        .collect();
    assert_eq!(columns, [("Trial", 4, 15_050, 3_010), ("Member", 1, 700, 700), ("Lost", 0, 0, 0)]);
    assert_eq!(board["stages"][2]["averageSeconds"], Value::Null);
    assert!(board["stages"][0]["averageSeconds"].as_i64().is_some_and(|seconds| seconds >= 0));
    let in_dollars = tenant.get(&format!("{path}/board?currency=USD")).await.expect(200);
    assert_eq!(in_dollars["stages"][0]["sum"], 99);
    tenant.get(&format!("{path}/board?currency=money")).await.expect_invalid("?currency", "invalid_currency");
}

#[tokio::test]
async fn a_move_is_an_activity_with_its_reason_and_the_next_one_forgets_it() {
    let tenant = Tenant::new().await;
    let (_, stages) = pipeline(&tenant).await;
    let lead = tenant.lead(json!({"value": 900})).await;
    let stage = format!("{}/stage", path(&lead));
    let first = tenant.post(&stage, json!({"stageId": stages[0]["id"]})).await.expect(200);
    assert!(first["stageEnteredAt"].is_string());
    let lost = json!({"stageId": stages[2]["id"], "lostReason": "Too far away"});
    assert_eq!(tenant.post(&stage, lost).await.expect(200)["lostReason"], "Too far away");
    let activities = tenant.get(&format!("{}/activities", path(&lead))).await.expect(200);
    let data = &activities["items"][0]["data"];
    assert_eq!((&data["reason"], &data["fromStageId"]), (&json!("Too far away"), &stages[0]["id"]));
    assert!(data["secondsInStage"].as_i64().is_some());
    let won = json!({"stageId": stages[1]["id"], "wonReason": "Came back"});
    let won = tenant.post(&stage, won).await.expect(200);
    assert_eq!((&won["lostReason"], &won["wonReason"]), (&Value::Null, &json!("Came back")));
    let events = tenant.get("/api/events?type=lead.stageChanged").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 3);
    let cleared = tenant.patch(&path(&lead), json!({"value": null})).await.expect(200);
    assert_eq!((&cleared["value"], &cleared["currency"]), (&Value::Null, &Value::Null));
    tenant.patch(&path(&lead), json!({"currency": "USD"})).await.expect_invalid("/value", "required");
}
