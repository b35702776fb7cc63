//! Conditions over what people did: one answer in segments, lists, filters, branches and goals.

use std::{collections::BTreeSet, fmt::Write};

use chrono::{DateTime, Duration, Utc};
use private_postgres::DATABASE;
use serde_json::{Value, json};
use shared::{
    conditions::{Condition, Facts, History, Past},
    db::Db,
    ids::{TenantId, new_id},
};
use uuid::Uuid;

use super::{path, segments::Dice, segments::told};
use crate::support::{Client, Tenant, eventually, stack, tenant::unique_email};

/// One thing that somebody did.
struct Entry {
    lead: usize,
    source: &'static str,
    at: DateTime<Utc>,
    words: Value,
    /// Amounts and measured values.
    value: i64,
}

const ITEM: &str = "0198a000-0000-7000-8000-0000000017e3";

/// A made-up past, written into the tables and kept to be counted by hand.
fn past(dice: &mut Dice, tenant: &str, leads: &[Value], now: DateTime<Utc>) -> Vec<Entry> {
    // Hours, and never near a border of the windows that are asked for.
    const HOURS: [i64; 6] = [5, 40, 130, 500, 1_500, 7_000];
    let mut entries = Vec::new();
    let mut sql = format!("select set_config('app.tenant_id', '{tenant}', true);");
    write!(sql, "insert into catalog_items (tenant_id, id, name, unit_price, currency) values ('{tenant}', '{ITEM}', 'Pack', 1, 'EUR');").unwrap();
    for (place, lead) in leads.iter().enumerate() {
        let lead = lead["id"].as_str().unwrap();
        let thread = new_id();
        write!(sql, "insert into conversations (tenant_id, id, lead_id, channel) values ('{tenant}', '{thread}', '{lead}', 'sms');").unwrap();
        for number in 0..dice.roll(14) {
            let at = now - Duration::hours(HOURS[dice.roll(6)]) - Duration::minutes(i64::try_from(number).unwrap());
            let value = i64::try_from(dice.roll(90)).unwrap() + 10;
            let (source, words) = match dice.roll(5) {
                0 => {
                    let (kind, detail) = [("cta.recorded", json!({"ctaId": "hero"})), ("cta.recorded", json!({"ctaId": "foot"})),
                        ("lead.tagAdded", json!({"tag": "vip"}))][dice.roll(3)].clone();
                    write!(sql, "insert into events (tenant_id, id, type, subject_kind, lead_id, payload, source, dedupe_key, occurred_at)
                                 values ('{tenant}', gen_random_uuid(), '{kind}', 'lead', '{lead}', '{detail}', 'test', gen_random_uuid(), '{at}');").unwrap();
                    let mut words = detail;
                    words["type"] = kind.into();
                    ("events", words)
                }
                1 => {
                    let kind = ["visit", "call"][dice.roll(2)];
                    write!(sql, "insert into activities (tenant_id, id, lead_id, kind, occurred_at)
                                 values ('{tenant}', gen_random_uuid(), '{lead}', '{kind}', '{at}');").unwrap();
                    ("activities", json!({"kind": kind}))
                }
                2 => {
                    let (direction, status) =
                        [("outbound", "sent"), ("outbound", "delivered"), ("outbound", "read"), ("outbound", "failed"),
                            ("inbound", "received")][dice.roll(5)];
                    write!(sql, "insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, sent_at, created_at)
                                 values ('{tenant}', gen_random_uuid(), '{thread}', '{lead}', '{direction}', 'sms', '{status}',
                                         case when '{status}' = 'read' then '{at}'::timestamptz end,
                                         '{at}'::timestamptz - case when '{status}' = 'read' then interval '900 days' else interval '0' end);").unwrap();
                    ("messages", json!({"direction": direction, "status": status, "channel": "sms"}))
                }
                3 => {
                    let (kind, currency) = (["invoice", "receipt"][dice.roll(2)], ["EUR", "USD"][dice.roll(2)]);
                    let (id, bought) = (new_id(), dice.roll(2) == 0);
                    write!(sql, "insert into invoices (tenant_id, id, kind, number, status, lead_id, currency, subtotal, total, paid_total, paid_at)
                                 values ('{tenant}', '{id}', '{kind}', '{id}', 'paid', '{lead}', '{currency}', {value}, {value}, {value}, '{at}');").unwrap();
                    if bought {
                        write!(sql, "insert into invoice_lines (tenant_id, id, invoice_id, position, description, item_id, quantity, unit_price, net, tax, gross)
                                     values ('{tenant}', gen_random_uuid(), '{id}', 1, 'Pack', '{ITEM}', 1, {value}, {value}, 0, {value});").unwrap();
                    }
                    ("purchases", json!({"kind": kind, "currency": currency, "itemId": if bought { ITEM } else { "" }}))
                }
                _ => {
                    write!(sql, "insert into metrics (tenant_id, id, lead_id, type, value, unit, original_value, original_unit, start_at, local_date, source)
                                 values ('{tenant}', gen_random_uuid(), '{lead}', 'weight', {value}, 'kg', {value}, 'kg', '{at}', ('{at}'::timestamptz at time zone 'UTC')::date, 'scale');").unwrap();
                    ("metrics", json!({"type": "weight", "source": "scale"}))
                }
            };
            entries.push(Entry { lead: place, source, at, words, value });
        }
    }
    stack().execute(DATABASE, &sql);
    entries
}

/// Whether an entry is meant by `where`. What was read has been delivered and sent.
fn is_meant(entry: &Entry, narrowed: &Value) -> bool {
    narrowed.as_object().into_iter().flatten().all(|(key, wanted)| {
        let has = &entry.words[key];
        let wanted: Vec<&str> =
            wanted.as_array().map_or_else(|| vec![wanted.as_str().unwrap()], |all| all.iter().map(|one| one.as_str().unwrap()).collect());
        wanted.iter().any(|wanted| match (key.as_str(), *wanted) {
            ("status", "sent") => ["sent", "delivered", "read"].contains(&has.as_str().unwrap()),
            ("status", "delivered") => ["delivered", "read"].contains(&has.as_str().unwrap()),
            (_, wanted) => has == wanted,
        })
    })
}

/// What the documentation says that the field is, counted by hand.
fn by_hand(entries: &[Entry], lead: usize, asked: &Value, now: DateTime<Utc>) -> Value {
    let (source, aggregate) = asked["field"].as_str().unwrap().split_once('.').unwrap();
    let from = asked["within"].as_i64().map(|days| now - Duration::days(days));
    let mut meant: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.lead == lead && entry.source == source && from.is_none_or(|from| entry.at > from))
        .filter(|entry| is_meant(entry, &asked["where"]))
        .collect();
    meant.sort_by_key(|entry| entry.at);
    let values = || meant.iter().map(|entry| entry.value);
    let count = i64::try_from(meant.len()).unwrap();
    match aggregate {
        "count" => json!(count),
        "sum" => json!(values().sum::<i64>()),
        _ if meant.is_empty() => Value::Null,
        "min" => json!(values().min()),
        "max" => json!(values().max()),
        "avg" => json!(f64::from(i32::try_from(values().sum::<i64>()).unwrap()) / f64::from(i32::try_from(count).unwrap())),
        "last" => json!(meant.last().unwrap().value),
        "firstAt" => json!(meant.first().unwrap().at),
        _ => json!(meant.last().unwrap().at),
    }
}

fn comparison(dice: &mut Dice, now: DateTime<Utc>) -> Value {
    let narrowings = |source: &str| match source {
        "events" => vec![json!({"type": "cta.recorded"}), json!({"type": "cta.recorded", "ctaId": "hero"}), json!({"type": "lead.tagAdded", "tag": "vip"}),
            json!({"type": ["cta.recorded", "lead.tagAdded"]}), json!({"type": "form.submitted"})],
        "activities" => vec![json!({}), json!({"kind": "visit"}), json!({"kind": ["visit", "call"]})],
        "messages" => vec![json!({}), json!({"direction": "outbound"}), json!({"direction": "outbound", "status": "sent"}),
            json!({"status": ["read", "failed"]}), json!({"status": "delivered", "channel": "sms"}), json!({"channel": "email"})],
        "metrics" => vec![json!({"type": "weight"}), json!({"type": "weight", "source": "scale"}), json!({"type": "steps"})],
        _ => vec![json!({"currency": "EUR"}), json!({"currency": "USD", "kind": "receipt"})],
    };
    let source = ["events", "activities", "messages", "purchases", "metrics"][dice.roll(5)];
    let aggregates: &[&str] = match source {
        "purchases" => &["count", "sum", "min", "max", "avg", "firstAt", "lastAt"],
        "metrics" => &["count", "sum", "min", "max", "avg", "last", "firstAt", "lastAt"],
        _ => &["count", "count", "firstAt", "lastAt"],
    };
    let aggregate = aggregates[dice.roll(aggregates.len())];
    let mut narrowed = dice.pick(&narrowings(source)).clone();
    if source == "purchases" && aggregate == "count" && dice.roll(2) == 0 {
        narrowed = json!({"itemId": ITEM});
    }
    let days = |days: i64| json!((now - Duration::days(days)).to_rfc3339());
    let (op, value) = if aggregate.ends_with("At") {
        let ops = ["exists", "within", "before", "after", "gt", "lte", "between", "eq", "ne"];
        let op = ops[dice.roll(ops.len())];
        let value = match op {
            "exists" => json!(dice.roll(2) == 0),
            "within" => json!([3, 30, 100][dice.roll(3)]),
            "between" => json!([days(100), days(3)]),
            "eq" | "ne" => Value::Null,
            _ => days([3, 30, 100][dice.roll(3)]),
        };
        (op, value)
    } else {
        let ops = ["eq", "ne", "in", "gt", "gte", "lt", "lte", "between"];
        let op = ops[dice.roll(ops.len())];
        let sizes: &[i64] = if aggregate == "count" { &[0, 1, 2, 3] } else { &[0, 40, 55, 120] };
        let size = |dice: &mut Dice| sizes[dice.roll(sizes.len())];
        let value = match op {
            "in" => json!([size(dice), size(dice)]),
            "between" => json!([size(dice), size(dice)]),
            _ => json!(size(dice)),
        };
        (op, value)
    };
    let mut asked = json!({"field": format!("{source}.{aggregate}"), "op": op, "value": value, "where": narrowed});
    if dice.roll(2) == 0 {
        asked["within"] = json!([1, 3, 30, 365][dice.roll(4)]);
    }
    asked
}

fn tree(dice: &mut Dice, now: DateTime<Utc>, depth: usize) -> Value {
    if depth == 0 || dice.roll(3) == 0 {
        return match dice.roll(5) {
            0 => json!({"field": "status", "op": "eq", "value": "new"}),
            _ => comparison(dice, now),
        };
    }
    let word = ["all", "any", "not"][dice.roll(3)];
    let parts: Vec<Value> = (0..=dice.roll(3)).map(|_| tree(dice, now, depth - 1)).collect();
    json!({word: parts})
}

/// The tree with every comparison over the past made one over a variable that holds what was counted by hand.
fn counted(tree: &Value, vars: &mut Value, count: &dyn Fn(&Value) -> Value) -> Value {
    if let Some((word, parts)) = tree.as_object().unwrap().iter().find(|(_, value)| value.is_array() && tree.get("op").is_none()) {
        let parts: Vec<Value> = parts.as_array().unwrap().iter().map(|part| counted(part, vars, count)).collect();
        return json!({word: parts});
    }
    if tree.get("where").is_none() {
        return tree.clone();
    }
    let name = format!("v{}", vars.as_object().unwrap().len());
    vars[&name] = count(tree);
    json!({"field": format!("vars.{name}"), "op": tree["op"], "value": tree["value"]})
}

#[tokio::test]
async fn the_past_is_the_same_for_the_database_for_a_run_and_counted_by_hand() {
    const STATUSES: [&str; 2] = ["new", "lost"];
    let tenant = Tenant::new().await;
    let mut dice = Dice(7);
    let mut leads = Vec::new();
    for number in 0..18 {
        leads.push(tenant.lead(json!({"status": STATUSES[number % 2]})).await);
    }
    // Activities that come with a lead are dated by the database; these trees ask for other kinds only, or count all.
    stack().execute(DATABASE, &format!("select set_config('app.tenant_id', '{0}', true); delete from activities where tenant_id = '{0}'", tenant.id));
    let now = Utc::now();
    let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap();
    let entries = past(&mut dice, &tenant.id, &leads, now);
    let ids: Vec<Uuid> = leads.iter().map(|lead| lead["id"].as_str().unwrap().parse().unwrap()).collect();
    let db = Db::new(&stack().app_url, 1).unwrap();
    let (mut some, mut all) = (0, 0);
    for _ in 0..250 {
        let asked = tree(&mut dice, now, 2);
        let condition: Condition = serde_json::from_value(asked.clone()).unwrap();
        let answer = tenant.post("/api/segments/preview", json!({"conditions": asked})).await.expect(200);
        let in_database: BTreeSet<&str> =
            answer["sample"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap()).collect();
        let mut tx = db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
        let history = History::ask(&mut tx, now, &ids, [&condition]).await.unwrap();
        let (mut in_memory, mut hand) = (BTreeSet::new(), BTreeSet::new());
        for (place, lead) in leads.iter().enumerate() {
            let id = lead["id"].as_str().unwrap();
            let roots = json!({"lead": lead});
            if condition.holds(&Facts { roots: &roots, now, past: &history.of(ids[place]) }) {
                in_memory.insert(id);
            }
            let mut vars = json!({});
            let simple = counted(&asked, &mut vars, &|asked| by_hand(&entries, place, asked, now));
            let simple: Condition = serde_json::from_value(simple).unwrap();
            let roots = json!({"lead": lead, "vars": vars});
            if simple.holds(&Facts { roots: &roots, now, past: &Past::default() }) {
                hand.insert(id);
            }
        }
        assert_eq!(in_database, hand, "{asked}");
        assert_eq!(in_memory, hand, "{asked}");
        assert_eq!(answer["count"], hand.len(), "{asked}");
        some += usize::from(!hand.is_empty() && hand.len() < leads.len());
        all += 1;
    }
    assert!(some * 2 > all, "the questions are one-sided: {some} of {all}");
}

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
    tenant.post(&activities, json!({"kind": "visit"})).await.expect(201);
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
    let source = tenant.post("/api/webhooks/sources", json!({"provider": "forms", "name": "Contact"})).await.expect(201);
    format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap())
}

#[tokio::test]
async fn filters_branches_and_goals_ask_the_same_past() {
    let tenant = Tenant::new().await;
    let form = form(&tenant).await;
    let email = unique_email("fan");
    let forms = |op: &str, value: usize| {
        json!({"field": "events.count", "where": {"type": "form.submitted", "fields.topic": "trial"}, "within": 30, "op": op, "value": value})
    };
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
    let runs = async || tenant.get(&format!("{automation}/runs")).await.expect(200)["items"].as_array().unwrap().clone();
    let submit = async |number: usize| {
        let answers = json!({"email": email, "topic": "trial", "message": format!("{number}")});
        Client::anonymous().post(&form, answers).await.expect(202);
        eventually("the form", async || (told(&tenant, "form.submitted").await.len() == number).then_some(())).await;
    };
    submit(1).await;
    assert_eq!(runs().await, Vec::<Value>::new());
    submit(2).await;
    let lead = eventually("the tag", async || {
        let found = tenant.get("/api/leads?tag=twice").await.expect(200);
        found["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let segment = tenant.post("/api/segments", json!({"name": "Twice", "conditions": forms("eq", 2)})).await.expect(201);
    let listed = tenant.get(&format!("/api/leads?segmentId={}", segment["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &lead["id"]));
    let dry = tenant.post(&format!("{automation}/execute"), json!({"leadIds": [lead["id"]], "dryRun": true})).await.expect(202);
    assert_eq!(dry["preview"][0]["steps"][0]["output"], json!({"result": true}));
    // The visit is the goal; the change wakes the run, which then sees it.
    tenant.post(&format!("{}/activities", path(&lead)), json!({"kind": "visit"})).await.expect(201);
    tenant.patch(&path(&lead), json!({"lastName": "Woken"})).await.expect(200);
    let run = eventually("the goal", async || runs().await.pop().filter(|run| run["status"] == "completed")).await;
    let run = tenant.get(&format!("/api/automations/runs/{}", run["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(run["exitReason"], "goal", "{run}");
}

#[tokio::test]
async fn what_the_past_cannot_be_asked_is_refused_everywhere() {
    let tenant = Tenant::new().await;
    for (tree, pointer, code) in [
        (json!({"field": "events.count", "op": "gte", "value": 1}), "/where/type", "required"),
        (json!({"field": "events.count", "where": {"type": "form.sent"}, "op": "gte", "value": 1}), "/where/type", "unknown_value"),
        (json!({"all": [visits("gte", 1, &json!(-1))]}), "/all/0/within", "out_of_range"),
        (json!({"any": [{"field": "messages.count", "wher": {}, "op": "gte", "value": 1}]}), "/any/0/wher", "unknown_field"),
        (json!({"field": "metrics.last", "where": {"type": "aura"}, "op": "gte", "value": 1}), "/where/type", "unknown_type"),
        (json!({"field": "metrics.last", "where": {"type": "weight", "unit": "furlong"}, "op": "gte", "value": 1}), "/where/unit", "unknown_unit"),
        (json!({"field": "purchases.count", "where": {"itemId": ITEM}, "op": "gte", "value": 1}), "/where/itemId", "unknown_item"),
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
    tenant.colleague("viewer").await.post("/api/segments/preview", health.clone()).await.expect_problem(403, "role_required");
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
        assert!(holds(bought("eq", 5_000 * u32::try_from(invoices.len()).unwrap())).await, "unpaid is not bought");
        tenant.post(&format!("{path}/payments"), json!({"amount": 5_000, "tender": "cash"})).await.expect(201);
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
        holds(json!({"field": "messages.count", "where": {"status": "sent"}, "op": "eq", "value": 1})).await.then_some(())
    })
    .await;
    assert!(holds(replied(0)).await);
    stack().execute(DATABASE, &format!(
        "select set_config('app.tenant_id', '{0}', true);
         insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status)
         select tenant_id, gen_random_uuid(), conversation_id, lead_id, 'inbound', 'sms', 'received' from messages where tenant_id = '{0}'", tenant.id));
    assert!(holds(replied(1)).await);
}
