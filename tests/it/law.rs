//! The law of the API, held against every route that the description names: lists, tags, problems, idempotency.

mod queries;
mod shapes;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::{
    deeds::{Body, prepare},
    support::{Answer, Client, Tenant},
    tenancy::{
        Neighbour, Row,
        routes::{NOBODY, Route, fill, guarded},
        rows,
    },
};

fn row(route: &Route) -> Row {
    rows().into_iter().find(|row| row.operation == route.operation).unwrap()
}

/// The path with the ids of a business that has a row of every kind.
fn path(route: &Route, business: &Neighbour) -> String {
    let ids: Vec<String> = row(route).path_ids.iter().map(|kind| business.id(kind)).collect();
    fill(&route.path, &ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Lists without pages: what they show is bounded.
const WHOLE_LISTS: [&str; 3] = ["list_metric_types", "list_duplicates", "list_automation_versions"];

#[tokio::test]
async fn every_list_answers_one_envelope_and_refuses_what_it_does_not_know() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let is_list = |route: &Route| {
        let shape = &route.description["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
        shape.as_str().is_some_and(|name| name.contains("/Page_"))
    };
    let (mut lists, mut filled) = (0, 0);
    for route in guarded().filter(is_list) {
        let path = path(&route, &business);
        if WHOLE_LISTS.contains(&route.operation.as_str()) {
            let page = tenant.get(&path).await.expect(200);
            assert!(page["items"].is_array() && page.get("nextCursor").is_some(), "{path}: {page}");
            continue;
        }
        lists += 1;
        let page = tenant.get(&format!("{path}?limit=1&include=total")).await.expect(200);
        let members: BTreeSet<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, BTreeSet::from(["items", "nextCursor", "total"]), "{path}");
        let (shown, total) = (page["items"].as_array().unwrap().len(), page["total"].as_u64().unwrap());
        assert_eq!(shown, usize::from(total > 0), "{path}: {page}");
        assert_eq!(page["nextCursor"].is_string(), total > 1, "{path}: {page}");
        filled += usize::from(total > 0);
        // Walking it shows as many rows as it counts.
        let (mut seen, mut cursor) = (shown as u64, page["nextCursor"].clone());
        while let Some(after) = cursor.as_str().filter(|_| seen < 30) {
            let next = tenant.get(&format!("{path}?limit=1&cursor={after}")).await.expect(200);
            assert!(next["total"].is_null(), "{path}: a total that nobody asked for");
            seen += next["items"].as_array().unwrap().len() as u64;
            cursor = next["nextCursor"].clone();
        }
        assert!(seen == total || seen == 30, "{path}: {seen} of {total}");
        for (query, name, code) in [
            ("limit=0", "?limit", "out_of_range"),
            ("limit=101", "?limit", "out_of_range"),
            ("limit=ten", "?limit", "out_of_range"),
            ("cursor=nonsense", "?cursor", "invalid_cursor"),
            ("sort=nothing", "?sort", "unknown_value"),
            ("include=everything", "?include", "unknown_value"),
            ("statsu=new", "?statsu", "unknown_parameter"),
        ] {
            tenant.get(&format!("{path}?{query}")).await.expect_invalid(name, code);
        }
    }
    assert!(lists > 30 && filled > 25, "{lists} lists, {filled} with rows");
}

#[tokio::test]
async fn every_single_resource_has_a_tag_and_is_not_sent_twice() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let is_single = |route: &Route| {
        let own = ["/api/me", "/api/tenant"].contains(&route.path.as_str());
        route.method == Method::GET && (own || route.path.ends_with("{id}"))
    };
    let mut singles = 0;
    for route in guarded().filter(is_single) {
        singles += 1;
        let path = path(&route, &business);
        let first = tenant.get(&path).await;
        first.expect(200);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{path}: {tag}");
        for (seen, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}, \"another\""), 304),
            ("*".to_owned(), 304),
            ("\"another\"".to_owned(), 200),
        ] {
            let request = tenant.request(Method::GET, &path).header("if-none-match", &seen);
            let answer = tenant.send(request).await;
            assert_eq!((answer.status.as_u16(), answer.text.is_empty()), (status, status == 304), "{answer}");
            assert_eq!(answer.header("etag"), tag, "{path}");
        }
    }
    assert!(singles > 20, "{singles} single resources");
    // A lead's version says nothing about what hangs on it.
    let lead = format!("/api/leads/{}?expand=activities", business.id("lead"));
    let tag = tenant.get(&lead).await.header("etag").to_owned();
    let request = tenant.request(Method::GET, &lead).header("if-none-match", tag);
    tenant.send(request).await.expect(200);
}

/// Whether an answer is a problem as the law describes it.
fn require_problem(answer: &Answer) {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("no JSON: {answer}"));
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer}");
    assert_eq!(problem["status"], answer.status.as_u16(), "{answer}");
    assert_eq!(problem["requestId"], answer.header("x-request-id"), "{answer}");
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {answer}");
    }
    let is_word = |value: &Value| {
        value.as_str().is_some_and(|word| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
    };
    assert!(is_word(&problem["code"]), "{answer}");
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(problem["code"] == "invalid_input", !errors.is_empty(), "{answer}");
    for error in errors {
        let pointer = error["pointer"].as_str().unwrap();
        assert!(pointer.is_empty() || pointer.starts_with(['/', '?']), "{answer}");
        assert!(is_word(&error["code"]) && error["detail"].is_string(), "{answer}");
    }
}

/// Bodies that are files; what is wrong inside is a story of its own.
const TAKES_FILES: [&str; 2] = ["import_leads", "put_job_part"];

#[tokio::test]
async fn every_refusal_is_a_problem_of_one_shape() {
    let tenant = Tenant::new().await;
    let viewer = tenant.colleague("viewer").await;
    let ends_the_session = ["logout_everywhere", "delete_tenant"];
    for route in guarded().filter(|route| !ends_the_session.contains(&route.operation.as_str())) {
        let path = fill(&route.path, &[NOBODY, NOBODY]);
        let send = async |client: &Client, path: &str, body: &str| {
            let request =
                client.request(route.method.clone(), path).header("content-type", "application/json");
            let answer = client.send(request.body(body.to_owned())).await;
            assert!(answer.status.as_u16() < 500, "{answer}");
            answer
        };
        require_problem(&send(&Client::anonymous(), &path, "").await);
        if route.role != "viewer" {
            require_problem(&send(&viewer, &path, "").await);
        }
        if route.method == Method::GET {
            let answer = send(&tenant, &format!("{path}?nonsense=1"), "").await;
            require_problem(&answer);
            assert!([404, 422].contains(&answer.status.as_u16()), "{answer}");
            continue;
        }
        let Some(body) = route.description.get("requestBody") else { continue };
        if !body["content"]["application/json"].is_object() {
            assert!(TAKES_FILES.contains(&route.operation.as_str()), "{path} takes something else than JSON");
            continue;
        }
        for (broken, status) in
            [("{", 400), (r#"{"a":1,"a":2}"#, 422), (r#"{"noSuchField":1}"#, 422), ("[]", 422)]
        {
            let answer = send(&tenant, &path, broken).await;
            require_problem(&answer);
            // What the path names may be looked for first.
            assert!([status, 404].contains(&answer.status.as_u16()), "{broken}: {answer}");
        }
        let request = tenant.request(route.method.clone(), &path).header("content-type", "text/plain");
        let answer = tenant.send(request.body("{}")).await;
        if !answer.status.is_success() {
            require_problem(&answer);
        }
    }
    for (method, path, status) in [
        (Method::GET, "/api/nothing", 404),
        (Method::PUT, "/api/leads", 405),
        (Method::DELETE, "/api/auth/login", 405),
    ] {
        let answer = tenant.send(tenant.request(method, path)).await;
        require_problem(&answer);
        assert_eq!(answer.status, status);
    }
}

/// POSTs that change nothing here and try what is true now; an answer of yesterday would be none.
const ASKED_ANEW: [&str; 2] = ["test_connection", "test_webhook_endpoint"];
/// POSTs that cannot be repeated by whoever sent them, and why.
const NOT_REPEATED: [(&str, &str); 2] = [
    ("logout_everywhere", "the session that would repeat it is over; a second time does the same"),
    ("change_password", "the session that would repeat it is over, and the password is another"),
];

#[tokio::test]
async fn every_post_with_an_effect_has_it_once_under_one_key() {
    let business = Neighbour::new().await;
    for route in guarded().filter(|route| route.method == Method::POST) {
        let operation = route.operation.as_str();
        assert!(route.takes("Idempotency-Key"), "{operation} does not describe the key");
        let deed = prepare(&business, &route).await;
        let post = async |body: &Body| deed.send(&Method::POST, Some(operation), body).await;
        let first = post(&deed.body).await;
        assert!(first.status.is_success(), "tests/it/deeds does not know what {operation} needs: {first}");
        if NOT_REPEATED.iter().any(|(left_out, _)| *left_out == operation) {
            continue;
        }
        let again = post(&deed.body).await;
        if ASKED_ANEW.contains(&operation) {
            assert_eq!(again.header("idempotency-replayed"), "", "{again}");
            continue;
        }
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{again}");
        assert_eq!(again.header("idempotency-replayed"), "true", "{again}");
        assert_eq!(again.header("location"), first.header("location"), "{again}");
        post(&deed.body.other()).await.expect_problem(422, "idempotency_key_reused");
    }
}

/// How many send the same change at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_saw_the_same_version_changes_a_resource_once() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let tag = async |path: &str| {
        let answer = tenant.get(path).await;
        (answer.status == 200).then(|| answer.header("etag").to_owned())
    };
    let send = async |method: Method, path: &str, tag: &str, body: Option<&Value>| {
        let mut request = tenant.request(method, path).header("if-match", tag);
        if let Some(body) = body {
            request = request.json(body);
        }
        tenant.send(request).await
    };
    let mut races = 0;
    let routes: Vec<Route> = guarded().filter(|route| route.takes("If-Match")).collect();
    for route in routes.iter().filter(|route| route.method == Method::PATCH) {
        let path = path(route, &business);
        let body = row(route).body_with(&|kind| business.id(kind)).unwrap();
        let Some(seen) = tag(&path).await else { continue };
        let all = (0..AT_ONCE).map(|_| send(Method::PATCH, &path, &seen, Some(&body)));
        let answers = futures::future::join_all(all).await;
        let won = answers.iter().filter(|answer| answer.status.is_success()).count();
        // What comes in the very same moment may be told of the conflict rather than of the version.
        let told = |answer: &&Answer| [409, 412].contains(&answer.status.as_u16());
        let lost = answers.iter().filter(told).count();
        assert_eq!((won, lost), (1, AT_ONCE - 1), "{}: {}", route.operation, answers[0]);
        races += 1;
    }
    for route in routes.iter().filter(|route| route.method == Method::DELETE) {
        let path = path(route, &business);
        let change = routes.iter().find(|other| other.method == Method::PATCH && other.path == route.path);
        let Some((change, seen)) = change.zip(tag(&path).await) else { continue };
        let body = row(change).body_with(&|kind| business.id(kind)).unwrap();
        let (changed, removed) = tokio::join!(
            send(Method::PATCH, &path, &seen, Some(&body)),
            send(Method::DELETE, &path, &seen, None)
        );
        let won = [&changed, &removed].iter().filter(|answer| answer.status.is_success()).count();
        assert!(won <= 1, "{}: {changed} {removed}", route.operation);
        races += 1;
    }
    assert!(races > 25, "only {races} resources were raced for");
}
