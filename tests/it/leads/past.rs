//! Conditions over what people did: one answer in segments, lists, filters, branches and goals.

use private_postgres::DATABASE;
use serde_json::{Value, json};

use super::{history::ITEM, path, segments::told};
use crate::support::{Client, Tenant, eventually, stack, tenant::unique_email};

fn visits(op: &str, value: usize, within: &Value) -> Value {
    json!({"field": "activities.count", "where": {"kind": "visit"}, "within": within, "op": op, "value": value})
}

#[tokio::test]
async fn a_lead_leaves_a_segment_by_the_passing_of_time_and_is_told_once() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let activities = format!("{}/activities", path(&lead));
    tenant.post(&activities, json!({"kind": "visit"})).await.expect(201);
    // Four seconds and a bit.
    let segment = json!({"name": "Eager", "conditions": visits("gte", 2, &json!(0.00005))});
    let segment = tenant.post("/api/segments", segment).await.expect(201);
    assert_eq!(segment["memberCount"], 0);
    // Who comes and goes between two turns is not told, so the visits go on until a turn has come by.
    eventually("the entering", async || {
        tenant.post(&activities, json!({"kind": "visit"})).await.expect(201);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        told(&tenant, "segment.entered").await.pop()
    })
    .await;
    eventually("the leaving", async || told(&tenant, "segment.exited").await.pop()).await;
    // Further turns tell nothing more.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    for kind in ["segment.entered", "segment.exited"] {
        let told = told(&tenant, kind).await;
        assert_eq!((told.len(), &told[0]["leadId"]), (1, &lead["id"]), "{kind}: {told:?}");
    }
}

/// A website form of the tenant's.
async fn form(tenant: &Tenant) -> String {
    let source = tenant
        .post("/api/webhooks/sources", json!({"provider": "forms", "name": "Contact"}))
        .await
        .expect(201);
    format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap())
}

#[tokio::test]
async fn filters_branches_and_goals_ask_the_same_past() {
    let tenant = Tenant::new().await;
    let form = form(&tenant).await;
    let email = unique_email("fan");
    let forms = |op: &str, value: usize| json!({"field": "events.count", "where": {"type": "form.submitted", "fields.topic": "trial"}, "within": 30, "op": op, "value": value});
    let automation = json!({
        "name": "Second form", "trigger": {"type": "form.submitted", "filter": forms("gte", 2)}, "goal": visits("gte", 1, &json!(7)),
        "steps": [
            {"id": "ask", "type": "branch", "conditions": {"all": [forms("eq", 2), {"not": [visits("gte", 1, &json!(7))]}]}, "then": "yes", "else": "no"},
            {"id": "yes", "type": "addTags", "tags": ["twice"], "next": "rest"},
            {"id": "no", "type": "addTags", "tags": ["other"]},
            {"id": "rest", "type": "wait", "forEvent": "lead.updated", "timeout": "P30D"}
        ],
    });
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    let automation = format!("/api/automations/{}", automation["id"].as_str().unwrap());
    tenant.post(&format!("{automation}/publish"), json!({})).await.expect(200);
    let runs = async || {
        tenant.get(&format!("{automation}/runs")).await.expect(200)["items"].as_array().unwrap().clone()
    };
    let submit = async |number: usize| {
        let answers = json!({"email": email, "topic": "trial", "message": format!("{number}")});
        Client::anonymous().post(&form, answers).await.expect(202);
        eventually("the form", async || {
            (told(&tenant, "form.submitted").await.len() == number).then_some(())
        })
        .await;
    };
    submit(1).await;
    assert_eq!(runs().await, Vec::<Value>::new());
    submit(2).await;
    let lead = eventually("the tag", async || {
        let found = tenant.get("/api/leads?tag=twice").await.expect(200);
        found["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let segment = tenant
        .post("/api/segments", json!({"name": "Twice", "conditions": forms("eq", 2)}))
        .await
        .expect(201);
    let listed =
        tenant.get(&format!("/api/leads?segmentId={}", segment["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &lead["id"]));
    let dry = tenant
        .post(&format!("{automation}/execute"), json!({"leadIds": [lead["id"]], "dryRun": true}))
        .await
        .expect(202);
    assert_eq!(dry["preview"][0]["steps"][0]["output"], json!({"result": true}));
    // The visit is the goal; the change wakes the run, which then sees it.
    tenant.post(&format!("{}/activities", path(&lead)), json!({"kind": "visit"})).await.expect(201);
    tenant.patch(&path(&lead), json!({"lastName": "Woken"})).await.expect(200);
    let run =
        eventually("the goal", async || runs().await.pop().filter(|run| run["status"] == "completed")).await;
    let run = tenant.get(&format!("/api/automations/runs/{}", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(run["exitReason"], "goal", "{run}");
}

#[tokio::test]
async fn what_the_past_cannot_be_asked_is_refused_everywhere() {
    let tenant = Tenant::new().await;
    for (tree, pointer, code) in [
        (json!({"field": "events.count", "op": "gte", "value": 1}), "/where/type", "required"),
        (
            json!({"field": "events.count", "where": {"type": "form.sent"}, "op": "gte", "value": 1}),
            "/where/type",
            "unknown_value",
        ),
        (json!({"all": [visits("gte", 1, &json!(-1))]}), "/all/0/within", "out_of_range"),
        (
            json!({"any": [{"field": "messages.count", "wher": {}, "op": "gte", "value": 1}]}),
            "/any/0/wher",
            "unknown_field",
        ),
        (
            json!({"field": "metrics.last", "where": {"type": "aura"}, "op": "gte", "value": 1}),
            "/where/type",
            "unknown_type",
        ),
        (
            json!({"field": "metrics.last", "where": {"type": "weight", "unit": "furlong"}, "op": "gte", "value": 1}),
            "/where/unit",
            "unknown_unit",
        ),
        (
            json!({"field": "purchases.count", "where": {"itemId": ITEM}, "op": "gte", "value": 1}),
            "/where/itemId",
            "unknown_item",
        ),
    ] {
        let preview = tenant.post("/api/segments/preview", json!({"conditions": tree})).await;
        preview.expect_invalid(&format!("/conditions{pointer}"), code);
        let steps = json!([{"id": "ask", "type": "branch", "conditions": tree, "then": "end"}, {"id": "end", "type": "exit"}]);
        let automation = json!({"name": "Bad", "trigger": {"type": "manual"}, "steps": steps});
        let answer = tenant.post("/api/automations", automation).await;
        let refused = if answer.status.as_u16() == 201 {
            let id = answer.expect(201)["id"].as_str().unwrap().to_owned();
            tenant.post(&format!("/api/automations/{id}/publish"), json!({})).await
        } else {
            answer
        };
        assert_eq!(refused.status.as_u16(), 422, "{tree}: {}", refused.text);
        assert!(refused.text.contains("ask"), "{}", refused.text);
    }
    let health = json!({"conditions": {"field": "metrics.count", "where": {"type": "weight"}, "op": "gte", "value": 1}});
    tenant
        .colleague("viewer")
        .await
        .post("/api/segments/preview", health.clone())
        .await
        .expect_problem(403, "role_required");
    tenant.colleague("staff").await.post("/api/segments/preview", health).await.expect(200);
}

#[tokio::test]
async fn measurements_of_two_devices_are_not_added_up_and_units_are_converted() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let (early, noon) = ("2026-11-20T07:00:00Z", "2026-11-20T12:00:00Z");
    let steps = |value: u32, source: &str, at: &str| json!({"leadId": lead["id"], "type": "steps", "value": value, "unit": "count", "startAt": at, "source": source});
    let items = json!({"items": [steps(4_000, "watch", early), steps(3_000, "watch", noon), steps(6_500, "phone", early),
        {"leadId": lead["id"], "type": "weight", "value": 81.0, "unit": "kg", "startAt": early, "source": "scale"}]});
    tenant.post("/api/wellness/metrics/batch", items).await.expect(207);
    let holds = async |asked: Value| {
        tenant.post("/api/segments/preview", json!({"conditions": asked})).await.expect(200)["count"] == 1
    };
    let sum = |narrowed: Value, value: u32| json!({"field": "metrics.sum", "where": narrowed, "op": "eq", "value": value});
    assert!(holds(sum(json!({"type": "steps"}), 7_000)).await, "the watch measured more often");
    assert!(holds(sum(json!({"type": "steps", "source": "phone"}), 6_500)).await);
    stack().execute(DATABASE, &format!(
        "select set_config('app.tenant_id', '{0}', true);
         insert into metric_sources (tenant_id, id, type, priority) values ('{0}', gen_random_uuid(), 'steps', array['phone'])", tenant.id));
    assert!(holds(sum(json!({"type": "steps"}), 6_500)).await, "the business believes the phone");
    let heavy = |value: f64, unit: &str| json!({"field": "metrics.last", "where": {"type": "weight", "unit": unit}, "op": "gt", "value": value});
    assert!(holds(heavy(80.0, "kg")).await && !holds(heavy(82.0, "kg")).await);
    assert!(holds(heavy(178.0, "[lb_av]")).await && !holds(heavy(179.0, "[lb_av]")).await);
}

#[tokio::test]
async fn what_was_given_back_was_not_bought_and_an_answer_comes_after_the_question() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"phone": "+491712345678"})).await;
    let holds = async |asked: Value| {
        tenant.post("/api/segments/preview", json!({"conditions": asked})).await.expect(200)["count"] == 1
    };
    let bought = |op: &str, value: u32| json!({"field": "purchases.sum", "where": {"currency": "EUR"}, "op": op, "value": value});
    let invoice = json!({"leadId": lead["id"], "lines": [{"description": "Pack", "quantity": "1", "unitPrice": 5_000}]});
    let mut invoices = Vec::new();
    for _ in 0..2 {
        let draft = tenant.post("/api/finance/invoices", invoice.clone()).await.expect(201);
        let path = format!("/api/finance/invoices/{}", draft["id"].as_str().unwrap());
        tenant.post(&format!("{path}/finalize"), json!({})).await.expect(200);
        assert!(
            holds(bought("eq", 5_000 * u32::try_from(invoices.len()).unwrap())).await,
            "unpaid is not bought"
        );
        tenant
            .post(&format!("{path}/payments"), json!({"amount": 5_000, "tender": "cash"}))
            .await
            .expect(201);
        invoices.push(path);
    }
    assert!(holds(bought("eq", 10_000)).await);
    let note = json!({"amount": 2_000, "settle": "credit"});
    tenant.post(&format!("{}/credit-notes", invoices[0]), note).await.expect(201);
    assert!(holds(bought("eq", 8_000)).await);
    let note = json!({"amount": 5_000, "settle": "credit"});
    tenant.post(&format!("{}/credit-notes", invoices[1]), note).await.expect(201);
    assert!(holds(bought("eq", 3_000)).await);
    assert!(holds(json!({"field": "purchases.count", "op": "eq", "value": 1})).await);

    let replied = |value: u32| json!({"field": "messages.count", "where": {"direction": "outbound", "status": "replied"}, "op": "eq", "value": value});
    let message = json!({"leadId": lead["id"], "channel": "sms", "body": "Are you well?"});
    tenant.post("/api/messages/send", message).await.expect(202);
    eventually("the sending", async || {
        holds(json!({"field": "messages.count", "where": {"status": "sent"}, "op": "eq", "value": 1}))
            .await
            .then_some(())
    })
    .await;
    assert!(holds(replied(0)).await);
    stack().execute(DATABASE, &format!(
        "select set_config('app.tenant_id', '{0}', true);
         insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status)
         select tenant_id, gen_random_uuid(), conversation_id, lead_id, 'inbound', 'sms', 'received' from messages where tenant_id = '{0}'", tenant.id));
    assert!(holds(replied(1)).await);
}
