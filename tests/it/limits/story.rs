//! The limits as callers see them.

use std::net::Ipv4Addr;

use serde_json::json;

use super::{Backend, World};
use crate::{
    support::{Answer, Client, Tenant, tenant::unique_email},
    webhooks::Source,
};

fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).parse().unwrap_or_else(|_| panic!("{header} is no number: {answer}"))
}

async fn create(client: &Client) -> Answer {
    client.post("/api/leads", json!({"email": unique_email("counted")})).await
}

async fn secret_key(tenant: &Tenant) -> Client {
    let body = json!({"name": "counted", "kind": "secret", "scopes": ["leads:write"]});
    let made = tenant.post("/api/api-keys", body).await.expect(201);
    Client::anonymous().with_token(made["key"].as_str().unwrap())
}

async fn a_caller_empties_its_own_bucket(backend: Backend) {
    let world = World::new(backend, "write=3/5,read=100/200").await;
    let (tenant, other) = (Tenant::new().await, Tenant::new().await);
    let (owner, key) = (tenant.owner.on(&world.base), secret_key(&tenant).await.on(&world.base));

    for left in [2, 1, 0] {
        let answer = create(&owner).await;
        answer.expect(201);
        assert_eq!(answer.header("ratelimit-policy"), "\"write\";q=3;w=60", "{answer}");
        assert_eq!((number(&answer, "ratelimit-limit"), number(&answer, "ratelimit-remaining")), (3, left));
        assert!(answer.header("ratelimit").starts_with(&format!("\"write\";r={left};t=")), "{answer}");
    }
    let refused = create(&owner).await;
    let problem = refused.expect_problem(429, "rate_limited");
    assert_eq!(
        (&problem["class"], &problem["scope"], &problem["limit"]),
        (&json!("write"), &json!("caller"), &json!(3))
    );
    assert!((1..=20).contains(&number(&refused, "retry-after")), "{refused}");
    assert_eq!(number(&refused, "ratelimit-remaining"), 0);

    // Another class, another key of the business, another business: each has its own.
    let read = owner.get("/api/leads").await;
    read.expect(200);
    assert_eq!(read.header("ratelimit-policy"), "\"read\";q=100;w=60");
    create(&key).await.expect(201);
    // A request that fails counts too.
    let failed = key.post("/api/leads", json!({"nonsense": 1})).await;
    failed.expect_problem(422, "invalid_input");
    assert_eq!(failed.header("ratelimit-policy"), "\"write-whole\";q=5;w=60", "{failed}");
    // What the owner asked beyond its quota took nothing of the business's five; now they are used up.
    let whole = create(&key).await.expect_problem(429, "rate_limited");
    assert_eq!(whole["scope"], "whole");
    create(&other.owner.on(&world.base)).await.expect(201);

    // Nothing of what was refused was done.
    let leads = tenant.get("/api/leads?include=total").await.expect(200);
    assert_eq!(leads["total"], 4);
}

#[tokio::test]
async fn a_caller_empties_its_own_bucket_and_nobody_elses() {
    a_caller_empties_its_own_bucket(Backend::Database).await;
}

#[tokio::test]
async fn a_caller_empties_its_own_bucket_and_nobody_elses_in_redis() {
    a_caller_empties_its_own_bucket(Backend::Redis).await;
}

async fn visitors_are_counted_by_their_network(backend: Backend) {
    let world = World::new(backend, "door=2/2,webhook=2/3,event=2/3").await;
    let tenant = Tenant::new().await;
    let last = if backend == Backend::Redis { 8 } else { 7 };
    let [near, far, third] =
        [1, 2, 3].map(|third| Client::at(Ipv4Addr::new(127, 77, third, last)).on(&world.base));

    let refresh = async |client: &Client| {
        client.post("/api/auth/refresh", json!({"refreshToken": "wsr_nobody-has-this-one"})).await
    };
    for _ in 0..2 {
        refresh(&near).await.expect_problem(401, "unauthorized");
    }
    assert_eq!(refresh(&near).await.expect_problem(429, "rate_limited")["class"], "door");
    refresh(&far).await.expect_problem(401, "unauthorized");
    near.get("/api/version").await.expect(200);

    // An unsigned delivery is refused and counted; the address that nobody has is not even counted.
    let source = Source::new(&tenant, "stripe", json!({})).await;
    for _ in 0..2 {
        near.post(&source.path, json!({})).await.expect(401);
    }
    assert_eq!(
        near.post(&source.path, json!({})).await.expect_problem(429, "rate_limited")["class"],
        "webhook"
    );
    far.post(&source.path, json!({})).await.expect(401);
    assert_eq!(
        third.post(&source.path, json!({})).await.expect_problem(429, "rate_limited")["scope"],
        "whole"
    );
    let unknown = near.post(&format!("{}x", source.path), json!({})).await;
    unknown.expect_problem(404, "not_found");
    assert_eq!(unknown.header("ratelimit-limit"), "");

    let site = tenant.post("/api/api-keys", json!({"name": "page", "kind": "site"})).await.expect(201);
    let path = format!("/api/analytics/cta?key={}", site["key"].as_str().unwrap());
    let event =
        || json!({"eventId": unique_email("event"), "surface": "home", "ctaId": "join", "kind": "view"});
    for _ in 0..2 {
        near.post(&path, event()).await.expect(202);
    }
    assert_eq!(near.post(&path, event()).await.expect_problem(429, "rate_limited")["class"], "event");
    far.post(&path, event()).await.expect(202);
}

#[tokio::test]
async fn visitors_are_counted_by_their_network_and_by_what_they_call() {
    visitors_are_counted_by_their_network(Backend::Database).await;
}

#[tokio::test]
async fn visitors_are_counted_by_their_network_and_by_what_they_call_in_redis() {
    visitors_are_counted_by_their_network(Backend::Redis).await;
}

#[tokio::test]
async fn redis_holds_keyed_hashes_with_an_end() {
    let world = World::new(Backend::Redis, "").await;
    let tenant = Tenant::new().await;
    let owner = tenant.owner.on(&world.base);
    create(&owner).await.expect(201);
    Client::anonymous()
        .on(&world.base)
        .post("/api/auth/login", json!({"email": tenant.email, "password": "not the password"}))
        .await
        .expect(401);
    let redis = world.redis.as_ref().unwrap();
    let keys = redis.ask("KEYS *").await.unwrap();
    let keys: Vec<&String> = keys.iter().filter(|line| !line.starts_with(['*', '$', '+'])).collect();
    assert!(keys.len() >= 5, "{keys:?}");
    for key in keys {
        let plain = key.replace("ws:{door}:", "").replace("ws:{", "").replace("}:", "");
        assert!(plain.len() >= 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        let left = redis.ask(&format!("PTTL {key}")).await.unwrap();
        assert!(left[0].trim_start_matches(':').parse::<i64>().unwrap() > 0, "{key} has no end: {left:?}");
    }
}

#[tokio::test]
async fn when_redis_goes_away_the_database_counts_and_no_request_fails() {
    let mut world = World::new(Backend::Redis, "write=3/9").await;
    let tenant = Tenant::new().await;
    let owner = tenant.owner.on(&world.base);
    let before = create(&owner).await;
    before.expect(201);
    assert_eq!(number(&before, "ratelimit-remaining"), 2);
    world.redis.as_mut().unwrap().stop();
    // From now on the database counts, from a full bucket on.
    for left in [2, 1, 0] {
        let answer = create(&owner).await;
        answer.expect(201);
        assert_eq!(number(&answer, "ratelimit-remaining"), left, "{answer}");
    }
    create(&owner).await.expect_problem(429, "rate_limited");
    let login = json!({"email": tenant.email, "password": crate::support::tenant::PASSWORD});
    Client::anonymous().on(&world.base).post("/api/auth/login", login).await.expect(200);
}
