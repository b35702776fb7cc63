//! Lists: every filter, and pages that neither repeat nor skip.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::path;
use crate::support::{Tenant, stack, tenant::unique_email};

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
async fn every_order_walks_past_everybody_once() {
    let tenant = Tenant::new().await;
    for name in ["ähm", "Zoe", "anna", "Anna", "Bert", "Émile"] {
        let body = json!({"firstName": name, "email": unique_email("sorted")});
        tenant.post("/api/leads", body).await.expect(201);
    }
    tenant.post("/api/leads", json!({"email": unique_email("nameless")})).await.expect(201);
    let by_name = walk(&tenant, "sort=name&limit=2").await;
    let names: Vec<&str> = by_name.iter().map(|lead| lead["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["", "ähm", "anna", "Anna", "Bert", "Émile", "Zoe"]);
    let backwards = walk(&tenant, "sort=-name&limit=3").await;
    let ids = |leads: &[Value]| leads.iter().map(|lead| lead["id"].clone()).collect::<Vec<_>>();
    let forwards: Vec<Value> = backwards.into_iter().rev().collect();
    assert_eq!(ids(&forwards), ids(&by_name));
    let bert = &by_name[4];
    let note = json!({"kind": "note", "occurredAt": "2199-01-01T00:00:00Z"});
    tenant.post(&format!("{}/activities", path(bert)), note).await.expect(201);
    for (sort, first) in [("lastActivityAt", false), ("updatedAt", false), ("lastActivityAt", true)] {
        let walked = walk(&tenant, &format!("sort={}{sort}&limit=2", if first { "-" } else { "" })).await;
        assert_eq!(walked.len(), 7, "{sort}");
        if first {
            assert_eq!(walked[0]["id"], bert["id"]);
        }
    }
    // A search is walked in any order, and narrowed by other filters.
    for query in ["search=ann&limit=1", "search=ann&limit=1&sort=createdAt", "search=ann&limit=1&sort=name"] {
        assert_eq!(walk(&tenant, query).await.len(), 2, "{query}");
    }
    assert_eq!(walk(&tenant, "search=ann&status=lost").await.len(), 0);
}

#[tokio::test]
async fn a_search_is_exact_among_thousands_whatever_is_frequent() {
    let tenant = Tenant::new().await;
    // Every second one is an Otto; one in a thousand lives in Quakenbrück, the oldest three at the Zuse.
    stack().execute(
        private_postgres::DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
             insert into leads (tenant_id, id, first_name, last_name, status, created_at)
             select '{0}', new_id(), case when n % 2 = 0 then 'Otto' else 'Berta' end,
                    case when n > 24997 then 'Zusemann' when n % 1000 = 0 then 'Quakenbrück' else 'Lead' || n end,
                    case when n % 5000 = 0 then 'lost' else 'new' end, now() - n * interval '1 minute'
               from generate_series(1, 25000) n",
            tenant.id
        ),
    );
    for (search, expected) in
        [("zuse", 3), ("quaken", 24), ("otto quaken", 24), ("lead2499", 9), ("nobody", 0), ("%", 0)]
    {
        for sort in ["-createdAt", "createdAt", "name"] {
            let found = walk(
                &tenant,
                &format!("search={}&limit=5&sort={sort}", search.replace('%', "%25").replace(' ', "+")),
            )
            .await;
            assert_eq!(found.len(), expected, "{search} by {sort}");
        }
    }
    let otto = tenant.get("/api/leads?search=otto&limit=100").await.expect(200);
    assert_eq!(otto["items"].as_array().unwrap().len(), 100);
    assert!(otto["nextCursor"].is_string());
    // Rare among the found ones.
    assert_eq!(walk(&tenant, "search=otto&status=lost&limit=2").await.len(), 5);
}

/// Every row of a list, page by page.
async fn walk(tenant: &Tenant, query: &str) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("/api/leads?{query}{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return seen };
        cursor = format!("&cursor={next}");
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
