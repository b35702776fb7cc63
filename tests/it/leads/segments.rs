//! Segments: one language of conditions, asked in memory and in the database with one answer.

use std::collections::BTreeSet;

use chrono::Utc;
use serde_json::{Value, json};
use shared::conditions::{Condition, Facts, Past};

use super::path;
use crate::support::{Tenant, eventually, tenant::unique_email};

/// A small generator: the same questions in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(super) fn pick<'v>(&mut self, from: &'v [Value]) -> &'v Value {
        &from[self.roll(from.len())]
    }
}

/// Everything that might be read as something else.
fn values() -> Vec<Value> {
    let Value::Array(values) = json!([
        "5", "5.0", "-3.25", "000123", "+5", "1e3", "12345678901234567890", 5, 5.5, -3.25, 1e-12, 0, 123, true, false,
        null, "", "gold", "Gold", "GOLDEN", "Straße", "STRASSE", "äpfel", "ÄPFEL", "2026-02-28", "2026-02-30", "2024-02-29",
        "2023-02-29", "0000-01-01", "2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00z",
        "2026-03-01T00:00:00.1234567Z", "2026-03-01T00:00:00.123456Z", "2026-03-01T10:00:60Z", "2026-03-01 10:00:00Z",
        "1900-02-29", "2000-02-29T23:59:59-14:30", "2026-1-5", ["gold", 5, "2026-03-01"], [], {"a": "gold"}
    ]) else {
        unreachable!()
    };
    values
}

fn comparison(dice: &mut Dice, values: &[Value]) -> Value {
    const FIELDS: [&str; 16] = [
        "cf.a",
        "cf.a",
        "cf.b",
        "customFields.b",
        "cf.b.a",
        "lead.customFields.a",
        "status",
        "source",
        "tags",
        "firstName",
        "name",
        "email",
        "ownerId",
        "value",
        "createdAt",
        "firstTouch.utm.source",
    ];
    const OPERATORS: [&str; 15] = [
        "eq",
        "ne",
        "in",
        "contains",
        "includes",
        "startsWith",
        "exists",
        "gt",
        "gte",
        "lt",
        "lte",
        "between",
        "before",
        "after",
        "within",
    ];
    let field = FIELDS[dice.roll(FIELDS.len())];
    let op = OPERATORS[dice.roll(OPERATORS.len())];
    let texts = ["gold", "STRASSE", "straße", "ÄP", "5", "new", "2026", ""];
    let value = match op {
        "in" => (0..dice.roll(4)).map(|_| dice.pick(values).clone()).collect(),
        "between" => json!([dice.pick(values), dice.pick(values)]),
        "contains" | "startsWith" => texts[dice.roll(texts.len())].into(),
        "exists" => json!(dice.roll(2) == 0),
        "before" | "after" => {
            ["2026-03-01", "2026-03-01T00:00:00.123456Z", "2024-02-29"][dice.roll(3)].into()
        }
        // Far from where the clocks of the two sides could disagree.
        "within" => [json!(1.5), json!(40), json!(3650)][dice.roll(3)].clone(),
        _ => dice.pick(values).clone(),
    };
    // How an instant is written differs between the two sides; what it means does not.
    if field == "createdAt" && matches!(op, "contains" | "startsWith") {
        return json!({"field": "status", "op": op, "value": value});
    }
    json!({"field": field, "op": op, "value": value})
}

fn tree(dice: &mut Dice, values: &[Value], depth: usize) -> Value {
    let word = ["all", "any", "not"][dice.roll(3)];
    if depth == 0 || dice.roll(3) == 0 {
        return comparison(dice, values);
    }
    let parts: Vec<Value> = (0..dice.roll(4)).map(|_| tree(dice, values, depth - 1)).collect();
    json!({word: parts})
}

#[tokio::test]
async fn the_database_and_the_memory_answer_every_condition_alike() {
    const NAMES: [&str; 4] = ["Gold", "Äpfel", "Straße", "5"];
    const STATUSES: [&str; 2] = ["new", "lost"];
    let tenant = Tenant::new().await;
    let values = values();
    let mut dice = Dice(42);
    let mut leads = Vec::new();
    for number in 0..20 {
        let owner = (number % 3 == 0).then(|| tenant.registration["user"]["id"].clone());
        let mut custom = json!({"a": values[number * 2], "b": values[number * 2 + 1]});
        custom.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        leads.push(
            tenant
                .lead(json!({
                    "firstName": NAMES[number % 4], "status": STATUSES[number % 2],
                    "source": (number % 5 != 0).then(|| ["form", "5", "gold"][number % 3]), "ownerId": owner,
                    "tags": &["gold", "5", "vip"][..number % 4], "value": (number % 4 != 0).then_some(number),
                    "firstTouch": (number % 2 == 0).then(|| json!({"utm": {"source": "gold"}})), "customFields": custom,
                }))
                .await,
        );
    }
    let (mut some, mut none) = (0, 0);
    for _ in 0..400 {
        let asked = tree(&mut dice, &values, 3);
        let condition: Condition = serde_json::from_value(asked.clone()).unwrap();
        let answer = tenant.post("/api/segments/preview", json!({"conditions": asked})).await.expect(200);
        let in_database: BTreeSet<&str> =
            answer["sample"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap()).collect();
        let in_memory: BTreeSet<&str> = leads
            .iter()
            .filter(|lead| {
                let roots = json!({"lead": lead});
                condition.holds(&Facts { roots: &roots, now: Utc::now(), past: &Past::default() })
            })
            .map(|lead| lead["id"].as_str().unwrap())
            .collect();
        assert_eq!(in_database, in_memory, "{asked}");
        assert_eq!(answer["count"], in_memory.len(), "{asked}");
        if in_memory.is_empty() { none += 1 } else { some += 1 }
    }
    assert!(some > 100 && none > 50, "the questions are one-sided: {some} against {none}");
}

#[tokio::test]
async fn who_comes_and_who_goes_is_told_once() {
    let tenant = Tenant::new().await;
    let inside = tenant.lead(json!({"tags": ["vip"]})).await;
    let vip = json!({"field": "tags", "op": "includes", "value": "vip"});
    let segment = tenant.post("/api/segments", json!({"name": "VIP", "conditions": vip})).await.expect(201);
    assert_eq!((&segment["memberCount"], &segment["kind"]), (&json!(1), &json!("live")));
    let welcome = json!({
        "name": "Welcome", "trigger": {"type": "segment.entered",
            "filter": {"field": "event.segmentId", "op": "eq", "value": segment["id"]}},
        "steps": [{"id": "greet", "type": "addTags", "tags": ["greeted"]}],
    });
    let automation = tenant.post("/api/automations", welcome).await.expect(201);
    let publish = format!("/api/automations/{}/publish", automation["id"].as_str().unwrap());
    tenant.post(&publish, json!({})).await.expect(200);

    let lead = tenant.lead(json!({})).await;
    tenant.post(&format!("{}/tags", path(&lead)), json!({"tags": ["vip"]})).await.expect(200);
    eventually("the greeting", async || {
        let tags = tenant.get(&path(&lead)).await.expect(200)["tags"].clone();
        tags.as_array().unwrap().contains(&json!("greeted")).then_some(())
    })
    .await;
    tenant.patch(&path(&lead), json!({"tags": []})).await.expect(200);
    let exited = eventually("the leaving", async || told(&tenant, "segment.exited").await.pop()).await;
    assert_eq!((&exited["leadId"], &exited["data"]["name"]), (&lead["id"], &json!("VIP")));
    let entered = told(&tenant, "segment.entered").await;
    assert_eq!(entered.len(), 1, "{entered:?}");
    assert_eq!(entered[0]["leadId"], lead["id"]);
    assert_eq!(tenant.get(&path(&inside)).await.expect(200)["tags"], json!(["vip"]));
    let unchanged = tenant.get(&format!("/api/segments/{}", segment["id"].as_str().unwrap())).await;
    assert_eq!(unchanged.header("etag"), "\"v1\"");
}

pub(super) async fn told(tenant: &Tenant, kind: &str) -> Vec<Value> {
    let events = tenant.get(&format!("/api/events?type={kind}")).await.expect(200);
    events["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_live_segment_is_asked_anew_and_a_static_one_stays() {
    let tenant = Tenant::new().await;
    let first = tenant.lead(json!({"source": "fair"})).await;
    let fair = json!({"all": [{"field": "source", "op": "eq", "value": "fair"}, {"not": [{"field": "status", "op": "eq", "value": "lost"}]}]});
    let mut ids = Vec::new();
    for kind in ["live", "static"] {
        let made =
            tenant.post("/api/segments", json!({"name": kind, "kind": kind, "conditions": fair})).await;
        ids.push(made.expect(201)["id"].as_str().unwrap().to_owned());
    }
    let second = tenant.lead(json!({"source": "fair"})).await;
    tenant.patch(&path(&first), json!({"status": "lost"})).await.expect(200);
    for (id, member) in ids.iter().zip([&second, &first]) {
        let page = tenant.get(&format!("/api/leads?segmentId={id}&include=total")).await.expect(200);
        assert_eq!((&page["total"], &page["items"][0]["id"]), (&json!(1), &member["id"]), "{id}");
    }
    let both = tenant.get(&format!("/api/leads?segmentId={}", ids.join(","))).await.expect(200);
    assert_eq!(both["items"].as_array().unwrap().len(), 2);
    let nobody = "0198a000-0000-7000-8000-00000000dead";
    tenant
        .get(&format!("/api/leads?segmentId={nobody}"))
        .await
        .expect_invalid("?segmentId", "unknown_segment");

    let path = format!("/api/segments/{}", ids[0]);
    let changed = json!({"name": "Lost", "conditions": {"field": "status", "op": "eq", "value": "lost"}});
    let changed = tenant.patch(&path, changed).await.expect(200);
    assert_eq!((&changed["name"], &changed["memberCount"]), (&json!("Lost"), &json!(1)));
    let names = tenant.get("/api/segments?sort=name&search=L").await.expect(200);
    assert_eq!(names["items"].as_array().unwrap().len(), 1);
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_static_segment_counts_those_who_are_left() {
    let tenant = Tenant::new().await;
    let mut leads = Vec::new();
    for _ in 0..5 {
        leads.push(tenant.lead(json!({"source": "fair"})).await);
    }
    let fair = json!({"name": "Fair", "kind": "static", "conditions": {"field": "source", "op": "eq", "value": "fair"}});
    let made = tenant.post("/api/segments", fair).await.expect(201);
    let segment = format!("/api/segments/{}", made["id"].as_str().unwrap());
    let counted = async || {
        let one = tenant.get(&segment).await.expect(200)["memberCount"].clone();
        let listed = tenant.get("/api/segments").await.expect(200);
        assert_eq!(listed["items"][0]["memberCount"], one);
        let members = format!("/api/leads?segmentId={}&include=total", made["id"].as_str().unwrap());
        assert_eq!(tenant.get(&members).await.expect(200)["total"], one);
        one
    };
    assert_eq!((&made["memberCount"], counted().await), (&json!(5), json!(5)));
    tenant.delete(&path(&leads[0])).await.expect(204);
    assert_eq!(counted().await, 4);
    tenant.post(&format!("{}/restore", path(&leads[0])), json!({})).await.expect(200);
    assert_eq!(counted().await, 5);
    let merge = json!({"survivorId": leads[1]["id"], "absorbedIds": [leads[2]["id"]]});
    tenant.post("/api/leads/merge", merge).await.expect(200);
    assert_eq!(counted().await, 4);
    tenant.post(&format!("{}/privacy/erase", path(&leads[3])), json!({})).await.expect(200);
    assert_eq!(counted().await, 3);
    let renamed = tenant.patch(&segment, json!({"name": "The fair"})).await.expect(200);
    assert_eq!(renamed["memberCount"], 3);
}

#[tokio::test]
async fn what_a_condition_cannot_ask_is_refused_where_it_stands() {
    let tenant = Tenant::new().await;
    let status = json!({"field": "status", "op": "eq", "value": "new"});
    for (tree, pointer, code) in [
        (json!({"field": "event.source", "op": "eq", "value": 1}), "/field", "unsupported_field"),
        (json!({"field": "segments.count", "op": "gt", "value": 1}), "/field", "unsupported_field"),
        (
            json!({"all": [status, {"field": "statsu", "op": "eq", "value": 1}]}),
            "/all/1/field",
            "unknown_field",
        ),
        (json!({"any": [{"field": "status", "op": "near", "value": 1}]}), "/any/0/op", "unknown_value"),
        (json!({"field": "status", "op": "in", "value": "new"}), "/value", "wrong_type"),
        (json!({"field": "createdAt", "op": "before", "value": "soon"}), "/value", "invalid_time"),
        (json!({"all": [status], "any": [status]}), "/any", "unknown_field"),
        (json!({"not": status}), "/not", "wrong_type"),
        (json!([]), "", "wrong_type"),
        (
            json!({"all": [{"all": [{"all": [{"all": [{"all": [{"all": [{"all": [{"all": [status]}]}]}]}]}]}]}]}),
            "/all/0/all/0/all/0/all/0/all/0/all/0/all/0/all/0",
            "too_deep",
        ),
    ] {
        let pointer = format!("/conditions{pointer}");
        let body = json!({"name": "Bad", "conditions": tree});
        tenant.post("/api/segments", body).await.expect_invalid(&pointer, code);
        tenant
            .post("/api/segments/preview", json!({"conditions": tree}))
            .await
            .expect_invalid(&pointer, code);
    }
}

#[tokio::test]
async fn an_automation_is_started_for_a_segment() {
    let tenant = Tenant::new().await;
    for number in 0..3 {
        tenant.lead(json!({"source": "fair", "email": unique_email(&format!("fair{number}"))})).await;
    }
    tenant.lead(json!({})).await;
    let fair = json!({"field": "source", "op": "eq", "value": "fair"});
    let segment = tenant.post("/api/segments", json!({"name": "Fair", "conditions": fair})).await.expect(201);
    let steps = json!([{"id": "rest", "type": "wait", "for": "P300D"}]);
    let automation = json!({"name": "Mail", "trigger": {"type": "manual"}, "steps": steps});
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    let path = format!("/api/automations/{}", automation["id"].as_str().unwrap());
    tenant.post(&format!("{path}/publish"), json!({})).await.expect(200);
    let execute = format!("{path}/execute");
    let dry = json!({"segmentId": segment["id"], "dryRun": true});
    let dry = tenant.post(&execute, dry).await.expect(202);
    assert_eq!((dry["preview"].as_array().unwrap().len(), &dry["runIds"]), (3, &json!([])));
    let started = tenant.post(&execute, json!({"segmentId": segment["id"]})).await.expect(202);
    assert_eq!((started["runIds"].as_array().unwrap().len(), &started["skipped"]), (3, &json!([])));
    let nobody = json!({"segmentId": "0198a000-0000-7000-8000-00000000dead"});
    tenant.post(&execute, nobody).await.expect_invalid("/segmentId", "unknown_segment");
    let both = json!({"segmentId": segment["id"], "leadIds": [segment["id"]]});
    tenant.post(&execute, both).await.expect_invalid("/segmentId", "ambiguous");
}
