//! Conditions over what people did: the database, a run and somebody who counts by hand answer alike.

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

use super::segments::Dice;
use crate::support::{Tenant, stack};

/// One thing that somebody did.
struct Entry {
    lead: usize,
    source: &'static str,
    at: DateTime<Utc>,
    words: Value,
    /// Amounts and measured values.
    value: i64,
}

pub(super) const ITEM: &str = "0198a000-0000-7000-8000-0000000017e3";

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
            let at = now
                - Duration::hours(HOURS[dice.roll(6)])
                - Duration::minutes(i64::try_from(number).unwrap());
            let value = i64::try_from(dice.roll(90)).unwrap() + 10;
            let (source, words) = match dice.roll(5) {
                0 => {
                    let (kind, detail) = [
                        ("cta.recorded", json!({"ctaId": "hero"})),
                        ("cta.recorded", json!({"ctaId": "foot"})),
                        ("lead.tagAdded", json!({"tag": "vip"})),
                    ][dice.roll(3)]
                    .clone();
                    write!(sql, "insert into events (tenant_id, id, type, subject_kind, lead_id, payload, source, dedupe_key, occurred_at)
                                 values ('{tenant}', gen_random_uuid(), '{kind}', 'lead', '{lead}', '{detail}', 'test', gen_random_uuid(), '{at}');").unwrap();
                    let mut words = detail;
                    words["type"] = kind.into();
                    ("events", words)
                }
                1 => {
                    let kind = ["visit", "call"][dice.roll(2)];
                    write!(
                        sql,
                        "insert into activities (tenant_id, id, lead_id, kind, occurred_at)
                                 values ('{tenant}', gen_random_uuid(), '{lead}', '{kind}', '{at}');"
                    )
                    .unwrap();
                    ("activities", json!({"kind": kind}))
                }
                2 => {
                    let (direction, status) = [
                        ("outbound", "sent"),
                        ("outbound", "delivered"),
                        ("outbound", "read"),
                        ("outbound", "failed"),
                        ("inbound", "received"),
                    ][dice.roll(5)];
                    write!(sql, "insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, sent_at, created_at)
                                 values ('{tenant}', gen_random_uuid(), '{thread}', '{lead}', '{direction}', 'sms', '{status}',
                                         case when '{status}' = 'read' then '{at}'::timestamptz end,
                                         '{at}'::timestamptz - case when '{status}' = 'read' then interval '900 days' else interval '0' end);").unwrap();
                    ("messages", json!({"direction": direction, "status": status, "channel": "sms"}))
                }
                3 => {
                    let (kind, currency) =
                        (["invoice", "receipt"][dice.roll(2)], ["EUR", "USD"][dice.roll(2)]);
                    let (id, bought) = (new_id(), dice.roll(2) == 0);
                    write!(sql, "insert into invoices (tenant_id, id, kind, number, status, lead_id, currency, subtotal, total, paid_total, paid_at)
                                 values ('{tenant}', '{id}', '{kind}', '{id}', 'paid', '{lead}', '{currency}', {value}, {value}, {value}, '{at}');").unwrap();
                    if bought {
                        write!(sql, "insert into invoice_lines (tenant_id, id, invoice_id, position, description, item_id, quantity, unit_price, net, tax, gross)
                                     values ('{tenant}', gen_random_uuid(), '{id}', 1, 'Pack', '{ITEM}', 1, {value}, {value}, 0, {value});").unwrap();
                    }
                    (
                        "purchases",
                        json!({"kind": kind, "currency": currency, "itemId": if bought { ITEM } else { "" }}),
                    )
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
        let wanted: Vec<&str> = wanted.as_array().map_or_else(
            || vec![wanted.as_str().unwrap()],
            |all| all.iter().map(|one| one.as_str().unwrap()).collect(),
        );
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
        .filter(|entry| {
            entry.lead == lead && entry.source == source && from.is_none_or(|from| entry.at > from)
        })
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
        "avg" => json!(
            f64::from(i32::try_from(values().sum::<i64>()).unwrap())
                / f64::from(i32::try_from(count).unwrap())
        ),
        "last" => json!(meant.last().unwrap().value),
        "firstAt" => json!(meant.first().unwrap().at),
        _ => json!(meant.last().unwrap().at),
    }
}

fn comparison(dice: &mut Dice, now: DateTime<Utc>) -> Value {
    let narrowings = |source: &str| match source {
        "events" => vec![
            json!({"type": "cta.recorded"}),
            json!({"type": "cta.recorded", "ctaId": "hero"}),
            json!({"type": "lead.tagAdded", "tag": "vip"}),
            json!({"type": ["cta.recorded", "lead.tagAdded"]}),
            json!({"type": "form.submitted"}),
        ],
        "activities" => vec![json!({}), json!({"kind": "visit"}), json!({"kind": ["visit", "call"]})],
        "messages" => vec![
            json!({}),
            json!({"direction": "outbound"}),
            json!({"direction": "outbound", "status": "sent"}),
            json!({"status": ["read", "failed"]}),
            json!({"status": "delivered", "channel": "sms"}),
            json!({"channel": "email"}),
        ],
        "metrics" => vec![
            json!({"type": "weight"}),
            json!({"type": "weight", "source": "scale"}),
            json!({"type": "steps"}),
        ],
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
            "in" | "between" => json!([size(dice), size(dice)]),
            _ => json!(size(dice)),
        };
        (op, value)
    };
    let mut asked =
        json!({"field": format!("{source}.{aggregate}"), "op": op, "value": value, "where": narrowed});
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
    if let Some((word, parts)) =
        tree.as_object().unwrap().iter().find(|(_, value)| value.is_array() && tree.get("op").is_none())
    {
        let parts: Vec<Value> =
            parts.as_array().unwrap().iter().map(|part| counted(part, vars, count)).collect();
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
    stack().execute(
        DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true); delete from activities where tenant_id = '{0}'",
            tenant.id
        ),
    );
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
