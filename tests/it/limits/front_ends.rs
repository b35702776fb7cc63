//! Servers that call for the people in front of them.

use std::net::Ipv4Addr;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{Backend, World};
use crate::support::{Answer, Client, Tenant, tenant::PASSWORD};

const SECRET: &str = "the secret of the web site's server that nobody guesses";

/// A login that a front end makes for somebody at an address.
async fn login_for(server: &Client, secret: &str, address: &str, email: &str, password: &str) -> Answer {
    let request =
        server.request(Method::POST, "/api/auth/login").json(&json!({"email": email, "password": password}));
    server.send(request.header("x-front-end-secret", secret).header("x-client-address", address)).await
}

async fn people_are_counted_apart(backend: Backend) {
    let world = World::with(
        backend,
        "",
        &[("FRONT_END_SECRETS", &format!("{SECRET}, an older secret that is as long as the new one"))],
    )
    .await;
    let tenant = Tenant::new().await;
    let last = if backend == Backend::Redis { 2 } else { 1 };
    let server = Client::at(Ipv4Addr::new(127, 91, 1, last)).on(&world.base);
    let (thief, owner) = (format!("198.51.100.{last}"), format!("2001:db8:{last}::1"));
    let wrong = join_all(
        (0..10).map(|_| login_for(&server, SECRET, &thief, &tenant.email, "a guess like any other")),
    )
    .await;
    for answer in wrong {
        answer.expect_problem(401, "invalid_credentials");
    }
    login_for(&server, SECRET, &thief, &tenant.email, PASSWORD)
        .await
        .expect_problem(429, "too_many_attempts");
    login_for(&server, "an older secret that is as long as the new one", &owner, &tenant.email, PASSWORD)
        .await
        .expect(200);

    // Without a secret that is right nobody chooses where to be counted.
    let stranger = Client::at(Ipv4Addr::new(127, 91, 2, last)).on(&world.base);
    let claimed = |n: usize| format!("203.0.113.{n}");
    let wrong =
        join_all((0..10).map(|n| {
            let (stranger, email, address) = (&stranger, &tenant.email, claimed(n));
            async move {
                login_for(stranger, &SECRET.to_uppercase(), &address, email, "a guess like any other").await
            }
        }));
    for answer in wrong.await {
        answer.expect_problem(401, "invalid_credentials");
    }
    login_for(&stranger, "", &claimed(11), &tenant.email, PASSWORD)
        .await
        .expect_problem(429, "too_many_attempts");

    // A front end that names nothing readable would count everybody as itself, so it is told.
    for unreadable in ["", "198.51.100.1:443", "198.51.100.1, 198.51.100.2"] {
        login_for(&server, SECRET, unreadable, &tenant.email, PASSWORD)
            .await
            .expect_problem(400, "invalid_client_address");
    }
}

#[tokio::test]
async fn people_behind_one_server_are_counted_apart_if_it_shows_its_secret() {
    people_are_counted_apart(Backend::Database).await;
}

#[tokio::test]
async fn people_behind_one_server_are_counted_apart_if_it_shows_its_secret_by_redis() {
    people_are_counted_apart(Backend::Redis).await;
}

async fn sessions_are_renewed_apart(backend: Backend) {
    let world = World::new(backend, "door=3/3,refresh=4/4").await;
    let last = if backend == Backend::Redis { 2 } else { 1 };
    let server = Client::at(Ipv4Addr::new(127, 91, 3, last)).on(&world.base);
    let refresh = async |token: &serde_json::Value| {
        server.post("/api/auth/refresh", json!({"refreshToken": token})).await
    };
    // More sessions than a network has calls at the door, each renewed from token to token.
    for _ in 0..3 {
        let tenant = Tenant::new().await;
        let mut token = tenant.registration["refreshToken"].clone();
        for _ in 0..4 {
            let answer = refresh(&token).await;
            token = answer.expect(200)["refreshToken"].clone();
            assert!(answer.header("ratelimit-policy").starts_with("\"refresh\";q=4"), "{answer}");
        }
        let refused = refresh(&token).await;
        assert_eq!(refused.expect_problem(429, "rate_limited")["class"], "refresh");
        assert!(!refused.header("retry-after").is_empty());
    }
    // A token that nobody has is counted at the door, by the network.
    for _ in 0..3 {
        refresh(&json!("wsr_nobody-has-this-one")).await.expect_problem(401, "unauthorized");
    }
    assert_eq!(
        refresh(&json!("wsr_nobody-has-this-one")).await.expect_problem(429, "rate_limited")["class"],
        "door"
    );
}

#[tokio::test]
async fn a_session_is_renewed_whatever_others_behind_its_server_do() {
    sessions_are_renewed_apart(Backend::Database).await;
}

#[tokio::test]
async fn a_session_is_renewed_whatever_others_behind_its_server_do_by_redis() {
    sessions_are_renewed_apart(Backend::Redis).await;
}
