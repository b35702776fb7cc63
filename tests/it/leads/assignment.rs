//! Whose lead is it: by turn, by share, by room, by the clock; and never lost.

use std::collections::BTreeMap;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::support::{
    Client, Tenant, eventually,
    tenant::{PASSWORD, unique_email},
};

/// Colleagues who can take leads.
async fn colleagues(tenant: &Tenant, number: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for place in 0..number {
        let user = json!({"name": format!("Colleague {place}"), "email": unique_email("turn"), "role": "staff", "password": PASSWORD});
        ids.push(tenant.post("/api/users", user).await.expect(201)["id"].clone());
    }
    ids
}

async fn policy(tenant: &Tenant, fields: Value) -> Value {
    let mut body = json!({"name": "Turns", "forNewLeads": true});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    tenant.post("/api/assignment-policies", body).await.expect(201)
}

fn members(ids: &[Value], weights: &[u32]) -> Value {
    ids.iter().zip(weights).map(|(id, weight)| json!({"userId": id, "weight": weight})).collect()
}

/// How many leads each colleague got, in their order; the last number is of those that nobody owns.
fn shares(leads: &[Value], ids: &[Value]) -> Vec<usize> {
    let mut by_owner: BTreeMap<String, usize> = BTreeMap::new();
    for lead in leads {
        *by_owner.entry(lead["ownerId"].to_string()).or_default() += 1;
    }
    ids.iter()
        .chain([&Value::Null])
        .map(|id| by_owner.get(&id.to_string()).copied().unwrap_or_default())
        .collect()
}

/// Makes so many leads, all at once.
async fn rush(tenant: &Tenant, number: usize) -> Vec<Value> {
    let one = |_| async { tenant.lead(json!({})).await };
    join_all((0..number).map(one)).await
}

async fn disable(tenant: &Tenant, user: &Value) {
    let path = format!("/api/users/{}", user.as_str().unwrap());
    tenant.patch(&path, json!({"status": "disabled"})).await.expect(200);
}

async fn set_hours(tenant: &Tenant, user: &Value, body: Value) {
    let path = format!("/api/users/{}/availability", user.as_str().unwrap());
    tenant.send(tenant.request(Method::PUT, &path).json(&body)).await.expect(200);
}

#[tokio::test]
async fn ninety_leads_at_once_are_thirty_for_each_of_three() {
    let tenant = Tenant::new().await;
    let ids = colleagues(&tenant, 3).await;
    policy(&tenant, json!({"members": members(&ids, &[1, 1, 1])})).await;
    let leads = rush(&tenant, 90).await;
    assert_eq!(shares(&leads, &ids), [30, 30, 30, 0]);
    // What was answered is what is so.
    let stored = tenant.get(&path(&leads[0])).await;
    assert_eq!(stored.expect(200)["ownerId"], leads[0]["ownerId"]);
    let created = tenant.post("/api/leads", json!({"firstName": "Ada"})).await;
    created.expect(201);
    let lead = tenant.get(created.header("location")).await;
    assert_eq!(lead.header("etag"), created.header("etag"));
    // A lead that comes with its owner takes no turn.
    let mine = tenant.registration["user"]["id"].clone();
    assert_eq!(tenant.lead(json!({"ownerId": mine})).await["ownerId"], mine);
}

#[tokio::test]
async fn shares_are_exact_over_a_cycle_whichever_way_leads_come() {
    let tenant = Tenant::new().await;
    let ids = colleagues(&tenant, 3).await;
    let made = policy(&tenant, json!({"strategy": "weighted", "members": members(&ids, &[2, 1, 1])})).await;
    let items: Vec<Value> = (0..24).map(|_| json!({"email": unique_email("batch")})).collect();
    tenant.post("/api/leads/batch", json!({"items": items})).await.expect(207);
    for _ in 0..8 {
        let upsert = json!({"email": unique_email("upsert")});
        tenant.post("/api/leads/upsert", upsert).await.expect(201);
    }
    let source = tenant
        .post("/api/webhooks/sources", json!({"provider": "forms", "name": "Contact"}))
        .await
        .expect(201);
    let form = format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap());
    for _ in 0..8 {
        Client::anonymous().post(&form, json!({"email": unique_email("form")})).await.expect(202);
    }
    let all =
        async || tenant.get("/api/leads?limit=100").await.expect(200)["items"].as_array().unwrap().clone();
    let leads = eventually("the forms", async || Some(all().await).filter(|leads| leads.len() == 40)).await;
    assert_eq!(shares(&leads, &ids), [20, 10, 10, 0]);

    // As `/assign` does it: a line in the history, an event, and word to the colleague.
    let lead = leads.iter().find(|lead| lead["source"] == "form").or(leads.first()).unwrap();
    let activities = tenant.get(&format!("{}/activities?kind=assignment", path(lead))).await.expect(200);
    assert_eq!(activities["items"][0]["data"]["ownerId"], lead["ownerId"]);
    assert_eq!(activities["items"][0]["data"]["policyId"], made["id"]);
    let events =
        tenant.get(&format!("/api/events?type=lead.updated&leadId={}", lead["id"].as_str().unwrap())).await;
    if events.status.is_success() {
        let event = events.expect(200)["items"][0].clone();
        assert_eq!(
            (&event["data"]["ownerId"], &event["previous"]),
            (&lead["ownerId"], &json!({"ownerId": null}))
        );
    }
}

#[tokio::test]
async fn who_is_off_duty_away_or_full_is_left_out_and_the_lead_stays() {
    let tenant = Tenant::new().await;
    let ids = colleagues(&tenant, 4).await;
    let far = json!({"workingHours": [{"day": other_day(), "from": "00:00", "to": "23:59"}]});
    set_hours(&tenant, &ids[0], far).await;
    set_hours(&tenant, &ids[1], json!({"awayUntil": "2199-01-01T00:00:00Z"})).await;
    let members: Vec<Value> = ids.iter().map(|id| json!({"userId": id, "capacity": 3})).collect();
    let made = policy(&tenant, json!({"members": members})).await;
    disable(&tenant, &ids[2]).await;
    let leads = rush(&tenant, 5).await;
    assert_eq!(shares(&leads, &ids), [0, 0, 0, 3, 2]);
    let left = leads.iter().find(|lead| lead["ownerId"].is_null()).unwrap();
    let activities = tenant.get(&format!("{}/activities?kind=assignment", path(left))).await.expect(200);
    let reasons: Vec<&Value> = activities["items"][0]["data"]["absent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["reason"])
        .collect();
    assert_eq!(reasons, ["offDuty", "away", "inactive", "full"]);
    let by_policy = json!({"policyId": made["id"]});
    let refused = tenant.post(&format!("{}/assign", path(left)), by_policy.clone()).await;
    assert_eq!(refused.expect_problem(409, "nobody_available")["absent"].as_array().unwrap().len(), 4);

    // A deal that is won makes room, and one who falls back takes what nobody can.
    let won = leads.iter().find(|lead| lead["ownerId"] == ids[3]).unwrap();
    tenant.patch(&path(won), json!({"status": "customer"})).await.expect(200);
    let assigned = tenant.post(&format!("{}/assign", path(left)), by_policy).await.expect(200);
    assert_eq!(assigned["ownerId"], ids[3]);
    let own = tenant.registration["user"]["id"].clone();
    let policy_path = format!("/api/assignment-policies/{}", made["id"].as_str().unwrap());
    tenant.patch(&policy_path, json!({"fallbackUserId": own})).await.expect(200);
    assert_eq!(tenant.lead(json!({})).await["ownerId"], own);
    // Nobody is left out by the clock when the policy says so.
    tenant.patch(&policy_path, json!({"workingHours": false})).await.expect(200);
    assert_eq!(tenant.lead(json!({})).await["ownerId"], ids[0]);
}

/// A day of the week that it is nowhere now.
fn other_day() -> &'static str {
    let day = (chrono::Utc::now() + chrono::Duration::days(3)).format("%a").to_string();
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .into_iter()
        .find(|word| day.to_lowercase() == *word)
        .unwrap()
}

#[tokio::test]
async fn the_first_policy_that_fits_decides_and_conditions_say_whom() {
    let tenant = Tenant::new().await;
    let ids = colleagues(&tenant, 2).await;
    let fair = json!({"field": "source", "op": "eq", "value": "fair"});
    policy(&tenant, json!({"members": [{"userId": ids[1]}], "position": 2, "conditions": {"not": [{"field": "source", "op": "eq", "value": "spam"}]}})).await;
    let first =
        policy(&tenant, json!({"members": [{"userId": ids[0]}], "position": 1, "conditions": fair})).await;
    assert_eq!(tenant.lead(json!({"source": "fair"})).await["ownerId"], ids[0]);
    assert_eq!(tenant.lead(json!({"source": "walkin"})).await["ownerId"], ids[1]);
    assert_eq!(tenant.lead(json!({"source": "spam"})).await["ownerId"], Value::Null);
    let listed = tenant.get("/api/assignment-policies?sort=position&forNewLeads=true").await.expect(200);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (2, &first["id"]));
    tenant.delete(&format!("/api/assignment-policies/{}", first["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(tenant.lead(json!({"source": "fair"})).await["ownerId"], ids[1]);
}

#[tokio::test]
async fn steps_and_callers_take_turns_among_the_same_colleagues() {
    let tenant = Tenant::new().await;
    let ids = colleagues(&tenant, 3).await;
    let automation = json!({
        "name": "Turns", "trigger": {"type": "manual"},
        "steps": [{"id": "turn", "type": "assignOwner", "roundRobin": ids}, {"id": "after", "type": "addTags", "tags": ["assigned"]}],
    });
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    let automation = format!("/api/automations/{}", automation["id"].as_str().unwrap());
    tenant.post(&format!("{automation}/publish"), json!({})).await.expect(200);
    let leads = rush(&tenant, 24).await;
    let execute = format!("{automation}/execute");
    let runs = leads.iter().map(|lead| tenant.post(&execute, json!({"leadIds": [lead["id"]]})));
    join_all(runs).await.iter().for_each(|started| assert_eq!(started.status.as_u16(), 202));
    let done = async || {
        let page = tenant.get("/api/leads?tag=assigned&limit=100").await.expect(200);
        Some(page["items"].as_array().unwrap().clone()).filter(|leads| leads.len() == 24)
    };
    let assigned = eventually("the turns", done).await;
    assert_eq!(shares(&assigned, &ids), [8, 8, 8, 0]);
    // A caller who names the same colleagues goes on where the runs stopped.
    let turns = json!({"roundRobin": {"userIds": [ids[2], ids[0], ids[1]]}});
    let fresh = rush(&tenant, 6).await;
    let mut by_hand = Vec::new();
    for lead in &fresh {
        by_hand.push(tenant.post(&format!("{}/assign", path(lead)), turns.clone()).await.expect(200));
    }
    assert_eq!(shares(&by_hand, &ids), [2, 2, 2, 0]);
    let notes = tenant.get(&format!("{}/activities?kind=assignment", path(&assigned[0]))).await.expect(200);
    assert_eq!(notes["items"][0]["data"]["ownerId"], assigned[0]["ownerId"]);
}

#[tokio::test]
async fn a_colleague_hears_of_a_lead_and_says_their_own_hours() {
    let tenant = Tenant::new().await;
    let email = unique_email("hears");
    let user = json!({"name": "Hanna", "email": email, "role": "staff", "password": PASSWORD});
    let id = tenant.post("/api/users", user).await.expect(201)["id"].clone();
    let session = Client::anonymous()
        .post("/api/auth/login", json!({"email": email, "password": PASSWORD}))
        .await
        .expect(200);
    let hanna = Client::anonymous().with_token(session["accessToken"].as_str().unwrap());
    let lead = tenant.lead(json!({})).await;
    let assign = format!("{}/assign", path(&lead));
    tenant.post(&assign, json!({"ownerId": id})).await.expect(200);
    let notices = hanna.get("/api/notifications").await.expect(200);
    assert_eq!(
        (&notices["items"][0]["kind"], &notices["items"][0]["leadId"]),
        (&json!("lead.assigned"), &lead["id"])
    );
    // To take one oneself is no news.
    hanna.post(&assign, json!({"ownerId": null})).await.expect(200);
    hanna.post(&assign, json!({"ownerId": id})).await.expect(200);
    assert_eq!(hanna.get("/api/notifications").await.expect(200)["items"].as_array().unwrap().len(), 1);

    let hours = json!({"workingHours": [{"day": "mon", "from": "09:00", "to": "17:00"}], "awayUntil": null});
    let own = format!("/api/users/{}/availability", id.as_str().unwrap());
    let put = |client: &Client, path: &str, body: &Value| client.request(Method::PUT, path).json(body);
    hanna.send(put(&hanna, &own, &hours)).await.expect(200);
    assert_eq!(tenant.get(&own).await.expect(200), hours);
    let others = format!("/api/users/{}/availability", tenant.registration["user"]["id"].as_str().unwrap());
    hanna.send(put(&hanna, &others, &hours)).await.expect_problem(403, "role_required");
    for (body, pointer, code) in [
        (
            json!({"workingHours": [{"day": "mon", "from": "09:00", "to": "09:00"}]}),
            "/workingHours/0/to",
            "out_of_range",
        ),
        (
            json!({"workingHours": [{"day": "someday", "from": "09:00", "to": "10:00"}]}),
            "/workingHours/0/day",
            "unknown_value",
        ),
    ] {
        hanna.send(put(&hanna, &own, &body)).await.expect_invalid(pointer, code);
    }
    for (body, pointer, code) in [
        (json!({"name": "None", "members": []}), "/members", "out_of_range"),
        (
            json!({"name": "Twice", "members": [{"userId": id}, {"userId": id}]}),
            "/members/1/userId",
            "duplicate",
        ),
        (
            json!({"name": "Who", "members": [{"userId": "0198a000-0000-7000-8000-00000000dead"}]}),
            "/members",
            "unknown_user",
        ),
        (
            json!({"name": "If", "members": [{"userId": id}], "conditions": {"field": "sauce", "op": "exists"}}),
            "/conditions/field",
            "unknown_field",
        ),
    ] {
        tenant.post("/api/assignment-policies", body).await.expect_invalid(pointer, code);
    }
    tenant.post(&assign, json!({"ownerId": id, "policyId": id})).await.expect_invalid("", "ambiguous");
    tenant.post(&assign, json!({"policyId": id})).await.expect_invalid("/policyId", "unknown_policy");
}
