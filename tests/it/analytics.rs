//! Calls to action.

use std::collections::HashSet;

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Tenant};

const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

async fn key(tenant: &Tenant, kind: &str, scopes: Value) -> Client {
    let key =
        tenant.post("/api/api-keys", json!({"name": kind, "kind": kind, "scopes": scopes})).await.expect(201);
    Client::anonymous().with_token(key["key"].as_str().unwrap())
}

fn event(id: &str, kind: &str) -> Value {
    json!({"eventId": id, "surface": "landing", "ctaId": "book-trial", "kind": kind, "visitorId": format!("v-{id}")})
}

async fn send(client: &Client, events: &[Value]) -> Value {
    client.post("/api/analytics/cta", json!({"events": events})).await.expect(202)
}

#[tokio::test]
async fn an_event_counts_once_however_often_it_is_sent() {
    let tenant = Tenant::new().await;
    let sends = (0..30).map(|_| tenant.post("/api/analytics/cta", event("e1", "click")));
    let accepted: i64 = futures::future::join_all(sends)
        .await
        .iter()
        .map(|a| a.expect(202)["accepted"].as_i64().unwrap())
        .sum();
    assert_eq!(accepted, 1);
    let batch = send(&tenant, &[event("e1", "click"), event("e2", "view"), event("e2", "view")]).await;
    assert_eq!(
        (&batch["accepted"], &batch["duplicates"], &batch["rejected"]),
        (&json!(1), &json!(2), &json!([]))
    );
    let list = tenant.get("/api/analytics/cta?include=total").await.expect(200);
    assert_eq!(list["total"], 2);
    assert_eq!(list["items"][0]["surface"], "landing");
}

#[tokio::test]
async fn a_page_sends_beacons_with_its_site_key_and_can_do_nothing_else() {
    let tenant = Tenant::new().await;
    let site = tenant.post("/api/api-keys", json!({"name": "Website", "kind": "site"})).await.expect(201);
    let site = site["key"].as_str().unwrap();
    let beacon = Client::anonymous();
    let request = beacon
        .request(Method::POST, &format!("/api/analytics/cta?key={site}"))
        .header(header::CONTENT_TYPE, "text/plain;charset=UTF-8")
        .header(header::ORIGIN, "https://studio.example")
        .body(event("b1", "click").to_string());
    let answer = beacon.send(request).await;
    assert_eq!(answer.expect(202)["accepted"], 1);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let page = beacon.with_token(site);
    assert_eq!(send(&page, &[event("b2", "view")]).await["accepted"], 1);

    page.get("/api/analytics/cta").await.expect_problem(403, "site_key_not_allowed");
    page.get("/api/leads").await.expect_problem(403, "site_key_not_allowed");
    beacon.post("/api/analytics/cta", event("b3", "view")).await.expect_problem(401, "unauthorized");
    beacon
        .post("/api/analytics/cta?key=wpk_wrong", event("b3", "view"))
        .await
        .expect_problem(401, "unauthorized");
    let reader = key(&tenant, "secret", json!(["analytics:read"])).await;
    reader.post("/api/analytics/cta", event("b3", "view")).await.expect_problem(403, "scope_required");
    let secret = reader.clone();
    assert_eq!(secret.get("/api/analytics/cta?include=total").await.expect(200)["total"], 2);
}

#[tokio::test]
async fn a_bad_event_of_a_batch_is_named_and_the_others_count() {
    let (tenant, other) = (Tenant::new().await, Tenant::new().await);
    let foreign = other.lead(json!({})).await;
    let with = |id: &str, field: &str, value: Value| {
        let mut event = event(id, "click");
        event[field] = value;
        event
    };
    let result = send(
        &tenant,
        &[
            event("g1", "click"),
            with("x1", "kind", json!("hover")),
            with("x2", "occurredAt", json!("2001-01-01T00:00:00Z")),
            with("x3", "occurredAt", json!("2999-01-01T00:00:00Z")),
            with("x4", "leadId", foreign["id"].clone()),
            with("x5", "color", json!("red")),
            with("", "variant", json!("B")),
            with("g2", "referrer", json!("")),
        ],
    )
    .await;
    let codes: Vec<(i64, &str)> = result["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["index"].as_i64().unwrap(), event["code"].as_str().unwrap()))
        .collect();
    let expected = [
        (1, "unknown_value"),
        (2, "too_old"),
        (3, "in_future"),
        (4, "unknown_lead"),
        (5, "unknown_field"),
        (6, "blank"),
    ];
    assert_eq!((&result["accepted"], codes), (&json!(2), expected.to_vec()));

    let many: Vec<Value> = (0..51).map(|n| event(&n.to_string(), "view")).collect();
    tenant
        .post("/api/analytics/cta", json!({"events": many}))
        .await
        .expect_invalid("/events", "too_many_values");
    tenant
        .post("/api/analytics/cta", with("y", "kind", json!("hover")))
        .await
        .expect_invalid("/kind", "unknown_value");
    let old = with("y", "occurredAt", json!("2001-01-01T00:00:00Z"));
    tenant.post("/api/analytics/cta", old).await.expect_invalid("/occurredAt", "too_old");
}

#[tokio::test]
async fn rates_come_with_their_interval_and_without_crawlers() {
    let tenant = Tenant::new().await;
    let mut events: Vec<Value> = (0..20).map(|n| event(&format!("v{n}"), "view")).collect();
    events.extend((0..5).map(|n| event(&format!("c{n}"), "click")));
    send(&tenant, &events).await;
    let crawled = tenant.request(Method::POST, "/api/analytics/cta").header(header::USER_AGENT, CRAWLER);
    assert_eq!(tenant.send(crawled.json(&event("bot", "view"))).await.expect(202)["accepted"], 1);

    let summary = tenant.get("/api/analytics/cta/summary?groupBy=surface").await.expect(200);
    let item = &summary["items"][0];
    assert_eq!(
        (&item["surface"], &item["views"], &item["clicks"]),
        (&json!("landing"), &json!(20), &json!(5))
    );
    assert_eq!(item["rate"], 0.25);
    assert!(
        (item["low"].as_f64().unwrap() - 0.1119).abs() < 1e-4
            && (item["high"].as_f64().unwrap() - 0.4687).abs() < 1e-4
    );
    assert_eq!(tenant.get("/api/analytics/cta?bot=true&include=total").await.expect(200)["total"], 1);
    tenant.get("/api/analytics/cta/summary?groupBy=colour").await.expect_invalid("?groupBy", "unknown_value");

    // Berlin's midnight lies between the two, on a day that has 25 hours.
    let at = |id: &str, at: &str| json!({"eventId": id, "surface": "s", "ctaId": "c", "kind": "view", "occurredAt": at});
    let last = last_clock_change();
    let (before, after) = (last - chrono::Duration::seconds(1), last);
    send(&tenant, &[at("d1", &before.to_rfc3339()), at("d2", &after.to_rfc3339())]).await;
    let days = tenant.get("/api/analytics/cta/summary?groupBy=day&surface=s").await.expect(200);
    assert_eq!(days["items"].as_array().unwrap().len(), 2, "{days}");
    assert_eq!(
        days["items"][1]["day"],
        last.with_timezone(&chrono_tz::Europe::Berlin).date_naive().to_string()
    );
}

/// Berlin's midnight at the start of the last Sunday of the last October that is over.
fn last_clock_change() -> chrono::DateTime<chrono::Utc> {
    use chrono::{Datelike, Days, NaiveDate};
    let now = shared::clock::now();
    let sunday = |year: i32| {
        let last = NaiveDate::from_ymd_opt(year, 10, 31).unwrap();
        last - Days::new(u64::from(last.weekday().num_days_from_sunday()))
    };
    let year = if sunday(now.year()) < now.date_naive() { now.year() } else { now.year() - 1 };
    shared::time::start_of_day(sunday(year), chrono_tz::Europe::Berlin).unwrap()
}

#[tokio::test]
async fn a_funnel_counts_who_went_on_in_order() {
    let tenant = Tenant::new().await;
    let now = shared::clock::now();
    let at = |visitor: &str, kind: &str, minute: i64| {
        json!({"eventId": format!("{visitor}{kind}"), "surface": "s", "ctaId": "c", "kind": kind, "visitorId": visitor,
               "occurredAt": (now - chrono::Duration::minutes(60 - minute)).to_rfc3339()})
    };
    send(
        &tenant,
        &[
            at("ann", "view", 1),
            at("ann", "click", 2),
            at("ann", "submit", 3),
            at("bob", "view", 1),
            at("bob", "click", 2),
            at("bob", "submit", 0), // submitted before he looked
            at("cid", "view", 1),
            at("dan", "click", 1),
        ],
    )
    .await;
    let funnel = tenant.get("/api/analytics/cta/funnel?steps=view,click,submit").await.expect(200);
    let counts: Vec<i64> =
        funnel["steps"].as_array().unwrap().iter().map(|step| step["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [3, 2, 1]);
    assert_eq!(funnel["steps"][2]["fromPrevious"], 0.5);

    let lead = tenant.lead(json!({})).await;
    let mut click = at("eva", "click", 5);
    click["leadId"] = lead["id"].clone();
    send(&tenant, &[click]).await;
    let visit = json!({"kind": "visit", "title": "Trial"});
    tenant.post(&format!("/api/leads/{}/activities", lead["id"].as_str().unwrap()), visit).await.expect(201);
    let journey = tenant.get("/api/analytics/cta/funnel").await.expect(200);
    let counts: Vec<i64> =
        journey["steps"].as_array().unwrap().iter().map(|step| step["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [4, 1, 1, 0]);
}

async fn export_all(tenant: &Tenant, query: &str) -> Vec<Answer> {
    let mut chunks = vec![tenant.get(&format!("/api/analytics/cta/export?{query}")).await];
    while !chunks[chunks.len() - 1].header("x-next-cursor").is_empty() {
        let link = chunks[chunks.len() - 1].header("link").to_owned();
        let (path, rest) = link[1..].split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        chunks.push(tenant.get(path).await);
    }
    chunks
}

#[tokio::test]
async fn an_export_is_whole_whatever_its_chunks_and_opens_without_running_anything() {
    let tenant = Tenant::new().await;
    let mut events: Vec<Value> = (0..45).map(|n| event(&format!("e{n}"), "view")).collect();
    events[3]["variant"] = json!("=HYPERLINK(\"https://evil.example\")");
    events[4]["page"] = json!("＝1+1");
    events[5]["referrer"] = json!("a,\"b\"\nc");
    events[6]["surface"] = json!("other");
    send(&tenant, &events).await;

    for format in ["csv", "ndjson", "json"] {
        let chunks = export_all(&tenant, &format!("format={format}&limit=10")).await;
        assert_eq!(chunks.len(), 5, "{format}");
        let mut ids = HashSet::new();
        match format {
            "csv" => {
                let file: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
                let mut reader = csv::Reader::from_reader(file.as_bytes());
                for record in reader.records() {
                    let record = record.unwrap();
                    assert!(record.iter().all(|cell| {
                        !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
                    }));
                    ids.insert(record[1].to_owned());
                }
                assert!(file.contains("'=HYPERLINK") && file.starts_with("id,eventId,"));
            }
            "ndjson" => ids.extend(chunks.iter().flat_map(|chunk| chunk.text.lines()).map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["eventId"].as_str().unwrap().to_owned()
            })),
            _ => {
                for chunk in &chunks {
                    let page = chunk.expect(200);
                    ids.extend(
                        page["items"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|e| e["eventId"].as_str().unwrap().to_owned()),
                    );
                }
            }
        }
        assert_eq!(ids.len(), 45, "{format}");
    }
    let one = export_all(&tenant, "format=ndjson&surface=other").await;
    assert_eq!((one.len(), one[0].text.lines().count()), (1, 1));

    tenant
        .get("/api/analytics/cta/export?from=2026-02-01&to=2026-01-01")
        .await
        .expect_invalid("?from", "range_reversed");
    tenant.get("/api/analytics/cta/export?format=xlsx").await.expect_invalid("?format", "unknown_value");
    let staff = tenant.colleague("staff").await;
    staff.get("/api/analytics/cta/export").await.expect_problem(403, "role_required");
    let other = Tenant::new().await;
    assert_eq!(other.get("/api/analytics/cta/export?format=ndjson").await.text, "");
}

#[tokio::test]
async fn the_overview_counts_the_business() {
    let tenant = Tenant::new().await;
    tenant.lead(json!({})).await;
    send(&tenant, &[event("o1", "view"), event("o2", "click")]).await;
    let overview = tenant.get("/api/analytics/overview").await.expect(200);
    assert_eq!((&overview["leads"]["created"], &overview["cta"]["clicks"]), (&json!(1), &json!(1)));
    assert_eq!(overview["revenue"], json!([]));
}
