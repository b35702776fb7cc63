//! What happened with a lead: timeline, activities, tasks, expansions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::path;
use crate::support::{Client, Tenant, stack};

/// Every row of a list, page by page.
async fn walk(client: &Client, list: &str) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{list}{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return seen };
        cursor = format!("&cursor={next}");
    }
}

/// A lead with something in every table that the timeline reads; times are few, so that many are equal.
async fn eventful(tenant: &Tenant) -> Value {
    let lead = tenant.lead(json!({})).await;
    let id = lead["id"].as_str().unwrap();
    stack().execute(
        private_postgres::DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{t}', true);
             insert into conversations (tenant_id, id, lead_id, channel) values ('{t}', '{id}', '{id}', 'email');
             insert into automations (tenant_id, id, name, trigger_type, trigger) values ('{t}', '{id}', 'Welcome', 'manual', '{{}}');
             insert into automation_versions (tenant_id, automation_id, version, graph, sha256) values ('{t}', '{id}', 1, '{{}}', '');
             insert into activities (tenant_id, id, lead_id, kind, occurred_at)
             select '{t}', new_id(), '{id}', (array['note', 'visit'])[1 + n % 2], at from times() as times (n, at);
             insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, created_at)
             select '{t}', new_id(), '{id}', '{id}', 'inbound', 'email', 'received', at from times() as times (n, at);
             insert into invoices (tenant_id, id, lead_id, currency, created_at)
             select '{t}', new_id(), '{id}', 'EUR', at from times() as times (n, at);
             insert into payments (tenant_id, id, lead_id, tender, amount, currency, received_at)
             select '{t}', new_id(), '{id}', 'cash', 1, 'EUR', at from times() as times (n, at);
             insert into metrics (tenant_id, id, lead_id, type, value, unit, original_value, original_unit, start_at, local_date, source)
             select '{t}', new_id(), '{id}', 'weight', 1, 'kg', 1, 'kg', at, at::date, 'scale' || n from times() as times (n, at);
             insert into automation_runs (tenant_id, id, automation_id, version, lead_id, entry_key, status, created_at)
             select '{t}', new_id(), '{id}', 1, '{id}', n::text, 'completed', at from times() as times (n, at);
             insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, effective_at)
             select '{t}', new_id(), '{id}', 'email', 'marketing', 'granted', 'form', at from times() as times (n, at);
             insert into cta_events (tenant_id, id, event_id, surface, cta_id, kind, occurred_at, lead_id)
             select '{t}', new_id(), n::text, 'landing', 'book', 'click', at, '{id}' from times() as times (n, at);",
            t = tenant.id
        )
        .replace("times() as", "(select n, date_trunc('month', now()) + (n / 4) * interval '1 second' from generate_series(1, 11) n) as"),
    );
    lead
}

#[tokio::test]
async fn a_timeline_merges_everything_in_one_order_without_gaps_or_repeats() {
    let tenant = Tenant::new().await;
    let lead = eventful(&tenant).await;
    let timeline = format!("{}/timeline", path(&lead));
    for (limit, sort) in [(1, "-occurredAt"), (3, "occurredAt"), (7, "-occurredAt"), (100, "occurredAt")] {
        let seen = walk(&tenant, &format!("{timeline}?limit={limit}&sort={sort}")).await;
        let keys: Vec<(&str, &str)> = seen
            .iter()
            .map(|item| (item["occurredAt"].as_str().unwrap(), item["id"].as_str().unwrap()))
            .collect();
        let mut ordered = keys.clone();
        ordered.sort_unstable();
        ordered.dedup();
        if sort.starts_with('-') {
            ordered.reverse();
        }
        assert_eq!(keys, ordered, "{sort} by {limit}");
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &seen {
            *types.entry(item["type"].as_str().unwrap()).or_default() += 1;
        }
        // The lead's own beginning is an activity too.
        let expected = [
            ("activity", 12),
            ("consent", 11),
            ("cta", 11),
            ("invoice", 11),
            ("message", 11),
            ("metric", 11),
            ("payment", 11),
            ("run", 11),
        ];
        assert_eq!(types, expected.into_iter().collect(), "{sort} by {limit}");
    }
    for (query, count) in [
        ("type=metric", 11),
        ("type=run,consent", 22),
        ("kind=visit", 6),
        ("kind=visit,weight", 17),
        ("kind=refund", 0),
    ] {
        let page = tenant.get(&format!("{timeline}?{query}&include=total&limit=100")).await.expect(200);
        assert_eq!(
            (page["items"].as_array().unwrap().len(), &page["total"]),
            (count, &json!(count)),
            "{query}"
        );
    }
    let run = &walk(&tenant, &format!("{timeline}?type=run")).await[0];
    assert_eq!((&run["title"], &run["status"]), (&json!("Welcome"), &json!("completed")));
    tenant.get(&format!("{timeline}?type=secret")).await.expect_invalid("?type", "unknown_value");

    // Health data, money and consents are for staff; a viewer sees the rest.
    let viewer = tenant.colleague("viewer").await;
    let types: BTreeSet<String> = walk(&viewer, &format!("{timeline}?limit=100"))
        .await
        .iter()
        .map(|item| item["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types.into_iter().collect::<Vec<_>>(), ["activity", "cta", "invoice", "message", "run"]);
    viewer.get(&format!("{timeline}?type=metric")).await.expect_problem(403, "role_required");
}

#[tokio::test]
async fn an_expansion_is_the_first_page_of_its_own_list() {
    let tenant = Tenant::new().await;
    let lead = eventful(&tenant).await;
    stack().execute(
        private_postgres::DATABASE,
        &format!(
            "select set_config('app.tenant_id', '{0}', true);
             insert into activities (tenant_id, id, lead_id, kind) select '{0}', new_id(), '{1}', 'note' from generate_series(1, 40);
             insert into metrics (tenant_id, id, lead_id, type, value, unit, original_value, original_unit, start_at, local_date, source)
             select '{0}', new_id(), '{1}', 'steps', 1, 'count', 1, 'count', now() - n * interval '1 hour', now()::date, 'watch'
               from generate_series(1, 40) n",
            tenant.id,
            lead["id"].as_str().unwrap()
        ),
    );
    let id = lead["id"].as_str().unwrap();
    let detail = tenant
        .get(&format!("{}?expand=activities,conversations,invoices,metrics,runs", path(&lead)))
        .await
        .expect(200);
    for (word, list) in [
        ("activities", format!("{}/activities?", path(&lead))),
        ("conversations", format!("{}/conversations?", path(&lead))),
        ("invoices", format!("/api/finance/invoices?leadId={id}&")),
        ("metrics", format!("/api/wellness/metrics?leadId={id}&")),
        ("runs", format!("/api/automations/runs?leadId={id}&")),
    ] {
        let page = tenant.get(&list).await.expect(200);
        assert_eq!(detail[word], page, "{word}");
        if let Some(cursor) = detail[word]["nextCursor"].as_str() {
            let next = tenant.get(&format!("{list}cursor={cursor}")).await.expect(200);
            assert!(!next["items"].as_array().unwrap().is_empty());
            assert_ne!(next["items"][0], page["items"][0], "{word}");
        }
    }
    assert!(detail["activities"]["nextCursor"].is_string() && detail["metrics"]["nextCursor"].is_string());
    tenant
        .get(&format!("{}?expand=activities,secrets", path(&lead)))
        .await
        .expect_invalid("?expand", "unknown_value");
    let viewer = tenant.colleague("viewer").await;
    viewer.get(&format!("{}?expand=metrics", path(&lead))).await.expect_problem(403, "role_required");
}

#[tokio::test]
async fn tasks_are_found_across_leads_by_who_is_to_do_them_and_when() {
    let tenant = Tenant::new().await;
    let me = tenant.registration["user"]["id"].clone();
    let (first, second) = (tenant.lead(json!({})).await, tenant.lead(json!({})).await);
    for (lead, title, day, assignee) in [
        (&first, "b", 2, &me),
        (&second, "a", 1, &me),
        (&first, "c", 3, &me),
        (&second, "somebody's", 1, &Value::Null),
    ] {
        let task = json!({"kind": "task", "title": title, "dueAt": format!("2026-03-0{day}T09:00:00Z"), "assigneeId": assignee});
        let made = tenant.post(&format!("{}/activities", path(lead)), task).await;
        let location = made.header("location").to_owned();
        let read = tenant.get(&location).await;
        assert_eq!((read.expect(200), read.header("etag")), (made.expect(201), made.header("etag")));
        if title == "c" {
            tenant.patch(&location, json!({"doneAt": "2026-03-01T09:00:00Z"})).await.expect(200);
        }
    }
    let mine = format!("/api/activities?assigneeId={}&sort=dueAt", me.as_str().unwrap());
    let titles = |items: Vec<Value>| {
        items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles(walk(&tenant, &format!("{mine}&limit=1")).await), ["a", "b", "c"]);
    assert_eq!(titles(walk(&tenant, &format!("{mine}&done=false")).await), ["a", "b"]);
    assert_eq!(titles(walk(&tenant, &format!("{mine}&done=true")).await), ["c"]);
    assert_eq!(titles(walk(&tenant, &format!("{mine}&dueFrom=2026-03-02&dueTo=2026-03-03")).await), ["b"]);
    let counted = tenant.get(&format!("{mine}&include=total&kind=task")).await.expect(200);
    assert_eq!(counted["total"], 3);
    tenant.get("/api/activities?done=maybe").await.expect_invalid("?done", "wrong_type");
    // The tasks of a person in the bin are nobody's for now.
    tenant.delete(&path(&second)).await.expect(204);
    assert_eq!(titles(walk(&tenant, &mine).await), ["b", "c"]);
    let done = json!({"kind": "call", "title": "Called", "dueAt": "2026-03-01T09:00:00Z", "doneAt": "2026-03-01T10:00:00Z"});
    let done = tenant.post(&format!("{}/activities", path(&first)), done).await.expect(201);
    assert_eq!(done["doneAt"], "2026-03-01T10:00:00Z");
}
