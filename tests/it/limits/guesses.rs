//! Many guesses from many places.

use std::net::Ipv4Addr;

use futures::future::join_all;
use serde_json::json;

use super::{Backend, World};
use crate::support::{Answer, Client, Tenant, tenant::PASSWORD};

/// More networks than the ration has tries.
const NETWORKS: u8 = 90;

async fn guesses_from_everywhere(backend: Backend) {
    let world = World::new(backend, "").await;
    let tenant = Tenant::new().await;
    let third = if backend == Backend::Redis { 101 } else { 100 };
    let sign_in = async |address: Ipv4Addr, password: &str| -> Answer {
        let body = json!({"email": tenant.email, "password": password});
        Client::at(address).on(&world.base).post("/api/auth/login", body).await
    };
    let guesses =
        (1..=NETWORKS).map(|last| sign_in(Ipv4Addr::new(127, 88, third, last), "a guess like any other"));
    let answers = join_all(guesses).await;
    let verified = answers.iter().filter(|answer| answer.status == 401).count();
    // Forty, and one more for each minute that this takes.
    assert!((40..=50).contains(&verified), "{verified} passwords were verified");
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        answer.expect_problem(429, "too_many_attempts");
        assert!(!answer.header("retry-after").is_empty());
    }
    // A stranger waits, whatever the password. The owner comes from where the account was founded, and gets in.
    sign_in(Ipv4Addr::new(127, 88, third, 200), PASSWORD).await.expect_problem(429, "too_many_attempts");
    sign_in(Ipv4Addr::LOCALHOST, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn guesses_from_everywhere_verify_few_passwords_and_the_owner_gets_in() {
    guesses_from_everywhere(Backend::Database).await;
}

#[tokio::test]
async fn guesses_from_everywhere_verify_few_passwords_and_the_owner_gets_in_by_redis() {
    guesses_from_everywhere(Backend::Redis).await;
}

async fn one_place_is_shut_out(backend: Backend) {
    let world = World::new(backend, "").await;
    let tenant = Tenant::new().await;
    let fourth = if backend == Backend::Redis { 9 } else { 8 };
    let (bad, good) = (Ipv4Addr::new(127, 89, 1, fourth), Ipv4Addr::new(127, 89, 2, fourth));
    let sign_in = async |address: Ipv4Addr, password: &str| -> Answer {
        let body = json!({"email": tenant.email, "password": password});
        Client::at(address).on(&world.base).post("/api/auth/login", body).await
    };
    for _ in 0..10 {
        sign_in(bad, "not the password").await.expect_problem(401, "invalid_credentials");
    }
    sign_in(bad, PASSWORD).await.expect_problem(429, "too_many_attempts");
    // Six failures, the right password, six failures: forgiven in between, or the tenth would have been refused.
    for _ in 0..2 {
        for _ in 0..6 {
            sign_in(good, "not the password").await.expect_problem(401, "invalid_credentials");
        }
        sign_in(good, PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn ten_failures_shut_one_place_out_and_a_success_forgives_in_redis_too() {
    one_place_is_shut_out(Backend::Redis).await;
}

#[tokio::test]
async fn ten_failures_shut_one_place_out_and_a_success_forgives() {
    one_place_is_shut_out(Backend::Database).await;
}
