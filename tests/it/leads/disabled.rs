//! Colleagues who are disabled keep what they have and are given nothing new, whichever way.

use serde_json::{Value, json};

use super::{imports::import, path};
use crate::support::{
    Tenant,
    tenant::{PASSWORD, unique_email},
};

const NOBODY: &str = "0198a000-0000-7000-8000-00000000dead";

/// A colleague who is disabled, with a lead, a task, a conversation and a policy from before.
struct Gone {
    tenant: Tenant,
    id: Value,
    email: String,
    lead: Value,
    task: String,
    conversation: String,
    policy: String,
}

impl Gone {
    async fn new() -> Self {
        let tenant = Tenant::new().await;
        let email = unique_email("gone");
        let user = json!({"name": "Gone", "email": email, "role": "staff", "password": PASSWORD});
        let id = tenant.post("/api/users", user).await.expect(201)["id"].clone();
        let lead = tenant.lead(json!({"ownerId": id})).await;
        let task = json!({"kind": "task", "title": "Call", "assigneeId": id});
        let task = tenant.post(&format!("{}/activities", path(&lead)), task).await.expect(201);
        let message = json!({"leadId": lead["id"], "channel": "email", "subject": "Hello", "body": "Hello", "sendAt": "2199-01-01T00:00:00Z"});
        let message = tenant.post("/api/messages/send", message).await.expect(202);
        let conversation = format!("/api/conversations/{}", message["conversationId"].as_str().unwrap());
        tenant.patch(&conversation, json!({"assigneeId": id})).await.expect(200);
        let policy = json!({"name": "Turns", "members": [{"userId": id}], "fallbackUserId": id});
        let policy = tenant.post("/api/assignment-policies", policy).await.expect(201);
        let user = format!("/api/users/{}", id.as_str().unwrap());
        tenant.patch(&user, json!({"status": "disabled"})).await.expect(200);
        Self {
            task: format!("/api/activities/{}", task["id"].as_str().unwrap()),
            policy: format!("/api/assignment-policies/{}", policy["id"].as_str().unwrap()),
            tenant,
            id,
            email,
            lead,
            conversation,
        }
    }
}

#[tokio::test]
async fn a_disabled_colleague_is_not_named_anew() {
    let gone = Gone::new().await;
    let (tenant, id) = (&gone.tenant, &gone.id);
    let other = tenant.lead(json!({})).await;
    let owned = json!({"firstName": "Ada", "email": unique_email("new"), "ownerId": id});
    tenant.post("/api/leads", owned.clone()).await.expect_invalid("/ownerId", "disabled_user");
    tenant.post("/api/leads/upsert", owned.clone()).await.expect_invalid("/ownerId", "disabled_user");
    let known = json!({"email": other["email"], "ownerId": id});
    tenant.post("/api/leads/upsert", known).await.expect_invalid("/ownerId", "disabled_user");
    let batch =
        tenant.post("/api/leads/batch", json!({"items": [owned, {"firstName": "Bea"}]})).await.expect(207);
    assert_eq!(batch["results"][0]["error"]["errors"][0]["code"], "disabled_user", "{batch}");
    assert_eq!(batch["results"][1]["status"], 201, "{batch}");
    tenant.patch(&path(&other), json!({"ownerId": id})).await.expect_invalid("/ownerId", "disabled_user");
    let assign = format!("{}/assign", path(&other));
    tenant.post(&assign, json!({"ownerId": id})).await.expect_invalid("/ownerId", "disabled_user");
    let bulk = json!({"op": "assignOwner", "filter": {}, "params": {"ownerId": id}});
    tenant.post("/api/leads/bulk", bulk).await.expect_invalid("/params/ownerId", "disabled_user");
    assert!(tenant.get(&path(&other)).await.expect(200)["ownerId"].is_null());

    let task = json!({"kind": "task", "title": "Call", "assigneeId": id});
    let tasks = format!("{}/activities", path(&other));
    tenant.post(&tasks, task).await.expect_invalid("/assigneeId", "disabled_user");
    let task = tenant.post(&tasks, json!({"kind": "task", "title": "Call"})).await.expect(201);
    let task = format!("/api/activities/{}", task["id"].as_str().unwrap());
    tenant.patch(&task, json!({"assigneeId": id})).await.expect_invalid("/assigneeId", "disabled_user");

    let me = &tenant.registration["user"]["id"];
    let members = json!([{"userId": me}, {"userId": id}]);
    let policy = json!({"name": "More turns", "members": members});
    tenant
        .post("/api/assignment-policies", policy)
        .await
        .expect_invalid("/members/1/userId", "disabled_user");
    let policy = json!({"name": "More turns", "members": [{"userId": me}], "fallbackUserId": id});
    tenant.post("/api/assignment-policies", policy).await.expect_invalid("/fallbackUserId", "disabled_user");

    let steps = json!([{"id": "assign", "type": "assignOwner", "userId": id}]);
    let automation = json!({"name": "Assign", "trigger": {"type": "manual"}, "steps": steps});
    tenant.post("/api/automations", automation).await.expect_invalid("/steps/0/userId", "disabled_user");
}

#[tokio::test]
async fn what_a_disabled_colleague_has_may_be_said_again() {
    let gone = Gone::new().await;
    let (tenant, id) = (&gone.tenant, &gone.id);
    let again = json!({"ownerId": id, "firstName": "Again"});
    tenant.patch(&path(&gone.lead), again).await.expect(200);
    tenant.patch(&gone.task, json!({"assigneeId": id, "title": "Call again"})).await.expect(200);
    tenant.patch(&gone.conversation, json!({"assigneeId": id, "priority": "high"})).await.expect(200);
    let members = json!({"members": [{"userId": id, "weight": 2}], "fallbackUserId": id});
    tenant.patch(&gone.policy, members).await.expect(200);
    let email = gone.lead["email"].as_str().unwrap();
    let file = format!(
        "email,firstName,ownerId\n{email},Third,{0}\n{1},Anew,{0}\n",
        gone.email,
        unique_email("anew")
    );
    let job = import(tenant, "", "text/csv", file).await;
    let errors = tenant.get(&format!("/api/jobs/{}/errors", job["id"].as_str().unwrap())).await.expect(200);
    let told: Vec<(&Value, &Value)> =
        errors["items"].as_array().unwrap().iter().map(|error| (&error["line"], &error["code"])).collect();
    assert_eq!(told, [(&json!(3), &json!("disabled_user"))], "{errors}");
    let lead = tenant.get(&path(&gone.lead)).await.expect(200);
    assert_eq!((&lead["firstName"], &lead["ownerId"]), (&json!("Third"), id));
    // A list that is made on the spot passes over who is gone for now, and names who never was.
    let assign = format!("{}/assign", path(&gone.lead));
    let turns = json!({"roundRobin": {"userIds": [id, NOBODY]}});
    tenant.post(&assign, turns).await.expect_invalid("/roundRobin/userIds/1", "unknown_user");
    tenant
        .post(&assign, json!({"roundRobin": {"userIds": [id]}}))
        .await
        .expect_problem(409, "nobody_available");
}
