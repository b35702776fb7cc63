//! The audit log: what is in it, and that it shows tampering.

mod chain;
mod door;
mod table;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use self::table::{KEPT, Kept};
use crate::{
    deeds::prepare,
    support::{Answer, Client, Tenant},
    tenancy::{
        Neighbour,
        routes::{Route, routes},
    },
};

fn changing() -> impl Iterator<Item = Route> {
    routes().into_iter().filter(|route| route.method != Method::GET)
}

/// The entries of one request.
async fn entries_of(reader: &Client, answer: &Answer) -> Vec<Value> {
    let log = reader.get("/api/audit?limit=50").await.expect(200);
    let of_request = |entry: &&Value| entry["requestId"] == answer.header("x-request-id");
    log["items"].as_array().unwrap().iter().filter(of_request).cloned().collect()
}

#[test]
fn every_route_that_changes_something_is_named_with_what_the_log_keeps_of_it() {
    let routes: BTreeSet<String> = changing().map(|route| route.operation).collect();
    let named: BTreeSet<String> = KEPT.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let missing: Vec<_> = routes.difference(&named).collect();
    let left_over: Vec<_> = named.difference(&routes).collect();
    assert!(
        missing.is_empty() && left_over.is_empty(),
        "tests/it/audit/table.rs: nothing said of {missing:?}; no route for {left_over:?}. Note what concerns security, money, \
         access or many people (`cx.note`, last before the commit) and name the action; of the rest say why not"
    );
}

#[tokio::test]
async fn the_log_keeps_what_the_table_says_and_nothing_of_the_rest() {
    let business = Neighbour::new().await;
    let mut wrong = Vec::new();
    for route in changing() {
        let (operation, kept) = KEPT.iter().find(|(operation, _)| *operation == route.operation).unwrap();
        if matches!(kept, Kept::Nothing(_)) && route.role == "public" || *operation == "delete_tenant" {
            continue;
        }
        let deed = prepare(&business, &route).await;
        let answer = deed.send(&route.method, None, &deed.body).await;
        if !answer.status.is_success() {
            wrong.push(format!("tests/it/deeds.rs does not know what {operation} needs: {answer}"));
            continue;
        }
        let mut reader = deed.reader.clone();
        if *operation == "register_tenant" {
            reader = reader.with_token(answer.expect(201)["accessToken"].as_str().unwrap());
        }
        let entries = entries_of(&reader, &answer).await;
        let actions: Vec<&str> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
        match kept {
            Kept::Entry(action) if actions.contains(action) => {}
            Kept::Nothing(_) if actions.is_empty() => {}
            Kept::Entry(action) => wrong.push(format!("{operation}: {action} is not in {actions:?}")),
            Kept::Nothing(reason) => wrong.push(format!("{operation}: {actions:?}, although {reason}")),
        }
        // Whoever is in the business's data is not in its log, which outlives them.
        for entry in &entries {
            let told = entry.to_string();
            let personal = [business.canary(), "@example.com", "Olga Owner"];
            if let Some(found) = personal.iter().find(|word| told.contains(**word)) {
                wrong.push(format!("{operation}: the entry tells {found}: {told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let verified = business.business().get("/api/audit/verify").await.expect(200);
    assert_eq!(verified["ok"], json!(true), "{verified}");
}

#[tokio::test]
async fn an_entry_tells_what_changed_by_the_names_of_fields() {
    let tenant = Tenant::new().await;
    let made = tenant
        .post("/api/webhook-endpoints", json!({"url": "https://example.com/a", "events": ["lead.*"]}))
        .await
        .expect(201);
    let path = format!("/api/webhook-endpoints/{}", made["id"].as_str().unwrap());
    tenant.patch(&path, json!({"url": "https://example.com/private-word"})).await.expect(200);
    let log = tenant.get("/api/audit?action=webhook_endpoint.updated").await.expect(200);
    assert_eq!(log["items"][0]["after"], json!({"changed": ["url"]}));
    assert!(!log.to_string().contains("private-word"));
}
