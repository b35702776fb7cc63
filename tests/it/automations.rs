//! Automations: from draft to run, over HTTP against the whole stack.

mod schedule;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Tenant, eventually, stack, tenant::unique_email};

fn manual(steps: Value) -> Value {
    json!({"name": "Test", "trigger": {"type": "manual"}, "steps": steps, "reentry": {"mode": "always"}})
}

/// Writes and publishes an automation.
async fn publish(tenant: &Tenant, definition: Value) -> String {
    let draft = tenant.post("/api/automations", definition).await.expect(201);
    let id = draft["id"].as_str().unwrap().to_owned();
    let published = tenant.post(&format!("/api/automations/{id}/publish"), json!({})).await.expect(200);
    assert_eq!((&published["status"], &published["version"]), (&json!("active"), &json!(1)));
    id
}

/// Starts a run for a lead.
async fn start(tenant: &Tenant, automation: &str, lead: &Value) -> String {
    let body = json!({"leadIds": [lead["id"]]});
    let started = tenant.post(&format!("/api/automations/{automation}/execute"), body).await.expect(202);
    started["runIds"][0].as_str().expect("a run is started").to_owned()
}

/// The run once it has one of the statuses.
async fn run_in(tenant: &Tenant, id: &str, statuses: &[&str]) -> Value {
    eventually(&format!("run {id} in {statuses:?}"), async || {
        let run = tenant.get(&format!("/api/automations/runs/{id}")).await.expect(200);
        statuses.contains(&run["status"].as_str().unwrap()).then_some(run)
    })
    .await
}

/// The only run of an automation, once there is one.
async fn only_run(tenant: &Tenant, automation: &str) -> String {
    eventually("a run", async || {
        let page = tenant.get(&format!("/api/automations/{automation}/runs")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() < 2, "more than one run: {page}");
        items.first().map(|run| run["id"].as_str().unwrap().to_owned())
    })
    .await
}

fn steps_of(run: &Value) -> Vec<(&str, &str)> {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["id"].as_str().unwrap(), step["status"].as_str().unwrap())).collect()
}

/// A target that answers with the given statuses in turn, the last one for ever. Counts the requests and keeps the keys.
async fn target(statuses: &'static [u16]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let place = seen.fetch_add(1, Ordering::SeqCst);
            let status = statuses.get(place).or(statuses.last()).unwrap();
            let mut request = vec![0; 65_536];
            let _ = socket.read(&mut request).await;
            assert!(String::from_utf8_lossy(&request).to_lowercase().contains("idempotency-key: run:"));
            let body = format!(r#"{{"call":{}}}"#, place + 1);
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_definition_lives_from_draft_to_archive_and_its_versions_never_change() {
    let tenant = Tenant::new().await;
    let broken = manual(json!([
        {"id": "a", "type": "addTags", "tags": ["x"], "next": "nowhere"},
        {"id": "b", "type": "wait", "for": "soon"}
    ]));
    let answer = tenant.post("/api/automations", broken).await;
    answer.expect_invalid("/steps/0/next", "unknown_step");
    answer.expect_invalid("/steps/1/for", "invalid_duration");
    assert_eq!(answer.expect(422)["stepIds"], json!(["b", "a"]));

    let answer =
        tenant.post("/api/automations", manual(json!([{"id": "a", "type": "addTags", "tags": ["x"]}]))).await;
    let draft = answer.expect(201);
    assert_eq!((&draft["status"], &draft["version"]), (&json!("draft"), &Value::Null));
    let path = format!("/api/automations/{}", draft["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), path);
    tenant.post(&format!("{path}/execute"), json!({})).await.expect_problem(409, "not_active");
    assert_eq!(
        tenant.post(&format!("{path}/validate"), json!({})).await.expect(200),
        json!({"valid": true, "errors": []})
    );

    let first = tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
    let again = tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
    assert_eq!((&first["version"], &again["version"]), (&json!(1), &json!(1)));
    let edited = json!({"steps": [{"id": "a", "type": "addTags", "tags": ["y"]}]});
    tenant.patch(&path, edited).await.expect(200);
    assert_eq!(tenant.post(&format!("{path}/publish"), json!({})).await.expect(200)["version"], 2);
    let versions = tenant.get(&format!("{path}/versions")).await.expect(200);
    let tags: Vec<&Value> =
        versions["items"].as_array().unwrap().iter().map(|v| &v["graph"]["steps"][0]["tags"][0]).collect();
    assert_eq!(tags, ["y", "x"]);

    assert_eq!(tenant.post(&format!("{path}/pause"), json!({})).await.expect(200)["status"], "paused");
    tenant.post(&format!("{path}/pause"), json!({})).await.expect_problem(409, "not_active");
    assert_eq!(tenant.post(&format!("{path}/resume"), json!({})).await.expect(200)["status"], "active");
    tenant.delete(&path).await.expect(204);
    assert_eq!(tenant.get(&path).await.expect(200)["status"], "archived");
    assert_eq!(tenant.get("/api/automations").await.expect(200)["items"], json!([]));

    let other = Tenant::new().await;
    other.get(&path).await.expect_problem(404, "not_found");
    tenant
        .colleague("staff")
        .await
        .post("/api/automations", manual(json!([])))
        .await
        .expect_problem(403, "role_required");
    let catalog = tenant.get("/api/automations/catalog").await.expect(200);
    assert!(
        catalog["actions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["configSchema"]["properties"]["for"].is_object())
    );
}

#[tokio::test]
async fn a_new_lead_is_welcomed_tagged_and_told_of() {
    let tenant = Tenant::new().await;
    let automation = publish(
        &tenant,
        json!({"name": "Welcome", "trigger": {"type": "lead.created", "filter": {"field": "source", "op": "eq", "value": "form"}}, "steps": [
            {"id": "hello", "type": "sendMessage", "channel": "email", "subject": "Welcome", "body": "Hi {{ lead.firstName }}"},
            {"id": "tag", "type": "addTags", "tags": ["welcomed"]},
            {"id": "pause", "type": "wait", "for": "PT1S"},
            {"id": "tell", "type": "notify", "role": "owner", "body": "{{ lead.firstName }} was welcomed"}
        ]}),
    )
    .await;
    tenant.lead(json!({"source": "import"})).await;
    let lead = tenant.lead(json!({"source": "form"})).await;
    let run = only_run(&tenant, &automation).await;
    let run = run_in(&tenant, &run, &["completed", "failed", "attention"]).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(
        steps_of(&run),
        [("hello", "completed"), ("tag", "completed"), ("pause", "completed"), ("tell", "completed")]
    );
    assert!(run["steps"][2]["startedAt"].as_str() < run["steps"][2]["endedAt"].as_str());
    let path = format!("/api/leads/{}", lead["id"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.expect(200)["tags"], json!(["welcomed"]));
    let messages =
        tenant.get(&format!("/api/messages?leadId={}", lead["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(
        (messages["items"].as_array().unwrap().len(), &messages["items"][0]["body"]),
        (1, &json!("Hi Lena"))
    );
    let told = tenant.get("/api/notifications").await.expect(200);
    assert_eq!(told["items"][0]["body"], "Lena was welcomed");
}

#[tokio::test]
async fn one_fact_told_twenty_times_at_once_starts_one_run() {
    let tenant = Tenant::new().await;
    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["once"]}]);
    let automation = publish(&tenant, json!({"name": "Once", "trigger": {"type": "lead.created"}, "steps": steps, "reentry": {"mode": "always"}})).await;
    let email = unique_email("twenty");
    let tries = (0..20).map(|_| tenant.post("/api/leads", json!({"email": email})));
    let made = futures::future::join_all(tries).await.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    let run = only_run(&tenant, &automation).await;
    run_in(&tenant, &run, &["completed"]).await;
    only_run(&tenant, &automation).await;
}

#[tokio::test]
async fn a_request_is_repeated_with_one_key_until_it_is_answered() {
    let tenant = Tenant::new().await;
    let (url, count) = target(&[503, 503, 200]).await;
    let steps = json!([
        {"id": "call", "type": "webhook", "url": url, "saveAs": "crm"},
        {"id": "ask", "type": "branch", "conditions": {"field": "vars.crm.call", "op": "eq", "value": 3}, "then": "good", "else": "bad"},
        {"id": "bad", "type": "exit", "reason": "bad"},
        {"id": "good", "type": "exit", "reason": "good"}
    ]);
    let automation = publish(&tenant, manual(steps)).await;
    let run = start(&tenant, &automation, &tenant.lead(json!({})).await).await;
    let run = run_in(&tenant, &run, &["completed", "failed", "attention"]).await;
    assert_eq!((&run["exitReason"], count.load(Ordering::SeqCst)), (&json!("good"), 3), "{run}");
    assert_eq!((&run["steps"][0]["attempt"], &run["steps"][0]["output"]["status"]), (&json!(3), &json!(200)));
}

#[tokio::test]
async fn a_refused_request_takes_the_way_for_errors_or_fails_the_run_which_can_be_tried_again() {
    let tenant = Tenant::new().await;
    let (url, _) = target(&[400]).await;
    let aside = json!([
        {"id": "call", "type": "webhook", "url": url, "onError": "sorry"},
        {"id": "end", "type": "exit", "reason": "answered"},
        {"id": "sorry", "type": "exit", "reason": "refused"}
    ]);
    let lead = tenant.lead(json!({})).await;
    let automation = publish(&tenant, manual(aside)).await;
    let run = start(&tenant, &automation, &lead).await;
    assert_eq!(run_in(&tenant, &run, &["completed", "failed"]).await["exitReason"], "refused");

    let (url, count) = target(&[404, 200]).await;
    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["before"]}, {"id": "call", "type": "webhook", "url": url}]);
    let automation = publish(&tenant, manual(steps)).await;
    let id = start(&tenant, &automation, &lead).await;
    let run = run_in(&tenant, &id, &["completed", "failed"]).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"], &run["error"]["step"]),
        (&json!("failed"), &json!("http_status"), &json!("call"))
    );
    tenant
        .post(&format!("/api/automations/runs/{id}/retry"), json!({"from": "failedStep"}))
        .await
        .expect(200);
    let run = run_in(&tenant, &id, &["completed"]).await;
    assert_eq!((count.load(Ordering::SeqCst), &run["error"]), (2, &Value::Null));
    assert_eq!(steps_of(&run), [("tag", "completed"), ("call", "failed"), ("call", "completed")]);
    tenant
        .post(&format!("/api/automations/runs/{id}/retry"), json!({}))
        .await
        .expect_problem(409, "run_not_stopped");
}

#[tokio::test]
async fn a_waiting_run_is_cancelled_at_once_and_a_paused_one_is_held_until_it_is_resumed() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let long = publish(&tenant, manual(json!([{"id": "pause", "type": "wait", "for": "P1D"}]))).await;
    let id = start(&tenant, &long, &lead).await;
    run_in(&tenant, &id, &["waiting"]).await;
    let run = tenant.post(&format!("/api/automations/runs/{id}/cancel"), json!({})).await.expect(200);
    assert_eq!((&run["status"], &run["steps"][0]["status"]), (&json!("cancelled"), &json!("skipped")));

    let steps = json!([{"id": "pause", "type": "wait", "for": "PT1S"}, {"id": "tag", "type": "addTags", "tags": ["late"]}]);
    let short = publish(&tenant, manual(steps)).await;
    let id = start(&tenant, &short, &lead).await;
    run_in(&tenant, &id, &["waiting"]).await;
    tenant.post(&format!("/api/automations/{short}/pause"), json!({})).await.expect(200);
    let held = eventually("the run is held", async || {
        let run = tenant.get(&format!("/api/automations/runs/{id}")).await.expect(200);
        (run["status"] == "queued" && run["wakeAt"].is_null()).then_some(run)
    })
    .await;
    assert_eq!(held["currentStep"], "pause");
    tenant.post(&format!("/api/automations/{short}/resume"), json!({})).await.expect(200);
    let run = run_in(&tenant, &id, &["completed", "failed"]).await;
    assert_eq!(steps_of(&run), [("pause", "completed"), ("tag", "completed")]);
}

#[tokio::test]
async fn an_event_wakes_the_run_that_waits_for_it() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let steps = json!([
        {"id": "wait", "type": "wait", "forEvent": "lead.tagAdded", "timeout": "P1D", "onTimeout": "late"},
        {"id": "good", "type": "exit", "reason": "tagged"},
        {"id": "late", "type": "exit", "reason": "late"}
    ]);
    let waiting = publish(&tenant, manual(steps)).await;
    let id = start(&tenant, &waiting, &lead).await;
    run_in(&tenant, &id, &["waiting"]).await;
    let tagging = publish(&tenant, manual(json!([{"id": "tag", "type": "addTags", "tags": ["now"]}]))).await;
    start(&tenant, &tagging, &lead).await;
    assert_eq!(run_in(&tenant, &id, &["completed"]).await["exitReason"], "tagged");
}

#[tokio::test]
async fn who_was_in_once_comes_in_again_only_as_the_rule_says() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let mut once = manual(json!([{"id": "tag", "type": "addTags", "tags": ["once"]}]));
    once["reentry"] = json!({"mode": "never"});
    let automation = publish(&tenant, once).await;
    start(&tenant, &automation, &lead).await;
    let path = format!("/api/automations/{automation}/execute");
    let again = tenant.post(&path, json!({"leadIds": [lead["id"], automation]})).await.expect(202);
    assert_eq!(again["runIds"], json!([]));
    let mut skipped: Vec<(&str, &str)> = again["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skipped| (skipped["reason"].as_str().unwrap(), skipped["leadId"].as_str().unwrap()))
        .collect();
    skipped.sort_unstable();
    assert_eq!(skipped, [("not_found", automation.as_str()), ("reentry", lead["id"].as_str().unwrap())]);
    let rehearsal = tenant.post(&path, json!({"leadIds": [lead["id"]], "dryRun": true})).await.expect(202);
    assert_eq!((&rehearsal["preview"][0]["status"], &rehearsal["runIds"]), (&json!("completed"), &json!([])));
}

#[tokio::test]
async fn automations_that_trigger_each_other_end_visibly() {
    let tenant = Tenant::new().await;
    let rule = |on: &str, off: &str| {
        json!({"name": on, "reentry": {"mode": "always"},
               "trigger": {"type": "lead.tagAdded", "filter": {"field": "event.tag", "op": "eq", "value": on}},
               "steps": [{"id": "off", "type": "removeTags", "tags": [on]}, {"id": "on", "type": "addTags", "tags": [off]}]})
    };
    publish(&tenant, rule("ping", "pong")).await;
    publish(&tenant, rule("pong", "ping")).await;
    let first = publish(&tenant, manual(json!([{"id": "tag", "type": "addTags", "tags": ["ping"]}]))).await;
    start(&tenant, &first, &tenant.lead(json!({})).await).await;
    eventually("the loop guard", async || {
        let page = tenant.get("/api/automations/runs?status=attention").await.expect(200);
        page["items"].as_array().unwrap().iter().find(|run| run["error"]["code"] == "loop_guard").cloned()
    })
    .await;
    let all = tenant.get("/api/automations/runs?limit=100").await.expect(200);
    assert!(all["items"].as_array().unwrap().len() <= 10, "{all}");
}

#[tokio::test]
async fn a_run_whose_writes_are_refused_fails_alone() {
    let tenant = Tenant::new().await;
    let (pipeline, stage) = (shared::ids::new_id(), shared::ids::new_id());
    let scoped = |sql: String| format!("begin; set local app.tenant_id = '{}'; {sql}; commit;", tenant.id);
    let id = &tenant.id;
    stack().execute("wellspring", &scoped(format!(
        "insert into pipelines (tenant_id, id, name, position) values ('{id}', '{pipeline}', 'Extra', 90);
         insert into pipeline_stages (tenant_id, id, pipeline_id, name, position) values ('{id}', '{stage}', '{pipeline}', 'Gone', 1)"
    )));
    let bad = publish(&tenant, manual(json!([
        {"id": "tag", "type": "addTags", "tags": ["half"]}, {"id": "move", "type": "moveStage", "stageId": stage}
    ]))).await;
    let good = publish(&tenant, manual(json!([{"id": "tag", "type": "addTags", "tags": ["fine"]}]))).await;
    stack().execute("wellspring", &scoped(format!("delete from pipeline_stages where id = '{stage}'")));
    let (unlucky, lucky) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    let (failing, passing) = tokio::join!(start(&tenant, &bad, &unlucky), start(&tenant, &good, &lucky));
    let failed = run_in(&tenant, &failing, &["completed", "failed"]).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("unknown_stage")));
    assert_eq!(run_in(&tenant, &passing, &["completed", "failed"]).await["status"], "completed");
    let path = format!("/api/leads/{}", unlucky["id"].as_str().unwrap());
    assert_eq!(tenant.get(&path).await.expect(200)["tags"], json!([]));
}

#[tokio::test]
async fn whoever_sees_some_leads_makes_nothing_that_acts_on_all_and_handles_their_runs() {
    let tenant = Tenant::new().await;
    let (manager, id) = tenant.bound("manager", "own").await;
    let hold = json!([{"id": "rest", "type": "wait", "for": "P300D"}]);
    let automation = publish(&tenant, manual(hold.clone())).await;
    let path = format!("/api/automations/{automation}");
    // A webhook step would post whole leads elsewhere, whoever they belong to.
    let webhook = json!([{"id": "tell", "type": "webhook", "url": "https://example.com/"}]);
    let scoring = json!({"rules": []});
    for refused in [
        manager.post("/api/automations", manual(webhook)).await,
        manager.patch(&path, json!({"name": "Mine"})).await,
        manager.post(&format!("{path}/publish"), json!({})).await,
        manager.post(&format!("{path}/pause"), json!({})).await,
        manager.delete(&path).await,
        manager.post("/api/assignment-policies", json!({"name": "Me", "members": [{"userId": id}]})).await,
        manager.send(manager.request(reqwest::Method::PUT, "/api/scoring").json(&scoring)).await,
    ] {
        refused.expect_problem(403, "record_scope_required");
    }
    let mine = start(&tenant, &automation, &tenant.lead(json!({"ownerId": id})).await).await;
    let other = start(&tenant, &automation, &tenant.lead(json!({})).await).await;
    let cancel = |run: &str| format!("/api/automations/runs/{run}/cancel");
    manager.post(&cancel(&mine), json!({})).await.expect(200);
    manager.post(&cancel(&other), json!({})).await.expect_problem(404, "not_found");
}
