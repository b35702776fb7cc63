//! What an address may say beside its path: nothing that nobody reads, and `fields` wherever JSON is answered.

use reqwest::Method;
use serde_json::{Value, json};

use super::{path, row};
use crate::{
    support::Client,
    tenancy::{
        Neighbour,
        routes::{Route, guarded, routes},
    },
};

#[tokio::test]
async fn a_change_with_a_parameter_that_nobody_reads_is_not_made() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let (mut named, mut made) = (0, Vec::new());
    for route in guarded().filter(|route| route.method != Method::GET) {
        let address = format!("{}?bogus=1", path(&route, &business));
        let body = row(&route).body_with(&|kind| business.id(kind)).unwrap_or_else(|| json!({}));
        let answer = tenant.send(tenant.request(route.method.clone(), &address).json(&body)).await;
        named += usize::from(answer.status == 422 && answer.text.contains(r#""pointer":"?bogus""#));
        if !answer.status.is_client_error() {
            made.push(answer.to_string());
        }
    }
    assert!(made.is_empty(), "{}", made.join("\n"));
    assert!(named > 90, "only {named} changes were refused for their address");
    business.is_untouched().await;
    let is_door = |route: &Route| route.method == Method::POST && route.path.starts_with("/api/auth/");
    for route in routes().into_iter().filter(|route| route.role == "public").filter(is_door) {
        let answer = Client::anonymous().post(&format!("{}?bogus=1", route.path), json!({})).await;
        answer.expect_invalid("?bogus", "unknown_parameter");
    }
}

/// The items of a list, or the one object.
fn shown(answer: &Value) -> Vec<&Value> {
    let is_list = answer.get("nextCursor").is_some();
    answer["items"]
        .as_array()
        .filter(|_| is_list)
        .map_or_else(|| vec![answer], |items| items.iter().collect())
}

#[tokio::test]
async fn every_reading_answers_only_the_fields_that_are_asked_for() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let (mut narrowed, mut strict) = (0, 0);
    for route in guarded().filter(|route| route.takes("fields")) {
        let path = path(&route, &business);
        let whole = tenant.get(&path).await;
        if whole.status != 200 {
            // It wants a range of time; that is read first.
            whole.expect_problem(422, "invalid_input");
            continue;
        }
        // An answer that is not described holds what it holds, so any name may be one of it.
        if route.operation != "get_receipt" {
            tenant.get(&format!("{path}?fields=id,bogus")).await.expect_invalid("?fields", "unknown_value");
            strict += 1;
        }
        let answer = whole.expect(200);
        let members = shown(&answer).first().and_then(|item| item.as_object());
        let Some(members) = members.filter(|members| !members.is_empty()) else { continue };
        // The moment of the answer is another each time.
        let lasts = |member: &&String| !["at", "from", "to"].contains(&member.as_str());
        let word = if members.contains_key("id") { "id" } else { members.keys().find(lasts).unwrap() };
        let sparse = tenant.get(&format!("{path}?fields={word}")).await;
        let left = sparse.expect(200);
        let expected: Vec<Value> = shown(&answer).iter().map(|item| json!({word: item[word]})).collect();
        assert_eq!(shown(&left), expected.iter().collect::<Vec<_>>(), "{sparse}");
        assert_eq!(left.get("nextCursor"), answer.get("nextCursor"), "{sparse}");
        assert_eq!(sparse.header("etag"), whole.header("etag"), "{sparse}");
        narrowed += 1;
    }
    assert!(narrowed > 55 && strict > 65, "{narrowed} answers were narrowed, {strict} refused a name");
}

#[tokio::test]
async fn fields_go_together_with_all_else_that_a_reading_takes() {
    let business = Neighbour::new().await;
    let tenant = business.business();
    let lead = format!("/api/leads/{}", business.id("lead"));
    let sparse =
        tenant.get(&format!("{lead}?fields=status&expand=activities&fields=activities")).await.expect(200);
    let members: Vec<&String> = sparse.as_object().unwrap().keys().collect();
    assert_eq!(members, ["activities", "status"]);
    let whole = tenant.get(&format!("{lead}?expand=activities")).await.expect(200);
    assert_eq!((&sparse["activities"], &sparse["status"]), (&whole["activities"], &whole["status"]));
    let page = tenant.get("/api/leads?limit=1&fields=id&include=total&sort=createdAt").await.expect(200);
    assert_eq!((page["items"][0].as_object().unwrap().len(), &page["total"]), (1, &json!(2)));
    let cursor = page["nextCursor"].as_str().unwrap();
    let next =
        tenant.get(&format!("/api/leads?limit=1&sort=createdAt&cursor={cursor}&fields=")).await.expect(200);
    assert!(next["items"][0].as_object().unwrap().len() > 10, "no field means all of them");
    // What is seen is the resource; how much of it was asked for is no other version.
    let tag = tenant.get(&lead).await.header("etag").to_owned();
    let request = tenant.request(Method::GET, &format!("{lead}?fields=id")).header("if-none-match", &tag);
    tenant.send(request).await.expect(304);
    // Names are known without any row, and only to whoever may ask.
    tenant
        .get("/api/leads?search=nobody-at-all&fields=nmae")
        .await
        .expect_invalid("?fields", "unknown_value");
    Client::anonymous().get("/api/leads?fields=nmae").await.expect_problem(401, "unauthorized");
    for file in ["/api/leads/export?fields=id", "/api/analytics/cta/export?fields=id"] {
        tenant.get(file).await.expect_invalid("?fields", "unknown_parameter");
    }
}
