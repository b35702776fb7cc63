//! Lists: every filter, and pages that neither repeat nor skip.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::path;
use crate::support::{Tenant, tenant::unique_email};

#[tokio::test]
async fn filters_narrow_the_list_and_alternatives_widen_it() {
    let tenant = Tenant::new().await;
    let owner = tenant.registration["user"]["id"].clone();
    for (name, fields) in [
        ("Anna", json!({"status": "new", "source": "instagram", "tags": ["vip", "yoga"]})),
        (
            "Berta",
            json!({"status": "contacted", "source": "form", "tags": ["yoga"], "phone": "0171 2345678"}),
        ),
        ("Carla", json!({"status": "customer", "source": "form", "ownerId": owner})),
    ] {
        let mut fields = fields;
        fields["firstName"] = name.into();
        tenant.lead(fields).await;
    }
    for (query, expected) in [
        ("", "Carla Berta Anna"),
        ("sort=createdAt", "Anna Berta Carla"),
        ("status=new,contacted", "Berta Anna"),
        ("status=new&status=customer", "Carla Anna"),
        ("source=form", "Carla Berta"),
        ("tag=vip", "Anna"),
        ("tag=vip,yoga&status=contacted", "Berta"),
        ("search=ann", "Anna"),
        ("search=2345678", "Berta"),
        ("search=nobody", ""),
        ("from=2020-01-01&to=2020-02-01", ""),
        ("from=2020-01-01", "Carla Berta Anna"),
    ] {
        assert_eq!(names(&tenant.get(&format!("/api/leads?{query}")).await.expect(200)), expected, "{query}");
    }
    let mine = format!("/api/leads?ownerId={}&include=total", owner.as_str().unwrap());
    let mine = tenant.get(&mine).await.expect(200);
    assert_eq!((names(&mine).as_str(), &mine["total"]), ("Carla", &json!(1)));
}

#[tokio::test]
async fn a_walk_by_cursor_is_complete_while_leads_arrive() {
    let tenant = Tenant::new().await;
    let mut expected = BTreeSet::new();
    for _ in 0..23 {
        expected.insert(tenant.lead(json!({})).await["id"].as_str().unwrap().to_owned());
    }
    for (sort, sees_newcomers) in [("-createdAt", false), ("createdAt", true)] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = tenant.get(&format!("/api/leads?limit=4&sort={sort}{cursor}")).await.expect(200);
            let ids =
                page["items"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap().to_owned());
            seen.extend(ids);
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            if seen.len() < 23 {
                tenant.lead(json!({})).await;
            }
        }
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: a lead came twice");
        assert!(expected.is_subset(&distinct), "{sort}: a lead was skipped");
        assert_eq!(distinct.len() > expected.len(), sees_newcomers, "{sort}");
        expected = distinct;
        if !sees_newcomers {
            expected.clear();
            let page = tenant.get("/api/leads?limit=100").await.expect(200);
            expected.extend(
                page["items"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap().to_owned()),
            );
        }
    }
}

#[tokio::test]
async fn a_timeline_is_one_order_across_pages() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let path = path(&lead);
    // Equal times on purpose: the id breaks the tie.
    for minute in [1, 1, 2, 2, 2, 3, 3, 4] {
        let at = format!("2026-01-01T09:0{minute}:00Z");
        let note = json!({"kind": "note", "title": "n", "occurredAt": at});
        tenant.post(&format!("{path}/activities"), note).await.expect(201);
    }
    let message = json!({"leadId": lead["id"], "channel": "email", "body": "Hello", "subject": "Hi",
        "purpose": "transactional"});
    tenant.post("/api/messages/send", message).await.expect(202);
    for (sort, descending) in [("-occurredAt", true), ("occurredAt", false)] {
        let mut seen: Vec<(String, String)> = Vec::new();
        let mut types = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page = tenant.get(&format!("{path}/timeline?limit=3&sort={sort}{cursor}")).await.expect(200);
            for item in page["items"].as_array().unwrap() {
                types.insert(item["type"].as_str().unwrap().to_owned());
                seen.push((text(&item["occurredAt"]), text(&item["id"])));
            }
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut ordered = seen.clone();
        ordered.sort();
        ordered.dedup();
        if descending {
            ordered.reverse();
        }
        assert_eq!(seen, ordered);
        assert_eq!(seen.len(), 10);
        assert_eq!(types.into_iter().collect::<Vec<_>>(), ["activity", "message"]);
    }
    let messages = tenant.get(&format!("{path}/timeline?type=message")).await.expect(200);
    assert_eq!(messages["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_answers_for_each_item() {
    let tenant = Tenant::new().await;
    let known = tenant.lead(json!({})).await;
    let email = unique_email("batch");
    let items = json!({"items": [
        {"firstName": "New", "email": email},
        {"firstName": "Twice", "email": email},
        {"email": known["email"]},
        {"email": "nonsense"},
        {"firstName": "Late", "phone": "0171 2345678"},
        {"firstName": "X", "surprise": true},
    ]});
    let results = tenant.post("/api/leads/batch", items).await.expect(207)["results"].clone();
    let statuses: Vec<u64> =
        results.as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 409, 422, 201, 422]);
    assert_eq!(results[1]["error"]["existingId"], results[0]["id"]);
    assert_eq!(results[2]["error"]["existingId"], known["id"]);
    assert_eq!(results[3]["error"]["errors"][0]["pointer"], "/email");
    assert_eq!(tenant.get("/api/leads?include=total").await.expect(200)["total"], 3);
    tenant.post("/api/leads/batch", json!({"items": []})).await.expect_invalid("/items", "out_of_range");
}

fn names(page: &Value) -> String {
    let names: Vec<String> =
        page["items"].as_array().unwrap().iter().map(|lead| text(&lead["firstName"])).collect();
    names.join(" ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
