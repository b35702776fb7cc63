//! The page of the API's description, read by a real browser.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Tenant, browser::Browser, eventually, stack, tenant::PASSWORD};

const LOGIN: &str = "[id='operations-auth-login']";

fn document() -> Value {
    serde_json::from_str(&local::functions::document().unwrap()).unwrap()
}

/// (method, path, operation) of every route.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (&**method, &**path, operation))
        })
        .collect()
}

async fn until_listed(browser: &Browser) {
    let every = json!(operations(&document()).len());
    eventually("every operation being listed", async || {
        (browser.script("return document.querySelectorAll('.opblock').length").await == every).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_page_lists_every_operation_and_asks_no_other_origin() {
    let browser = Browser::open("/api/docs").await;
    until_listed(&browser).await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    let requested = browser.requested().await;
    assert!(requested.contains(&format!("{}/api/openapi.json", stack().base)), "{requested:?}");
    for address in requested {
        assert!(
            address.starts_with(&stack().base) || address.starts_with("data:"),
            "{address} was asked for"
        );
    }
    browser.close().await;
}

#[tokio::test]
async fn the_browser_refuses_what_the_page_would_send_elsewhere() {
    let browser = Browser::open("/api/docs").await;
    let elsewhere = stack().base.replace("127.0.0.1", "127.0.0.2");
    let script = format!(
        "document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
         fetch('{elsewhere}/api/version', {{mode: 'no-cors'}}).then(() => done('sent'));"
    );
    assert_eq!(browser.script_until_done(&script).await, "connect-src");
    browser.close().await;
}

#[tokio::test]
async fn a_login_is_tried_from_the_page() {
    let tenant = Tenant::new().await;
    let browser = Browser::open("/api/docs").await;
    until_listed(&browser).await;
    browser.click(&format!("{LOGIN} .opblock-summary-control")).await;
    for (password, status) in [(PASSWORD, "200"), ("not the password", "401")] {
        let body = json!({"email": tenant.email, "password": password});
        browser.paste(&format!("{LOGIN} textarea.body-param__text"), &body.to_string()).await;
        browser.click(&format!("{LOGIN} button.execute")).await;
        let answer = eventually("the page showing an answer", async || {
            let shown = browser.text(&format!("{LOGIN} .live-responses-table tbody")).await;
            (!shown.is_empty()).then_some(shown)
        })
        .await;
        assert!(answer.starts_with(status), "not {status}: {answer}");
        browser.click(&format!("{LOGIN} button.btn-clear")).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn each_part_of_the_page_has_its_type_its_policy_and_its_time_to_live() {
    let page = Client::anonymous().get("/api/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; "), "{page}");
    let parts: Vec<&str> = page.text.split(['"']).filter(|text| text.starts_with("/api/docs/")).collect();
    assert_eq!(parts.len(), 4, "{parts:?}");
    for part in parts {
        let answer = Client::anonymous().get(part).await;
        assert_eq!(answer.status, 200, "{part}");
        let kind =
            if part.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(
            answer.header("cache-control").contains("immutable"),
            part.contains("swagger-ui-"),
            "{part}"
        );
    }
}

#[test]
fn the_vendored_viewer_is_the_one_that_its_page_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("local/assets/swagger-ui");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let rows =
        readme.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let hashed: Vec<_> = rows.filter(|(hash, _)| hash.len() == 64).collect();
    assert_eq!(hashed.len(), 2, "the table of hashes is gone");
    for (hash, file) in hashed {
        let content = std::fs::read(folder.join(file)).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        let found: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hash, "{file} is not the file of the version that README.md names");
    }
    let version = readme.split("swagger-ui-dist ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let page = std::fs::read_to_string(root.join("local/assets/docs/index.html")).unwrap();
    let notices = std::fs::read_to_string(root.join("THIRD_PARTY.md")).unwrap();
    assert!(
        page.contains(&format!("/swagger-ui-{version}/")),
        "index.html names another version than {version}"
    );
    assert!(notices.contains(&format!("swagger-ui-dist {version}")), "THIRD_PARTY.md names another version");
}

#[tokio::test]
async fn every_example_of_a_body_is_accepted() {
    let (document, tenant) = (document(), Tenant::new().await);
    let mut sent = 0;
    for (method, path, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["example"];
        // The login's is that of the demo, whose people are only on a developer's machine.
        if body.is_null() || operation["operationId"] == "login" {
            continue;
        }
        let method = method.to_uppercase().parse().unwrap();
        let answer = tenant.send(tenant.request(method, path).json(body)).await;
        assert!(answer.status.is_success() && !answer.text.contains("invalid"), "{answer}");
        sent += 1;
    }
    assert!(sent > 15, "only {sent} examples are left");
}

#[test]
fn every_operation_says_what_it_does_who_may_call_it_and_what_its_statuses_mean() {
    let document = document();
    let described = |value: &Value| value["description"].as_str().is_some_and(|text| !text.is_empty());
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut found = Vec::new();
    for (method, path, operation) in operations(&document) {
        let mut demand = |kept: bool, what: &str| {
            if !kept {
                found.push(format!("{method} {path}: {what}"));
            }
        };
        let summary = operation["summary"].as_str().unwrap();
        demand(summary.len() <= 120, "begin the doc comment with a shorter sentence");
        demand(described(operation), "nobody says who may call it");
        demand(
            tags.contains(&&operation["tags"][0]),
            "its tag stands in no list: shared/src/http/openapi/prose.rs",
        );
        for (status, answer) in operation["responses"].as_object().unwrap() {
            demand(described(answer) || answer["$ref"].is_string(), &format!("{status} is not described"));
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            demand(described(parameter), &format!("the parameter {} is not described", parameter["name"]));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
