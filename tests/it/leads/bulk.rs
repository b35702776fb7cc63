//! The same for many leads.

use serde_json::{Value, json};

use super::{
    imports::{counts, done, import},
    jobs::{bound_to_own, under_way},
};
use crate::support::{Client, Tenant, eventually};

async fn bulk(client: &Client, body: Value) -> Value {
    let job = client.post("/api/leads/bulk", body).await.expect(202);
    done(client, &job).await
}

async fn many(tenant: &Tenant, count: usize) {
    let rows: String = (0..count)
        .map(|n| format!("N{n},n{n}@example.com,{}\n", if n % 2 == 0 { "new" } else { "contacted" }))
        .collect();
    let job =
        import(tenant, "?automations=false", "text/csv", format!("firstName,email,status\n{rows}")).await;
    assert_eq!(counts(&job), [i64::try_from(count).unwrap(), 0, 0, 0], "{job}");
}

async fn total(client: &Client, filter: &str) -> i64 {
    client.get(&format!("/api/leads?limit=1&include=total&{filter}")).await.expect(200)["total"]
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn tags_come_and_go_and_the_counts_are_those_of_the_database() {
    let tenant = Tenant::new().await;
    many(&tenant, 2_500).await;
    let tags = json!({"op": "addTags", "filter": {"status": ["new", "lost"]}, "params": {"tags": ["Spring", "vip"]}});
    let job = bulk(&tenant, tags.clone()).await;
    assert_eq!(
        (&job["status"], &job["total"], counts(&job)),
        (&json!("completed"), &json!(1_250), [0, 1_250, 0, 0]),
        "{job}"
    );
    assert_eq!(total(&tenant, "tag=spring").await, 1_250);
    assert_eq!(counts(&bulk(&tenant, tags).await), [0, 0, 1_250, 0]);
    let events = tenant.get("/api/events?type=lead.tagAdded&limit=1").await.expect(200);
    assert!(events["items"][0]["previous"]["tags"].is_array(), "{events}");
    // What the change does to the filter's answer does not move the ground under it.
    let job = bulk(
        &tenant,
        json!({"op": "setStatus", "filter": {"status": "new"}, "params": {"status": "customer"}}),
    )
    .await;
    assert_eq!(counts(&job), [0, 1_250, 0, 0], "{job}");
    let job =
        bulk(&tenant, json!({"op": "removeTags", "filter": {"tag": "vip"}, "params": {"tags": ["vip"]}}))
            .await;
    assert_eq!((counts(&job), total(&tenant, "tag=vip").await), ([0, 1_250, 0, 0], 0), "{job}");
}

#[tokio::test]
async fn fields_owners_and_stages_change_as_by_the_single_routes() {
    let tenant = Tenant::new().await;
    many(&tenant, 4).await;
    let owner = tenant.registration["user"]["id"].clone();
    let pipeline = tenant
        .post(
            "/api/pipelines",
            json!({"name": "P", "stages": [{"name": "First"}, {"name": "Won", "outcome": "won"}]}),
        )
        .await
        .expect(201);
    let stage = pipeline["stages"][1]["id"].clone();
    let job = bulk(&tenant, json!({"op": "assignOwner", "filter": {}, "params": {"ownerId": owner}})).await;
    assert_eq!(counts(&job), [0, 4, 0, 0], "{job}");
    let job = bulk(&tenant, json!({"op": "moveStage", "filter": {"ownerId": owner}, "params": {"stageId": stage, "wonReason": "Price"}})).await;
    assert_eq!(counts(&job), [0, 4, 0, 0], "{job}");
    let patch = json!({"source": "fair", "value": 900, "customFields": {"goal": 7}});
    let job =
        bulk(&tenant, json!({"op": "updateFields", "filter": {"stageId": [stage]}, "params": patch})).await;
    assert_eq!(counts(&job), [0, 4, 0, 0], "{job}");
    let lead = tenant.get("/api/leads?cf.goal[gte]=7").await.expect(200)["items"][0].clone();
    assert_eq!(
        (&lead["ownerId"], &lead["stageId"], &lead["wonReason"], &lead["source"], &lead["currency"]),
        (&owner, &stage, &json!("Price"), &json!("fair"), &json!("EUR"))
    );
    let activities = tenant.get(&format!("{}/activities", super::path(&lead))).await.expect(200);
    assert_eq!(
        (&activities["items"][0]["kind"], &activities["items"][0]["data"]["reason"]),
        (&json!("stage"), &json!("Price"))
    );
    let told: Vec<Value> = tenant.get("/api/events?type=lead.stageChanged").await.expect(200)["items"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!((told.len(), &told[0]["previous"]), (4, &json!({"stageId": null})));
    // A currency alone is refused where there is no value, lead by lead.
    bulk(&tenant, json!({"op": "updateFields", "filter": {"search": "N1"}, "params": {"value": null}})).await;
    let job = bulk(&tenant, json!({"op": "updateFields", "filter": {}, "params": {"currency": "CHF"}})).await;
    assert_eq!(counts(&job), [0, 3, 0, 1], "{job}");
    let errors = tenant.get(&format!("/api/jobs/{}/errors", job["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(
        (&errors["items"][0]["code"], errors["items"][0]["value"].is_string()),
        (&json!("required"), true),
        "{errors}"
    );
}

#[tokio::test]
async fn leads_go_to_the_bin_and_come_back_unless_somebody_took_their_address() {
    let tenant = Tenant::new().await;
    many(&tenant, 5).await;
    let job = bulk(&tenant, json!({"op": "delete", "filter": {"status": "new"}})).await;
    assert_eq!(
        (counts(&job), total(&tenant, "").await, total(&tenant, "deleted=true").await),
        ([0, 3, 0, 0], 2, 3),
        "{job}"
    );
    tenant.post("/api/leads", json!({"email": "n0@example.com"})).await.expect(201);
    let job = bulk(&tenant, json!({"op": "restore", "filter": {}})).await;
    assert_eq!((counts(&job), total(&tenant, "").await), ([0, 2, 0, 1], 5), "{job}");
    let errors = tenant.get(&format!("/api/jobs/{}/errors", job["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(errors["items"][0]["code"], "lead_exists");
    let found = tenant.post("/api/leads/upsert", json!({"email": "n2@example.com"})).await;
    found.expect(200);
}

#[tokio::test]
async fn segments_fill_and_automations_begin() {
    let tenant = Tenant::new().await;
    many(&tenant, 4).await;
    let nobody = json!({"field": "status", "op": "eq", "value": "lost"});
    let segment = tenant
        .post("/api/segments", json!({"name": "Fixed", "kind": "static", "conditions": nobody}))
        .await
        .expect(201)["id"]
        .clone();
    let live = tenant.post("/api/segments", json!({"name": "Live", "conditions": nobody})).await.expect(201)
        ["id"]
        .clone();
    let join = |id: &Value| json!({"op": "addToSegment", "filter": {"status": "contacted"}, "params": {"segmentId": id}});
    assert_eq!(counts(&bulk(&tenant, join(&segment)).await), [0, 2, 0, 0]);
    assert_eq!(total(&tenant, &format!("segmentId={}", segment.as_str().unwrap())).await, 2);
    assert_eq!(counts(&bulk(&tenant, join(&segment)).await), [0, 0, 2, 0]);
    assert_eq!(
        tenant.get("/api/events?type=segment.entered").await.expect(200)["items"].as_array().unwrap().len(),
        2
    );
    tenant.post("/api/leads/bulk", join(&live)).await.expect_invalid("/params/segmentId", "live_segment");
    let leave = json!({"op": "removeFromSegment", "filter": {"segmentId": segment}, "params": {"segmentId": segment}});
    assert_eq!(counts(&bulk(&tenant, leave).await), [0, 2, 0, 0]);

    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["enrolled"]}]);
    let automation = json!({"name": "A", "trigger": {"type": "manual"}, "steps": steps});
    let automation = tenant.post("/api/automations", automation).await.expect(201)["id"].clone();
    let enrol =
        json!({"op": "enrol", "filter": {"status": ["contacted"]}, "params": {"automationId": automation}});
    tenant.post("/api/leads/bulk", enrol.clone()).await.expect_problem(409, "not_active");
    tenant
        .post(&format!("/api/automations/{}/publish", automation.as_str().unwrap()), json!({}))
        .await
        .expect(200);
    assert_eq!(counts(&bulk(&tenant, enrol).await), [0, 2, 0, 0]);
    eventually("the runs", async || (total(&tenant, "tag=enrolled").await == 2).then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_it_begins() {
    let tenant = Tenant::new().await;
    let nobody = "0198a000-0000-7000-8000-00000000dead";
    for (body, pointer, code) in [
        (json!({"op": "explode", "filter": {}}), "/op", "unknown_value"),
        (json!({"op": "delete"}), "/filter", "required"),
        (json!({"op": "delete", "filter": {"stats": "new"}}), "/filter/stats", "unknown_parameter"),
        (json!({"op": "delete", "filter": {"status": {"eq": "new"}}}), "/filter/status", "wrong_type"),
        (json!({"op": "delete", "filter": {"from": "yesterday"}}), "/filter/from", "invalid_time"),
        // Somebody who chose nobody does not mean everybody.
        (json!({"op": "delete", "filter": {"ownerId": []}}), "/filter/ownerId", "required"),
        (json!({"op": "delete", "filter": {"status": ""}}), "/filter/status", "required"),
        (json!({"op": "delete", "filter": {"tag": [" ", ","]}}), "/filter/tag", "required"),
        (json!({"op": "delete", "filter": {"deleted": true}}), "/filter/deleted", "not_allowed"),
        (json!({"op": "delete", "filter": {"segmentId": nobody}}), "/filter/segmentId", "unknown_segment"),
        (json!({"op": "delete", "filter": {}, "params": {"tags": ["a"]}}), "/params/tags", "unknown_field"),
        (json!({"op": "addTags", "filter": {}, "params": {}}), "/params/tags", "required"),
        (
            json!({"op": "addTags", "filter": {}, "params": {"tags": ["a,b"]}}),
            "/params/tags/0",
            "invalid_tag",
        ),
        (
            json!({"op": "assignOwner", "filter": {}, "params": {"ownerId": nobody}}),
            "/params/ownerId",
            "unknown_user",
        ),
        (
            json!({"op": "moveStage", "filter": {}, "params": {"stageId": nobody}}),
            "/params/stageId",
            "unknown_stage",
        ),
        (
            json!({"op": "setStatus", "filter": {}, "params": {"status": "a-b"}}),
            "/params/status",
            "invalid_word",
        ),
        (
            json!({"op": "updateFields", "filter": {}, "params": {"email": "a@b.de"}}),
            "/params/email",
            "not_allowed",
        ),
        (
            json!({"op": "updateFields", "filter": {}, "params": {"status": null}}),
            "/params/status",
            "required",
        ),
        (
            json!({"op": "enrol", "filter": {}, "params": {"automationId": nobody}}),
            "/params/automationId",
            "unknown_automation",
        ),
    ] {
        tenant.post("/api/leads/bulk", body).await.expect_invalid(pointer, code);
    }
    assert_eq!(tenant.get("/api/jobs").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn whoever_sees_only_own_records_changes_only_those() {
    let tenant = Tenant::new().await;
    let own = bound_to_own(&tenant).await;
    let foreign = tenant.lead(json!({})).await;
    own.post("/api/leads", json!({"firstName": "Mine"})).await.expect(201);
    let job = bulk(&own, json!({"op": "addTags", "filter": {}, "params": {"tags": ["mine"]}})).await;
    assert_eq!((&job["total"], counts(&job)), (&json!(1), [0, 1, 0, 0]), "{job}");
    assert_eq!(tenant.get(&super::path(&foreign)).await.expect(200)["tags"], json!([]));
}

#[tokio::test]
async fn those_who_were_erased_meanwhile_hide_nobody_behind_them() {
    let tenant = Tenant::new().await;
    let leads = [tenant.lead(json!({})).await, tenant.lead(json!({})).await, tenant.lead(json!({})).await];
    let tags = json!({"op": "addTags", "filter": {}, "params": {"tags": ["found"]}});
    let job =
        under_way(&tenant, "bulk", &tags, &[(1, &leads[0]), (1_500, &leads[1]), (4_000, &leads[2])], 5_000);
    let job = done(&tenant, &job).await;
    assert_eq!((&job["status"], counts(&job)), (&json!("completed"), [0, 3, 4_997, 0]), "{job}");
    assert_eq!(total(&tenant, "tag=found").await, 3);
}

#[tokio::test]
async fn an_automation_begins_with_nobody_who_is_gone_and_not_once_it_is_paused() {
    let tenant = Tenant::new().await;
    let (gone, here) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    tenant.delete(&super::path(&gone)).await.expect_status(204);
    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["enrolled"]}]);
    let automation = json!({"name": "A", "trigger": {"type": "manual"}, "steps": steps});
    let automation = tenant.post("/api/automations", automation).await.expect(201)["id"].clone();
    let path = format!("/api/automations/{}", automation.as_str().unwrap());
    tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
    let enrol = json!({"op": "enrol", "filter": {}, "params": {"automationId": automation}});
    let job = done(&tenant, &under_way(&tenant, "bulk", &enrol, &[(1, &gone)], 1)).await;
    assert_eq!((&job["status"], counts(&job)), (&json!("completed"), [0, 0, 1, 0]), "{job}");
    tenant.post(&format!("{path}/pause"), json!({})).await.expect(200);
    let job = done(&tenant, &under_way(&tenant, "bulk", &enrol, &[(1, &here)], 1)).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("not_active")), "{job}");
    assert_eq!(tenant.get("/api/automations/runs").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn whoever_gets_many_leads_at_once_hears_of_it_once_and_each_lead_tells_it() {
    let tenant = Tenant::new().await;
    many(&tenant, 4).await;
    let (colleague, id) = tenant.bound("staff", "all").await;
    let job = bulk(&tenant, json!({"op": "assignOwner", "filter": {}, "params": {"ownerId": id}})).await;
    assert_eq!(counts(&job), [0, 4, 0, 0], "{job}");
    let notices = colleague.get("/api/notifications").await.expect(200)["items"].clone();
    let told: Vec<(&Value, usize)> = notices
        .as_array()
        .unwrap()
        .iter()
        .map(|notice| (&notice["kind"], notice["data"]["leadIds"].as_array().unwrap().len()))
        .collect();
    assert_eq!(told, [(&json!("lead.assigned"), 4)], "{notices}");
    let owner = &tenant.registration["user"]["id"];
    let file = format!("email,owner\nn0@example.com,{}\n", owner.as_str().unwrap());
    assert_eq!(counts(&import(&tenant, "", "text/csv", file).await), [0, 1, 0, 0]);
    let lead = tenant.get("/api/leads?search=n0@example.com").await.expect(200)["items"][0].clone();
    let history =
        tenant.get(&format!("{}/activities", super::path(&lead))).await.expect(200)["items"].clone();
    let told: Vec<(&Value, &Value, &Value)> = history
        .as_array()
        .unwrap()
        .iter()
        .filter(|activity| activity["kind"] == "assignment")
        .map(|one| (&one["data"]["previousOwnerId"], &one["data"]["ownerId"], &one["actorId"]))
        .collect();
    assert_eq!(told, [(&id, owner, owner), (&Value::Null, &id, owner)], "{history}");
}

#[tokio::test]
async fn a_search_leaves_nobody_out_however_many_it_finds() {
    let tenant = Tenant::new().await;
    many(&tenant, 10_100).await;
    let lose = json!({"op": "setStatus", "filter": {"search": "example", "status": "new"}, "params": {"status": "lost"}});
    let job = bulk(&tenant, lose).await;
    assert_eq!((&job["total"], counts(&job)), (&json!(5_050), [0, 5_050, 0, 0]), "{job}");
    let whole = tenant.request(reqwest::Method::POST, "/api/leads/export?search=example");
    let job = done(&tenant, &tenant.send(whole).await.expect(202)).await;
    assert_eq!((&job["status"], &job["result"]["rows"]), (&json!("completed"), &json!(10_100)), "{job}");
    // A chunk ends where the search has come to, though other filters left nobody in it.
    let newest = tenant.get("/api/leads?sort=-createdAt&limit=1").await.expect(200)["items"][0].clone();
    tenant.post(&format!("{}/tags", super::path(&newest)), json!({"tags": ["end"]})).await.expect(200);
    let path = "/api/leads/export?format=ndjson&search=example&tag=end&limit=10";
    let first = tenant.get(path).await;
    assert_eq!(first.text, "");
    let rest = tenant.get(&format!("{path}&cursor={}", first.header("x-next-cursor"))).await;
    assert!(rest.text.contains(newest["id"].as_str().unwrap()), "{}", rest.text);
    assert_eq!(rest.header("x-next-cursor"), "");
}
