//! Scores: reasons that add up, the same for the same facts, kept up to date without a sound.

use private_postgres::DATABASE;
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, segments::told};
use crate::support::{Answer, Tenant, eventually, stack};

async fn put_rules(tenant: &Tenant, rules: Value) -> Answer {
    tenant.send(tenant.request(Method::PUT, "/api/scoring").json(&json!({"rules": rules}))).await
}

/// The stored score, once it is this.
async fn stored(tenant: &Tenant, lead: &Value, score: i64) -> Value {
    eventually(&format!("score {score}"), async || {
        let lead = tenant.get(&path(lead)).await.expect(200);
        (lead["score"] == score).then_some(lead)
    })
    .await
}

#[tokio::test]
async fn the_reasons_add_up_and_the_same_facts_make_the_same_score() {
    let tenant = Tenant::new().await;
    let rules = tenant.get("/api/scoring").await;
    assert_eq!((&rules.expect(200)["isDefault"], rules.header("etag")), (&json!(true), "\"v0\""));
    let lead = tenant.lead(json!({"phone": "+491712345678"})).await;
    tenant.post(&format!("{}/activities", path(&lead)), json!({"kind": "visit"})).await.expect(201);
    let ask = async || tenant.get(&format!("{}/score", path(&lead))).await.expect(200);
    let score = ask().await;
    let parts = score["parts"].as_array().unwrap();
    assert_eq!(score["score"], parts.iter().map(|part| part["points"].as_i64().unwrap()).sum::<i64>());
    assert_eq!((&score["score"], parts.len()), (&json!(30), 3), "{score}");
    assert!(parts.iter().all(|part| part["reason"].as_str().is_some_and(|reason| !reason.is_empty())));
    let again = ask().await;
    assert_eq!((&again["score"], &again["parts"]), (&score["score"], &score["parts"]));
    // What is stored follows, without a new version and without an event.
    let before = tenant.get(&path(&lead)).await.header("etag").to_owned();
    stored(&tenant, &lead, 30).await;
    assert_eq!(tenant.get(&path(&lead)).await.header("etag"), before);
    assert_eq!(told(&tenant, "lead.updated").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_business_says_what_is_worth_how_much() {
    let tenant = Tenant::new().await;
    let status = |word: &str| json!({"field": "status", "op": "eq", "value": word});
    let visits = json!({"field": "activities.count", "where": {"kind": "visit"}, "within": 30, "op": "gte", "value": 1});
    let lead = tenant.lead(json!({"status": "qualified", "tags": ["vip"]})).await;
    let other = tenant.lead(json!({"status": "lost"})).await;
    stack().execute(
        DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
         update leads set created_at = now() - interval '21 days 1 hour' where tenant_id = '{0}'",
            tenant.id
        ),
    );
    let made = put_rules(&tenant, json!([
        {"reason": "Qualified", "condition": status("qualified"), "points": 40},
        {"reason": "Lost", "condition": status("lost"), "points": -25},
        {"reason": "New", "condition": {"not": [status("lost")]}, "points": 80, "decay": {"halfLifeDays": 7, "since": "createdAt"}},
        {"reason": "Visited", "condition": visits, "points": 5},
    ])).await;
    let rules = made.expect(200)["rules"].clone();
    let score = tenant.get(&format!("{}/score", path(&lead))).await.expect(200);
    // Three half-lives of eighty are ten.
    assert_eq!(score["score"], 50);
    assert_eq!(
        score["parts"],
        json!([
        {"ruleId": rules[0]["id"], "reason": "Qualified", "points": 40}, {"ruleId": rules[2]["id"], "reason": "New", "points": 10}])
    );
    stored(&tenant, &lead, 50).await;
    stored(&tenant, &other, -25).await;
    tenant.post(&format!("{}/activities", path(&lead)), json!({"kind": "visit"})).await.expect(201);
    stored(&tenant, &lead, 55).await;

    // Lists, conditions and segments go by what is stored.
    let page = tenant.get("/api/leads?sort=-score&limit=1").await.expect(200);
    assert_eq!(page["items"][0]["id"], lead["id"]);
    let next = format!("/api/leads?sort=-score&limit=1&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_eq!(tenant.get(&next).await.expect(200)["items"][0]["id"], other["id"]);
    let hot = json!({"conditions": {"field": "score", "op": "gte", "value": 50}});
    assert_eq!(tenant.post("/api/segments/preview", hot).await.expect(200)["count"], 1);

    // Points that an automation gives are a part of their own, whatever the rules say.
    let automation = json!({"name": "Gift", "trigger": {"type": "manual"}, "steps": [{"id": "give", "type": "updateLead", "set": {"score": 60}}]});
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    let automation = format!("/api/automations/{}", automation["id"].as_str().unwrap());
    tenant.post(&format!("{automation}/publish"), json!({})).await.expect(200);
    tenant.post(&format!("{automation}/execute"), json!({"leadIds": [lead["id"]]})).await.expect(202);
    stored(&tenant, &lead, 60).await;
    put_rules(
        &tenant,
        json!([{"id": rules[0]["id"], "reason": "Qualified", "condition": status("qualified"), "points": 1}]),
    )
    .await
    .expect(200);
    let lead_after = stored(&tenant, &lead, 6).await;
    assert_eq!(lead_after["status"], "qualified");
    let score = tenant.get(&format!("{}/score", path(&lead))).await.expect(200);
    assert_eq!(score["parts"][0], json!({"ruleId": null, "reason": "Given by automations", "points": 5}));
    assert_eq!(score["parts"][1]["ruleId"], rules[0]["id"]);

    // Back to the product's own.
    let back = tenant.send(tenant.request(Method::PUT, "/api/scoring").json(&json!({"rules": null}))).await;
    assert_eq!(back.expect(200)["isDefault"], true);
}

#[tokio::test]
async fn points_that_fade_since_a_time_that_is_not_there_are_none() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"status": "new"})).await;
    let rule = |since: &str, points| {
        let condition = json!({"field": "status", "op": "eq", "value": "new"});
        json!({"reason": since, "condition": condition, "points": points, "decay": {"halfLifeDays": 7, "since": since}})
    };
    put_rules(&tenant, json!([rule("lastInboundAt", 40), rule("createdAt", 8)])).await.expect(200);
    let score = tenant.get(&format!("{}/score", path(&lead))).await.expect(200);
    let reasons: Vec<&Value> =
        score["parts"].as_array().unwrap().iter().map(|part| &part["reason"]).collect();
    assert_eq!((&score["score"], reasons), (&json!(8), vec![&json!("createdAt")]));
    stored(&tenant, &lead, 8).await;
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused_where_it_stands() {
    let tenant = Tenant::new().await;
    let good = json!({"field": "status", "op": "eq", "value": "new"});
    for (rule, pointer, code) in [
        (json!({"reason": "Nothing", "condition": good, "points": 0}), "/rules/0/points", "out_of_range"),
        (
            json!({"reason": "Bad", "condition": {"field": "sauce", "op": "eq", "value": 1}, "points": 1}),
            "/rules/0/condition/field",
            "unknown_field",
        ),
        (
            json!({"reason": "Bad", "condition": {"not": [{"field": "lead.score", "op": "gt", "value": 1}]}, "points": 1}),
            "/rules/0/condition",
            "unsupported_field",
        ),
        (
            json!({"reason": "Bad", "condition": good, "points": 1, "decay": {"halfLifeDays": 0}}),
            "/rules/0/decay/halfLifeDays",
            "out_of_range",
        ),
        (
            json!({"reason": "Bad", "condition": good, "points": 1, "id": "0198a000-0000-7000-8000-00000000dead"}),
            "/rules/0/id",
            "unknown_rule",
        ),
        (json!({"reason": "Bad", "condition": good, "point": 1}), "/rules/0/point", "unknown_field"),
    ] {
        put_rules(&tenant, json!([rule])).await.expect_invalid(pointer, code);
    }
    let stale =
        tenant.request(Method::PUT, "/api/scoring").header("if-match", "\"v7\"").json(&json!({"rules": []}));
    tenant.send(stale).await.expect_problem(412, "stale_version");
    let rules = json!({"rules": [{"reason": "New", "condition": good, "points": 1}]});
    let staff = tenant.colleague("staff").await;
    staff
        .send(staff.request(Method::PUT, "/api/scoring").json(&rules))
        .await
        .expect_problem(403, "role_required");
}
