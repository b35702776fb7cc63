//! A function that dies after its commit and before its answer.

use serde_json::{Value, json};
use tests::lambda::{Body, http_v2, parse_http};

use super::world::World;
use crate::support::{eventually, stack};

/// Requests until every statement is prepared, so that one request costs what the next one costs.
const WARM_UP: usize = 4;

fn create(token: &str, key: &str) -> Value {
    let authorization = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", authorization.as_str()),
        ("idempotency-key", key),
    ];
    let body = json!({"firstName": "Lotte", "email": format!("{key}@example.com")});
    http_v2("POST", "/api/leads", &headers, Body::Text(body.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_after_a_death_between_commit_and_answer_gets_the_first_answer_and_makes_nothing_new() {
    let (mut world, proxy) = World::counted("lost_answer").await;
    let token = world.register().await;
    let doomed = world.launch("leads");
    let mut cost = 0;
    for number in 0..WARM_UP {
        let before = proxy.trips();
        let made =
            parse_http(&doomed.invoke(&create(&token, &format!("warm-{number}"))).await.unwrap()).unwrap();
        assert_eq!(made.status, 201, "{}", made.text());
        cost = proxy.trips() - before;
    }
    // The last round trip of a request is its commit.
    proxy.lose_answers_from(proxy.trips() + cost);
    let event = create(&token, "lost-answer");
    let invocation = doomed.begin(&event).unwrap();
    world.set("DATABASE_URL", &stack().app_url_of("world_lost_answer"));
    let lead = eventually("the commit", async || {
        let found =
            world.call("leads", "GET", "/api/leads?search=lost-answer", &token, "").await.json().unwrap();
        found["items"].as_array().unwrap().first().cloned()
    })
    .await;
    doomed.kill().unwrap();
    assert!(invocation.outcome().await.is_err(), "a killed function answers nothing");

    let again = world.invoke("leads", &event).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{}", again.text());
    assert_eq!(again.json().unwrap()["id"], lead["id"]);
    let all = world.call("leads", "GET", "/api/leads?include=total", &token, "").await.json().unwrap();
    assert_eq!(all["total"], WARM_UP + 1);
}
