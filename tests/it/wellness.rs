//! Health metrics.

use serde_json::{Value, json};

use crate::support::Tenant;

/// A day of the business, so many days ago.
fn day(days_ago: i64) -> chrono::NaiveDate {
    let now = shared::clock::now().with_timezone(&chrono_tz::Europe::Berlin);
    now.date_naive() - chrono::Duration::days(days_ago)
}

fn steps(lead: &Value, start: &str, value: u32, source: &str) -> Value {
    json!({"leadId": lead["id"], "type": "steps", "value": value, "unit": "count", "startAt": start, "source": source})
}

async fn series(tenant: &Tenant, lead: &Value, rest: &str) -> Value {
    let path = format!("/api/wellness/metrics?leadId={}&{rest}", lead["id"].as_str().unwrap());
    tenant.get(&path).await.expect(200)
}

#[tokio::test]
async fn a_measurement_is_kept_once_in_the_unit_of_its_type() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let types = tenant.get("/api/wellness/types").await.expect(200);
    let weight = types["items"].as_array().unwrap().iter().find(|known| known["key"] == "weight").unwrap();
    assert_eq!((&weight["unit"], &weight["loinc"]), (&json!("kg"), &json!("29463-7")));

    let body = json!({"leadId": lead["id"], "type": "weight", "value": 180, "unit": "lb",
        "startAt": format!("{}T23:30:00-08:00", day(3)), "source": "scale"});
    let answer = tenant.post("/api/wellness/metrics", body.clone()).await;
    let metric = answer.expect(201);
    assert_eq!(
        answer.header("location"),
        format!("/api/wellness/metrics/{}", metric["id"].as_str().unwrap())
    );
    assert!((metric["value"].as_f64().unwrap() - 81.646_626_6).abs() < 1e-9);
    assert_eq!(
        (&metric["unit"], &metric["originalValue"], &metric["originalUnit"]),
        (&json!("kg"), &json!(180.0), &json!("lb"))
    );
    assert_eq!(metric["localDate"], day(3).to_string(), "the day on the device's clock");
    assert_eq!(
        tenant.post("/api/wellness/metrics", body).await.expect(200),
        metric,
        "the same again is the same"
    );
    assert_eq!(tenant.get(answer.header("location")).await.expect(200), metric);
}

#[tokio::test]
async fn a_batch_records_what_is_good_and_names_what_is_bad() {
    let (tenant, other) = (Tenant::new().await, Tenant::new().await);
    let (lead, foreign) = (tenant.lead(json!({})).await, other.lead(json!({})).await);
    let mut items: Vec<Value> = (0..500)
        .map(|n| {
            steps(
                &lead,
                &format!("{}T{:02}:{:02}:00Z", day(2 + n / 288), n / 12 % 24, n % 12 * 5),
                10,
                "watch",
            )
        })
        .collect();
    let send = async |items: &[Value]| {
        tenant.post("/api/wellness/metrics/batch", json!({"items": items})).await.expect(207)
    };
    let first = send(&items).await;
    assert_eq!(
        (&first["inserted"], &first["duplicates"], &first["failed"]),
        (&json!(500), &json!(0), &json!(0))
    );
    let again = send(&items).await;
    assert_eq!(
        (&again["inserted"], &again["duplicates"], &again["failed"]),
        (&json!(0), &json!(500), &json!(0))
    );
    assert_eq!(again["results"][7]["id"], first["results"][7]["id"]);

    items.truncate(1);
    let good = steps(&lead, &format!("{}T08:00:30Z", day(9)), 10, "watch");
    items.push(good.clone());
    items.push(good);
    for (field, value) in [
        ("type", json!("stairs")),
        ("unit", json!("furlong")),
        ("value", json!(-1)),
        ("startAt", json!("2999-01-01T00:00:00Z")),
        ("leadId", foreign["id"].clone()),
        ("value", json!("many")),
        ("colour", json!("red")),
    ] {
        let mut item = steps(&lead, &format!("{}T09:00:00Z", day(9)), 10, "watch");
        item[field] = value;
        items.push(item);
    }
    let mixed = send(&items).await;
    let words: Vec<&str> =
        mixed["results"].as_array().unwrap().iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(words[..3], ["duplicate", "inserted", "duplicate"]);
    let codes: Vec<&str> =
        mixed["results"].as_array().unwrap()[3..].iter().map(|r| r["code"].as_str().unwrap()).collect();
    let expected = [
        "unknown_type",
        "unknown_unit",
        "out_of_range",
        "in_future",
        "unknown_lead",
        "wrong_type",
        "unknown_field",
    ];
    assert_eq!((codes, &mixed["failed"]), (expected.to_vec(), &json!(7)));
    tenant
        .post("/api/wellness/metrics/batch", json!({"items": []}))
        .await
        .expect_invalid("/items", "required");
}

#[tokio::test]
async fn batches_that_overlap_at_the_same_time_count_everything_once() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let batch = |shift: i64| {
        let item = |n: i64| steps(&lead, &format!("{}T10:{:02}:00Z", day(2), n), 1, "watch");
        let items: Vec<Value> = (shift..shift + 30).rev().map(item).collect();
        tenant.post("/api/wellness/metrics/batch", json!({"items": items}))
    };
    let (a, b, c) = tokio::join!(batch(0), batch(10), batch(20));
    let inserted: i64 = [a, b, c].iter().map(|answer| answer.expect(207)["inserted"].as_i64().unwrap()).sum();
    assert_eq!(inserted, 50);
    let days = series(&tenant, &lead, "type=steps&bucket=day").await;
    assert_eq!((&days["items"][0]["sum"], &days["items"][0]["count"]), (&json!(50.0), &json!(50)));
}

#[tokio::test]
async fn a_series_knows_the_days_of_the_device_and_those_of_a_zone() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    // Berlin's clocks went forward on 30 March 2025 and back on 26 October 2025.
    let items: Vec<Value> = [
        ("2025-03-29T23:30:00-08:00", 1), // device: the 29th; Berlin: the 30th
        ("2025-03-30T00:30:00+01:00", 2), // Berlin: the 30th, before the change
        ("2025-03-30T23:30:00+02:00", 4), // Berlin: the 30th, after it
        ("2025-10-26T02:15:00+02:00", 8), // Berlin: twice two o'clock
        ("2025-10-26T02:45:00+01:00", 16),
    ]
    .iter()
    .map(|(start, value)| steps(&lead, start, *value, "watch"))
    .collect();
    tenant.post("/api/wellness/metrics/batch", json!({"items": items})).await.expect(207);
    let points = |series: &Value| -> Vec<(String, f64)> {
        let items = series["items"].as_array().unwrap();
        items
            .iter()
            .map(|p| (p["localStart"].as_str().unwrap().to_owned(), p["sum"].as_f64().unwrap()))
            .collect()
    };
    let expected =
        |days: &[(&str, f64)]| days.iter().map(|(day, sum)| ((*day).to_owned(), *sum)).collect::<Vec<_>>();

    let device = series(&tenant, &lead, "type=steps&bucket=day").await;
    let days = [("2025-03-29T00:00:00", 1.0), ("2025-03-30T00:00:00", 6.0), ("2025-10-26T00:00:00", 24.0)];
    assert_eq!(points(&device), expected(&days));
    let cut = series(&tenant, &lead, "type=steps&bucket=day&from=2025-03-30&to=2025-10-26").await;
    assert_eq!(points(&cut), expected(&days[1..2]));

    let zone = series(&tenant, &lead, "type=steps&bucket=day&tz=Europe/Berlin").await;
    assert_eq!(points(&zone), expected(&[("2025-03-30T00:00:00", 7.0), ("2025-10-26T00:00:00", 24.0)]));
    assert_eq!(zone["items"][0]["start"], "2025-03-29T23:00:00Z");
    let hours = series(&tenant, &lead, "type=steps&bucket=hour&tz=Europe/Berlin&from=2025-10-26").await;
    assert_eq!(points(&hours), expected(&[("2025-10-26T02:00:00", 8.0), ("2025-10-26T02:00:00", 16.0)]));
    let weeks = series(&tenant, &lead, "type=steps&bucket=week&tz=Europe/Berlin&agg=max").await;
    assert_eq!(weeks["items"][0]["localStart"], "2025-03-24T00:00:00", "weeks begin on Monday");
    assert_eq!((&weeks["items"][0]["value"], &weeks["items"][0]["avg"]), (&json!(4.0), &json!(7.0 / 3.0)));
}

#[tokio::test]
async fn two_watches_on_one_arm_are_not_two_walks() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let at = |hour: u32| format!("{}T{hour:02}:00:00Z", day(2));
    let items = json!([
        steps(&lead, &at(8), 100, "watch"),
        steps(&lead, &at(9), 200, "watch"),
        steps(&lead, &at(10), 999, "phone")
    ]);
    tenant.post("/api/wellness/metrics/batch", json!({"items": items})).await.expect(207);
    for query in ["type=steps&bucket=day", "type=steps&bucket=day&tz=UTC", "type=steps&bucket=month"] {
        let series = series(&tenant, &lead, query).await;
        assert_eq!(series["items"][0]["sum"], 300.0, "{query}: the source that measured more often");
    }
    assert_eq!(series(&tenant, &lead, "include=total").await["total"], 3, "every row is kept");
}

#[tokio::test]
async fn every_bad_measurement_has_a_name() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    for (field, value, pointer, code) in [
        ("type", json!("stairs"), "/type", "unknown_type"),
        ("unit", json!("lb"), "/unit", "unknown_unit"),
        ("value", json!(1e9), "/value", "out_of_range"),
        ("startAt", json!("2999-01-01T00:00:00Z"), "/startAt", "in_future"),
        ("startAt", json!("yesterday"), "/startAt", "invalid_value"),
        ("leadId", json!("0198c0de-0000-7000-8000-000000000000"), "/leadId", "unknown_lead"),
    ] {
        let mut body = steps(&lead, &format!("{}T08:00:00Z", day(2)), 10, "watch");
        body[field] = value;
        tenant.post("/api/wellness/metrics", body).await.expect_invalid(pointer, code);
    }
    let id = lead["id"].as_str().unwrap();
    for (query, pointer, code) in [
        ("bucket=day&type=steps".to_owned(), "?leadId", "required"),
        (format!("bucket=day&leadId={id}"), "?type", "required"),
        (format!("bucket=year&type=steps&leadId={id}"), "?bucket", "unknown_value"),
        (format!("bucket=day&type=steps&tz=Mars/Olympus&leadId={id}"), "?tz", "unknown_zone"),
        (format!("bucket=day&type=stairs&leadId={id}"), "?type", "unknown_type"),
        ("from=2026-02-01&to=2026-01-01".to_owned(), "?from", "range_reversed"),
    ] {
        tenant.get(&format!("/api/wellness/metrics?{query}")).await.expect_invalid(pointer, code);
    }
}

#[tokio::test]
async fn a_correction_and_a_deletion_change_the_day_and_leave_a_line_in_the_audit_log() {
    let tenant = Tenant::new().await;
    let (lead, staff) = (tenant.lead(json!({})).await, tenant.colleague("staff").await);
    let at = |hour: u32| format!("{}T{hour:02}:00:00Z", day(2));
    let one = staff.post("/api/wellness/metrics", steps(&lead, &at(8), 100, "watch")).await.expect(201);
    let two = staff.post("/api/wellness/metrics", steps(&lead, &at(9), 20, "watch")).await.expect(201);
    let path = |metric: &Value| format!("/api/wellness/metrics/{}", metric["id"].as_str().unwrap());
    staff.delete(&path(&one)).await.expect_problem(403, "role_required");

    let corrected = tenant.patch(&path(&one), json!({"value": 300, "note": "typing error"})).await;
    assert_eq!(corrected.expect(200)["value"], 300.0);
    assert_eq!(corrected.header("etag"), "\"v2\"");
    tenant.patch(&path(&one), json!({"value": -3})).await.expect_invalid("/value", "out_of_range");
    assert_eq!(series(&tenant, &lead, "type=steps&bucket=day").await["items"][0]["sum"], 320.0);
    let stale = tenant.request(reqwest::Method::DELETE, &path(&one)).header("if-match", "\"v1\"");
    tenant.send(stale).await.expect_problem(412, "stale_version");
    tenant.delete(&path(&one)).await.expect(204);
    assert_eq!(series(&tenant, &lead, "type=steps&bucket=day").await["items"][0]["sum"], 20.0);
    tenant.delete(&path(&two)).await.expect(204);
    assert_eq!(series(&tenant, &lead, "type=steps&bucket=day").await["items"], json!([]));
    tenant.get(&path(&one)).await.expect_problem(404, "not_found");

    let audit = tenant.get("/api/audit?limit=100").await.expect(200);
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "metric.deleted").count(), 2, "{audit}");
    assert!(actions.contains(&"metric.corrected") && !audit.to_string().contains("typing error"));
}

#[tokio::test]
async fn a_goal_shows_its_progress_and_its_streak() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let goal = json!({"leadId": lead["id"], "type": "steps", "target": 10_000, "startsOn": day(3)});
    let answer = tenant.post("/api/wellness/goals", goal).await;
    let goal = answer.expect(201);
    assert_eq!(
        (&goal["status"], &goal["progress"]["value"], &goal["streak"]),
        (&json!("active"), &json!(null), &json!(0))
    );
    let path = answer.header("location").to_owned();
    let noon = |days: i64| format!("{}T12:00:00+00:00", day(days));
    for (days, value) in [(3, 9_000), (2, 12_000), (1, 10_000)] {
        tenant.post("/api/wellness/metrics", steps(&lead, &noon(days), value, "watch")).await.expect(201);
    }
    let goal = tenant.get(&path).await.expect(200);
    assert_eq!((&goal["streak"], &goal["bestStreak"]), (&json!(2), &json!(2)), "{goal}");
    assert!(goal["reachedAt"].is_string());
    let late = steps(&lead, &format!("{}T13:00:00+00:00", day(3)), 1_000, "watch");
    tenant.post("/api/wellness/metrics", late).await.expect(201);
    assert_eq!(tenant.get(&path).await.expect(200)["streak"], 3, "late data counts");

    let changed = tenant.patch(&path, json!({"target": 20_000, "title": "More"})).await.expect(200);
    assert_eq!((&changed["title"], &changed["streak"]), (&json!("More"), &json!(0)));
    tenant.patch(&path, json!({"endsOn": "1999-01-01"})).await.expect_invalid("/endsOn", "end_before_start");
    let listed =
        tenant.get(&format!("/api/wellness/goals?leadId={}", lead["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(listed["items"][0], changed);
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_summary_shows_the_latest_and_the_mean_day() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    for (days, value) in [(2, 1_000), (1, 3_000)] {
        let noon = format!("{}T12:00:00+00:00", day(days));
        tenant.post("/api/wellness/metrics", steps(&lead, &noon, value, "watch")).await.expect(201);
    }
    let path = format!("/api/wellness/summary?leadId={}", lead["id"].as_str().unwrap());
    let summary = tenant.get(&path).await.expect(200);
    let item = &summary["items"][0];
    assert_eq!(
        (&item["type"], &item["latest"], &item["average7Days"]),
        (&json!("steps"), &json!(3000.0), &json!(2000.0))
    );
    assert_eq!(item["today"], json!(null));
    tenant.get("/api/wellness/summary").await.expect_invalid("?leadId", "required");
}

#[tokio::test]
async fn nothing_is_recorded_of_a_person_who_has_said_no() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let path = format!("/api/leads/{}/consents", lead["id"].as_str().unwrap());
    let body = |hour: u32| steps(&lead, &format!("{}T{hour:02}:00:00Z", day(2)), 10, "watch");
    tenant.post("/api/wellness/metrics", body(8)).await.expect(201);
    tenant.post(&path, json!({"purpose": "health", "state": "revoked"})).await.expect(201);
    tenant.post("/api/wellness/metrics", body(9)).await.expect_problem(403, "consent_required");
    let batch = tenant.post("/api/wellness/metrics/batch", json!({"items": [body(9)]})).await.expect(207);
    assert_eq!(batch["results"][0]["code"], "consent_required");
    tenant.post(&path, json!({"purpose": "health", "state": "granted"})).await.expect(201);
    tenant.post("/api/wellness/metrics", body(9)).await.expect(201);
}

#[tokio::test]
async fn another_business_sees_nothing() {
    let (tenant, other) = (Tenant::new().await, Tenant::new().await);
    let lead = tenant.lead(json!({})).await;
    tenant
        .post("/api/wellness/metrics", steps(&lead, &format!("{}T08:00:00Z", day(2)), 10, "watch"))
        .await
        .expect(201);
    assert_eq!(series(&other, &lead, "type=steps&bucket=day").await["items"], json!([]));
    assert_eq!(series(&other, &lead, "type=steps").await["items"], json!([]));
    let goal = json!({"leadId": lead["id"], "type": "steps", "target": 1});
    other.post("/api/wellness/goals", goal).await.expect_invalid("/leadId", "unknown_lead");
}
